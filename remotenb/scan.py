"""The records of ``scan.sh``: what of Jupyter is to be seen in one place. Pure."""

from __future__ import annotations

import ipaddress
import json
from pathlib import PurePosixPath

from remotenb.model import Listening, RuntimeFile, Scan
from remotenb.secret import Secret
from remotenb.text import plain


def parse_scan(raw: bytes) -> Scan:
    """What ``scan.sh`` printed, with everything left out that makes no sense."""
    files: list[RuntimeFile] = []
    listening: list[Listening] = []
    facts: dict[str, str] = {}
    for record, content in records(raw.decode("utf-8", "replace")):
        kind, _, rest = record.partition(" ")
        if kind == "@file":
            file = _runtime_file(rest, content)
            files += [file] if file else []
        elif kind == "@listen":
            socket = _listening(rest)
            listening += [socket] if socket else []
        else:
            facts[kind] = plain(rest)
    return Scan(
        files=tuple(files),
        listening=tuple(listening),
        python=facts.get("@python"),
        jupyter=facts.get("@jupyter"),
        environment=facts.get("@environment"),
    )


def records(text: str) -> list[tuple[str, str]]:
    """Each line that starts with @, and the lines behind one space that follow it."""
    records: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):  # splitlines knows more ends of lines than sed does
        if line.startswith("@"):
            records.append((line, []))
        elif line.startswith(" ") and records:
            records[-1][1].append(line[1:])
    return [(record, "\n".join(lines)) for record, lines in records]


def _runtime_file(head: str, content: str) -> RuntimeFile | None:
    """``ALIVE MTIME PATH`` and the JSON of either generation; None when it is half written."""
    try:
        alive, modified, path = head.split(" ", 2)
        info = json.loads(content)
        port = int(info["port"])
        base_url = str(info.get("base_url") or "/")
        root_dir = info.get("root_dir") or info.get("notebook_dir")
        if not 0 <= port < 65536 or not _harmless(base_url):  # noqa: PLR2004  TCP's range
            return None
        return RuntimeFile(
            path=PurePosixPath(path),
            pid=int(info.get("pid") or 0),
            port=port,
            token=Secret(_printable(info.get("token") or "")),
            base_url=f"/{base_url.strip('/')}/".replace("//", "/"),
            secure=bool(info.get("secure")),
            root_dir=plain(str(root_dir)) if root_dir else None,
            sock=str(info.get("sock") or ""),
            version=plain(str(info["version"])) if info.get("version") else None,
            alive=alive == "1",
            modified=int(modified) if modified.isdigit() else 0,
        )
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None


def _harmless(base_url: str) -> bool:
    """A path that can stand in a URL and a request line: a hostile server writes these files."""
    return (
        base_url.isascii()
        and base_url.isprintable()
        and not any(c in base_url for c in ' "<>\\?#')
        and ".." not in base_url
        and not base_url.startswith("//")
    )


def _printable(token: object) -> str:
    text = str(token)
    if not text.isascii() or not (text.isprintable() or not text):
        msg = "a token that cannot stand in a header"
        raise ValueError(msg)
    return text


def _listening(word: str) -> Listening | None:
    """``0100007F:22B8`` of /proc/net/tcp, or its longer kin of tcp6: 32-bit little-endian words."""
    address, _, port = word.partition(":")
    try:
        raw = bytes.fromhex(address)
        swapped = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
        ip = ipaddress.ip_address(swapped)
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return Listening(str(mapped or ip), int(port, 16))
    except ValueError:
        return None
