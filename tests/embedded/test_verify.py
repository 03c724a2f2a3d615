"""Is that a Jupyter, and does it let us in? Asked of real ones, the way the browser will go."""

from __future__ import annotations

import datetime as dt
import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jupyter_server.auth.security import passwd

from remotenb import far
from remotenb.jupyter import verify, verify_all
from remotenb.reach import on_host
from remotenb.scan import parse_scan
from remotenb.secret import Secret
from remotenb.server import Endpoint, Found, Rejected, Server
from remotenb.ssh.shell import Script
from tests.embedded.conftest import environment
from tests.embedded.peers import TIMEOUT_S, closed_port, hang_up, listening, silent, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remotenb.jupyter import Connect
    from remotenb.model import RuntimeFile

NO_TOKEN = "--IdentityProvider.token="
KINDS = ("token", "open", "password", "tls")
Jupyters = dict[str, Found]


def options(kind: str, folder: Path) -> list[str]:
    match kind:
        case "token":
            return ["--ServerApp.base_url=/a/b/"]
        case "open":
            return [NO_TOKEN, "--PasswordIdentityProvider.password_required=False"]
        case "password":
            hashed = passwd("open sesame", "sha1")  # type: ignore[no-untyped-call]
            return [NO_TOKEN, f"--PasswordIdentityProvider.hashed_password={hashed}"]
        case _:
            return [f"--certfile={certificate(folder)}", f"--keyfile={folder / 'key.pem'}"]


def certificate(folder: Path) -> Path:
    """One that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpu-box")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2099))
    plain = serialization.NoEncryption()
    pem, openssl = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(key.private_bytes(pem, openssl, plain))
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def jupyters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyters]:
    """One real Jupyter of each kind, found by its runtime file as ``connect`` does."""
    folder = tmp_path_factory.mktemp("jupyters")
    with ExitStack() as stack:
        for kind in KINDS:
            place = folder / kind
            place.mkdir()
            stack.enter_context(running(kind, place))
        yield {kind: found_in(folder / kind) for kind in KINDS}


class running:  # noqa: N801  a context manager that reads like a word
    """A Jupyter server, until the end of the context."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._argv = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        self._argv += ["--ip=127.0.0.1", "--port=0", *options(kind, folder)]
        self._folder = folder

    def __enter__(self) -> None:
        own = {name: str(self._folder) for name in ("HOME", "JUPYTER_RUNTIME_DIR")}
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            self._argv,
            env={**environment(), **own, "JUPYTER_NO_CONFIG": "1"},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def __exit__(self, *_exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT_S)
        finally:
            self._process.kill()
            self._log.close()


def found_in(folder: Path) -> Found:
    """What scan.sh sees of the server there, once it has started."""
    where = str(folder)
    variables = {"INSIDE": "host", "JUPYTER_RUNTIME_DIR": where}
    script = Script.build(far.source("scan.sh"), variables=variables)
    seen: list[RuntimeFile] = []

    def look() -> bool:
        done = subprocess.run(
            ["sh", "-s"], check=True, input=script.text, capture_output=True, timeout=TIMEOUT_S
        )
        scan = parse_scan((script.output(done.stdout) or (1, b""))[1])
        seen[:] = [file for file in scan.files if str(file.path).startswith(where)]
        return bool(seen) and any(one.port == seen[0].port for one in scan.listening)

    until(look, f"Jupyter in {folder.name}", 90)
    return on_host(parse_scan(b""), seen[0])


def accepted(found: Found, connect: Connect) -> Server:
    answer = verify(found, connect)
    assert isinstance(answer, Server), answer
    return answer


def reason(found: Found, connect: Connect) -> str:
    answer = verify(found, connect)
    assert isinstance(answer, Rejected), answer
    return answer.reason


def with_file(found: Found, **changes: object) -> Found:
    return replace(found, file=replace(found.file, **changes))  # type: ignore[arg-type]


def at(port: int) -> Found:
    """A stale file that speaks of whatever listens on ``port``."""
    raw = b'@file 0 1 /x/jpserver-1.json\n {"port": %d, "token": "s3cret"}\n' % port
    return on_host(parse_scan(b""), parse_scan(raw).files[0])


