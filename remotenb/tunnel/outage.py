"""What the browser sees while the link is down: silence, or a page that says so. Pure.

An error status, or a close that looks like an answer, makes JupyterLab give a kernel up. So a
request waits; only a navigation is answered, for a person sits behind it.
"""

from __future__ import annotations

import html
import re

_AGAIN = re.compile(rb"GET (/(?![/\\])[^ \r\n]*) HTTP/1\.1\r\n.*\r\n\r\n", re.DOTALL)
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [^\r\n]+ HTTP/1\.[01]\r\n")


def is_request(data: bytes) -> bool:
    """Whether ``data`` begins with the head of an HTTP request."""
    return _REQUEST.match(data) is not None


def is_upgrade(data: bytes) -> bool:
    """Whether it asks for a websocket."""
    return _header(data, b"upgrade").lower() == b"websocket"


def is_navigation(data: bytes) -> bool:
    """Whether a person waits for a page: a new tab, a reload, an address typed in."""
    return data.startswith(b"GET ") and _header(data, b"sec-fetch-mode").lower() == b"navigate"


def is_of_a_page(data: bytes) -> bool:
    """Whether a page that is open asks: when that fails, JupyterLab 2 shows a dialog."""
    return _header(data, b"sec-fetch-mode") != b"" and not is_navigation(data)


def again(data: bytes) -> bytes | None:
    """The answer that makes a page ask for the same once more, unnoticed; None where none does."""
    match = _AGAIN.fullmatch(data) if is_of_a_page(data) else None
    if match is None:
        return None
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\n" % match[1]
    return head + b"Cache-Control: no-store\r\nContent-Length: 0\r\n\r\n"


def _header(data: bytes, name: bytes) -> bytes:
    head = data.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 18vh auto; max-width: 32em; padding: 0 1em;
        color: #333; background: #fff }}
p {{ color: #666 }} @media (prefers-color-scheme: dark) {{
body {{ color: #ddd; background: #111 }} p {{ color: #999 }} }}
</style></head><body><h2>{title}</h2>
<p>{state}</p><p>What runs there goes on. This page loads by itself when the link is back.</p>
</body></html>
"""


def page(host: str, state: str) -> bytes:
    """The whole answer to a navigation: a page that asks again every two seconds."""
    title = html.escape(f"Waiting for {host}")
    body = _PAGE.format(title=title, state=html.escape(state)).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
        "X-Frame-Options: DENY\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
