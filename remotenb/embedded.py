"""A small SSH server on the loopback: what ``demo`` talks to, and tests where no sshd can run.

It is asyncssh's, with one key that may log in, commands run by this machine's ``sh``, and
forwards to the loopback alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from remotenb.model import Host

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from concurrent.futures import Future

T = TypeVar("T")
START_TIMEOUT_S = 10.0
CHUNK = 1 << 16


class _Server(asyncssh.SSHServer):
    """Forwards to the loopback, and nowhere else."""

    def __init__(self, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note who is there."""
        self._connections.add(conn)

    def connection_requested(
        self,
        dest_host: str,
        dest_port: int,  # noqa: ARG002  asyncssh's signature
        orig_host: str,  # noqa: ARG002
        orig_port: int,  # noqa: ARG002
    ) -> bool:
        """Whether a forward may be opened."""
        return dest_host in {"127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class _Commands:
    """Runs what a client asks for, in a home of its own."""

    home: Path
    environment: Mapping[str, str]

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One command by ``sh -c``, its three streams carried; asyncssh's redirect leaks tasks."""
        child = await asyncio.create_subprocess_exec(
            *("sh", "-c", process.command or ":"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            start_new_session=True,
            env={**self.environment, "HOME": str(self.home)},
        )
        assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018  they are pipes
        feeding = asyncio.ensure_future(_feed(process.stdin, child.stdin))
        printing = [
            asyncio.ensure_future(_pump(child.stdout, process.stdout)),
            asyncio.ensure_future(_pump(child.stderr, process.stderr)),
        ]
        try:
            await asyncio.gather(*printing)
            process.exit(await child.wait())
        except OSError:
            process.close()  # the client has left
        finally:
            for task in (feeding, *printing):
                task.cancel()
            await asyncio.gather(*printing, return_exceptions=True)  # one reader at a time
            if child.returncode is None and sys.platform != "win32":
                os.killpg(child.pid, signal.SIGKILL)
                await child.communicate()


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()


async def _feed(source: asyncssh.SSHReader[bytes], sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass  # the command does not read, or the client has left
    finally:
        sink.close()


class EmbeddedServer:
    """An SSH server in a thread of this process; a context manager."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        """Keys go into ``folder``, which must be private; the commands' home is in it too."""
        self._folder = folder
        self._environment = environment
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self.home = folder / "home"

    def __enter__(self) -> Host:
        """Start; the host that leads here, its key already known."""
        self.home.mkdir(exist_ok=True)
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        identity = self._folder / "id_ed25519"
        user_key.write_private_key(str(identity))
        identity.chmod(0o600)
        self._thread.start()
        self._keys = host_key, user_key.export_public_key()
        self._acceptor = self._do(self._listen(0)).result(START_TIMEOUT_S)
        port = self._acceptor.get_port()
        known_hosts = self._folder / "known_hosts"
        public = host_key.export_public_key().decode()
        known_hosts.write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
        return Host(
            name="demo",
            hostname="127.0.0.1",
            user=getuser(),
            port=port,
            identity_files=(identity,),
            identities_only=True,
            identity_agent="none",
            user_known_hosts=(known_hosts,),
            strict_host_key="yes",
        )

    def drop(self, seconds: float) -> None:
        """Cut every connection, and take no other for so long."""
        self._do(self._be_away(seconds))

    async def _be_away(self, seconds: float) -> None:
        assert self._acceptor is not None  # noqa: S101  there are connections to be cut
        port = self._acceptor.get_port()
        self._acceptor.close()
        for connection in self._connections:
            connection.abort()
        await asyncio.sleep(seconds)
        self._acceptor = await self._listen(port)

    def _do(self, work: Coroutine[object, object, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self, port: int) -> asyncssh.SSHAcceptor:
        host_key, user_key = self._keys
        return await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=lambda: _Server(self._connections),
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(user_key.decode()),
            process_factory=_Commands(self.home, self._environment).run,
            encoding=None,
        )

    def __exit__(self, *_exc: object) -> None:
        self._do(self._shut()).result(START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT_S)
        self._loop.close()

    async def _shut(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
        for connection in self._connections:
            connection.abort()
            await connection.wait_closed()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