def test_the_right_token_is_taken(jupyters: Jupyters, connect: Connect) -> None:
    server = accepted(jupyters["token"], connect)
    assert (server.access, server.base_url) == ("token", "/a/b/")
    assert server.token.reveal()
    assert server.version
    assert server.started
    assert server.kernels == 0
    assert server.port == jupyters["token"].file.port


@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_wrong_token_is_not(jupyters: Jupyters, connect: Connect, token: str) -> None:
    answer = verify(with_file(jupyters["token"], token=Secret(token)), connect)
    if token:
        assert isinstance(answer, Rejected)
        assert "token" in answer.reason
    else:
        assert isinstance(answer, Server)
        assert answer.access == "password"


def test_a_wrong_base_url_is_no_jupyter(jupyters: Jupyters, connect: Connect) -> None:
    assert "no Jupyter under /c/" in reason(with_file(jupyters["token"], base_url="/c/"), connect)


@pytest.mark.parametrize("token", ["", "any"])
def test_an_open_server_is_seen_to_be_open_whatever_the_file_says(
    jupyters: Jupyters, connect: Connect, token: str
) -> None:
    server = accepted(with_file(jupyters["open"], token=Secret(token)), connect)
    assert (server.access, bool(server.token)) == ("open", False)
    assert server.started


def test_a_server_with_a_password_is_seen_to_have_one(jupyters: Jupyters, connect: Connect) -> None:
    server = accepted(jupyters["password"], connect)
    assert (server.access, bool(server.token), server.started) == ("password", False, None)


def test_a_certificate_that_signed_itself_is_no_obstacle(
    jupyters: Jupyters, connect: Connect
) -> None:
    server = accepted(jupyters["tls"], connect)
    assert (server.access, server.endpoint.secure) == ("token", True)


def test_http_to_an_https_port_is_nothing_that_answers(
    jupyters: Jupyters, connect: Connect
) -> None:
    tls = jupyters["tls"]
    plain = tuple(replace(way, secure=False) for way in tls.endpoints)
    assert reason(replace(tls, endpoints=plain), connect) == "nothing answers there"


def test_the_way_that_answers_is_taken(jupyters: Jupyters, connect: Connect) -> None:
    right = jupyters["token"].endpoints
    with closed_port() as port:
        ways = (Endpoint("127.0.0.1", port), *right)
        assert accepted(replace(jupyters["token"], endpoints=ways), connect).endpoint == right[0]


def test_a_file_that_outlived_its_server_leads_nowhere(connect: Connect) -> None:
    with closed_port() as port:
        assert reason(at(port), connect) == "nothing answers there"
    with listening(hang_up) as port:
        assert reason(at(port), connect) == "nothing answers there"


def test_who_listens_and_says_nothing_is_no_dead_server(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remotenb.jupyter.ANSWER_TIMEOUT_S", 0.2)
    monkeypatch.setattr("remotenb.jupyter.PATIENCE_S", 0.3)
    visits: list[int] = []

    def count(sock: socket.socket) -> None:
        visits.append(1)
        silent(sock)

    with listening(count) as port:
        for alive in (False, True):
            visits.clear()
            (answer,) = verify_all([with_file(at(port), alive=alive)], connect)
            assert isinstance(answer, Rejected)
            assert answer.silent
            assert (len(visits) > 3) is alive
    with closed_port() as port:
        (answer,) = verify_all([at(port)], connect)
        assert isinstance(answer, Rejected)
        assert not answer.silent


class Decoy(BaseHTTPRequestHandler):
    """Answers every question with JSON, and is no Jupyter."""

    body: bytes = json.dumps({"version": 3, "status": "ok"}).encode()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("body", [Decoy.body, b"<html>hello", b"[" * 60_000, b"", b"\xff" * 99_999])
def test_another_web_server_is_no_jupyter(connect: Connect, body: bytes) -> None:
    handler = type("Handler", (Decoy,), {"body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        assert "no Jupyter" in reason(at(server.server_address[1]), connect)
        server.shutdown()
        serving.join(TIMEOUT_S)


def test_all_are_asked_at_once_and_the_live_ones_first(
    jupyters: Jupyters, connect: Connect
) -> None:
    with closed_port() as port:
        stale = [with_file(at(port), modified=10**10 + n) for n in range(16)]
        answers = verify_all([*stale, *jupyters.values()], connect)
    assert [type(answer) for answer in answers[:4]] == [Server] * 4
    assert len(answers) == 16
    assert verify_all([], connect) == []
