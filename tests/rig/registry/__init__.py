"""A registry on the laptop's network: Debian's docker-registry behind a front like NVIDIA's.

It is `nvcr.io` for those who are told where that is (`open_to`, `hosts`), with a certificate
that they must be given; and plain HTTP at 127.0.0.1:5000 of the laptop. What the front does to
its visitors is in `front.py`, what it has in `contents.py`.
"""

import http.client
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.rig import cache
from tests.rig.box import Box
from tests.rig.dockerd import UnixConnection
from tests.rig.failures import RigError, until
from tests.rig.images import Layer
from tests.rig.namespaces import Holder, end, execute, start
from tests.rig.network import LAPTOP_IP, REGISTRY_NAMES
from tests.rig.registry import contents
from tests.rig.registry.front import NAME, Faults, Front, Request

PORT: Final = 443
PLAIN_PORT: Final = 5000
_CERTS: Final = "/etc/docker/certs.d"
_FILTER: Final = ("iptables", "-w")
_RULE: Final = (
    *("OUTPUT", "-d", LAPTOP_IP, "-p", "tcp", "--dport", str(PORT)),
    *("-j", "REJECT", "--reject-with", "tcp-reset"),
)
_SETTINGS: Final = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {store}}}
  maintenance: {{readonly: {{enabled: {readonly}}}}}
http: {{net: unix, addr: {socket}, relativeurls: true}}
"""


class Registry:
    """One registry for one laboratory, for as long as that is up."""

    name: Final = NAME
    plain: Final = f"127.0.0.1:{PLAIN_PORT}"

    def __init__(self, place: Path, laptop: Holder, layers: Mapping[str, Sequence[Layer]]) -> None:
        """Start it; `place` is a directory of its own."""
        store = _filled_store(place, layers)
        self.certificate: Final = place / "certificate.pem"
        self.hosts: Final = place / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {' '.join(REGISTRY_NAMES)}\n")
        self.faults: Final = Faults()
        self.seen: Final[list[Request]] = []
        key = _certify(self.certificate)
        with ExitStack() as stack:
            behind = stack.enter_context(_Server(place, store, readonly=True))
            for port, pem in ((PORT, key), (PLAIN_PORT, None)):
                front = Front(laptop.net, port, behind.connect, (self.faults, self.seen), pem)
                stack.callback(front.close)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Take it down."""
        self._open.close()

    def reset(self) -> None:
        """Let it be well again, and forget who asked for what."""
        self.faults.__init__()  # type: ignore[misc]
        self.seen.clear()

    def open_to(self, box: Box) -> None:
        """Let a box reach it, and give its docker the certificate."""
        while box.run([*_FILTER, "-D", *_RULE], check=False).returncode == 0:
            pass
        for name in REGISTRY_NAMES:
            box.write(f"{_CERTS}/{name}/ca.crt", self.certificate.read_text())

    def shut_from(self, box: Box) -> None:
        """Let a box have no way to it, as on a machine without internet."""
        box.run([*_FILTER, "-I", *_RULE])
        box.run(["rm", "-rf", _CERTS])

    def within(self) -> tuple[str, ...]:
        """Return the command that runs what follows it where the registry's names are known."""
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        apart = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
        return (*apart, str(self.hosts))


class _Server:
    """Debian's docker-registry on a unix socket."""

    def __init__(self, place: Path, store: Path, *, readonly: bool) -> None:
        self._socket = place / "registry.sock"
        settings = place / "registry.yml"
        settings.write_text(
            _SETTINGS.format(store=store, socket=self._socket, readonly=str(readonly).lower())
        )
        argv = ["docker-registry", "serve", str(settings)]
        self._process = start(argv, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        until(self._answers, "docker-registry")
        return self

    def __exit__(self, *_exc: object) -> None:
        end(self._process)
        self._socket.unlink(missing_ok=True)

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection to it."""
        return UnixConnection(str(self._socket))

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            message = "docker-registry ended"
            raise RigError(message)
        return self._socket.exists()


def prepare(place: Path, layers: Mapping[str, Sequence[Layer]]) -> None:
    """Fill the cache, which takes half a minute the first time."""
    _filled_store(place, layers)


def _filled_store(place: Path, layers: Mapping[str, Sequence[Layer]]) -> Path:
    """Return the registry's directory in the cache; it is only read from then on."""
    root = cache.directory("registry")
    store = root / contents.recipe(layers)
    with cache.lock("registry", seconds=600.0):
        if not store.exists():
            execute(["sh", "-c", 'rm -rf "$0"/* "$0"/.partial', str(root)])
            partial = root / ".partial"
            partial.mkdir()
            with _Server(place, partial, readonly=False) as server:
                contents.fill(server.connect, layers, partial)
            partial.rename(store)
    return store


def _certify(certificate: Path) -> Path:
    """Make a certificate that is its own authority; return the file that has the key as well."""
    both = certificate.with_name("key.pem")
    names = ",".join((*(f"DNS:{name}" for name in REGISTRY_NAMES), f"IP:{LAPTOP_IP}"))
    extensions = (f"subjectAltName={names}", "keyUsage=critical,digitalSignature,keyCertSign")
    execute(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=rig", "-keyout", str(both)]
        + ["-out", str(certificate)]
        + [word for extension in extensions for word in ("-addext", extension)]
    )
    both.write_text(both.read_text() + certificate.read_text())
    return both
