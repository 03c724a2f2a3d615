"""A notebook's user, without a browser: HTTP, and the kernel's websocket."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import websocket

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a GET, redirects followed."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Notebook:
    """A Jupyter behind a local address that carries its token."""

    def __init__(self, url: str) -> None:
        """``url`` is the one of the ready event."""
        parts = urllib.parse.urlsplit(url)
        self.base = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self.token = urllib.parse.parse_qs(parts.query).get("token", [""])[0]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call of Jupyter's REST API."""
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read() or b"null")

    def run(self, code: str) -> str:
        """Run a cell in a kernel of its own, over the kernel's websocket; what it printed."""
        kernel = self.call("POST", "api/kernels", {})["id"]
        url = f"{self.base}api/kernels/{kernel}/channels?token={self.token}"
        channel = websocket.create_connection(url.replace("http", "ws", 1), timeout=TIMEOUT_S)
        try:
            request = _execute(code)
            channel.send(json.dumps(request))
            printed = []
            while True:
                message = json.loads(channel.recv())
                kind, content = message["msg_type"], message["content"]
                if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                    continue
                assert kind != "error", content
                if kind == "stream":
                    printed.append(content["text"])
                # the reply comes by another channel and may overtake the output; idle cannot
                if kind == "status" and content["execution_state"] == "idle":
                    return "".join(printed)
        finally:
            channel.close()
            self.call("DELETE", f"api/kernels/{kernel}")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Meanwhile a cell runs in a kernel of its own."""
        kernel = self.call("POST", "api/kernels", {})["id"]
        url = f"{self.base}api/kernels/{kernel}/channels?token={self.token}"
        channel = websocket.create_connection(url.replace("http", "ws", 1), timeout=TIMEOUT_S)
        try:
            channel.send(json.dumps(_execute("print('begun'); import time; time.sleep(1000)")))
            while json.loads(channel.recv())["msg_type"] != "stream":
                pass
            yield
        finally:
            channel.close()
            self.call("DELETE", f"api/kernels/{kernel}")


def _execute(code: str) -> dict[str, Any]:
    header = {
        "msg_id": secrets.token_hex(8),
        "msg_type": "execute_request",
        "session": secrets.token_hex(8),
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "channel": "shell",
        "content": content,
    }
