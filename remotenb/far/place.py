"""Where the relay's socket is: the one door to it, open to its own user alone. Python 3.6.

A path in the first folder that can be written, and beside it an abstract address, which needs
no folder at all and is guarded by asking the kernel who is at the other end. Folders may go
while we live (a session's runtime folder ends with the last login), so both are tried.
"""

import os
import socket
import stat
import struct
import sys
from typing import Iterator, List, Optional

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

_CREDENTIALS = struct.Struct("3i")


def folders(named: List[str]) -> Iterator[str]:
    """The folders to try, best first: those ``named``, or one of our own in the usual places."""
    for path in named:
        yield path
    if named:
        return
    runtime = os.environ.get("JUPYTER_RUNTIME_DIR", "")
    home = os.environ.get("HOME", "")
    bases = [
        os.environ.get("XDG_RUNTIME_DIR", ""),
        runtime or (home and home + "/.local/share/jupyter/runtime"),
        "/dev/shm",
        "/tmp",
    ]
    for base in bases:
        if base and os.path.isdir(base):
            yield os.path.join(base, "remotenb-%d" % os.getuid())


def usable(folder: str, make: bool) -> bool:
    """Whether ``folder`` is there, is no link, and only its owner, which we are, gets in."""
    try:
        if make and not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
        state = os.lstat(folder)
    except OSError:
        return False
    return (
        stat.S_ISDIR(state.st_mode)
        and (state.st_uid == os.getuid() or os.getuid() == 0)
        and not state.st_mode & 0o077
    )


def abstract(name: str) -> str:
    """The address that is no path."""
    return "\0remotenb-%d-%s" % (os.getuid(), name)


def of_this_network(name: str) -> str:
    """The name in a folder that several network namespaces of a machine share, as containers' do.

    A relay dials where it runs: one of another namespace reaches other servers.
    """
    try:
        return "%s-%x" % (name, os.stat("/proc/self/ns/net").st_ino)
    except OSError:
        return name


def connect(named: List[str], name: str) -> Optional[socket.socket]:
    """A connection to the relay of that ``name``; None when there is none."""
    name = name if named else of_this_network(name)
    for folder in folders(named):
        if usable(folder, make=False):
            sock = _connect_in(folder, name)
            if sock is not None:
                return sock
    if named:
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(abstract(name))
    except OSError:
        sock.close()
        return None
    if peer_uid(sock) != os.getuid():  # somebody else has taken the name
        sock.close()
        return None
    return sock


def _connect_in(folder: str, name: str) -> Optional[socket.socket]:
    """By a short relative path: a socket's address has no more than 107 bytes."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    here = os.getcwd()
    try:
        os.chdir(folder)
        sock.connect(name)
    except OSError:
        sock.close()
        return None
    finally:
        os.chdir(here)
    return sock


class Door:
    """The listening sockets of a relay, and the files that must go with it."""

    def __init__(self, named: List[str], name: str) -> None:
        self.name = name if named else of_this_network(name)
        self.folder = ""
        self.sockets: "List[socket.socket]" = []
        self._inode = 0
        for folder in folders(named):
            if usable(folder, make=True) and self._bind_in(folder):
                break
        if not named:
            self._bind_abstract()
        if not self.sockets:
            raise OSError("no folder for the relay's socket can be written")

    def trusted(self, sock: socket.socket, listener: socket.socket) -> bool:
        """Whether whoever came by that listener may come in: a path guards itself."""
        by_path = isinstance(listener.getsockname(), str)
        return by_path or peer_uid(sock) == os.getuid()

    def close(self) -> None:
        """Stop listening, and leave no file and no folder of ours."""
        for sock in self.sockets:
            sock.close()
        path = os.path.join(self.folder, self.name)
        try:
            if self.folder and os.lstat(path).st_ino == self._inode:
                os.unlink(path)
                os.rmdir(self.folder)  # fails where others are in it, and should
        except OSError:
            pass

    def _bind_in(self, folder: str) -> bool:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = os.getcwd()
        try:
            os.chdir(folder)
            if os.path.lexists(self.name):
                os.unlink(self.name)  # of one that died: who starts a relay has tried to connect
            sock.bind(self.name)
            owner = os.stat(".")
            os.chmod(self.name, 0o600)
            os.chown(self.name, owner.st_uid, owner.st_gid)
            self._inode = os.lstat(self.name).st_ino
            sock.listen(16)
        except OSError:
            sock.close()
            return False
        finally:
            os.chdir(here)
        self.folder = folder
        self.sockets.append(sock)
        return True

    def _bind_abstract(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(abstract(self.name))
            sock.listen(16)
        except OSError:
            sock.close()
            return
        self.sockets.append(sock)


def peer_uid(sock: socket.socket) -> int:
    """Who is at the other end, by the kernel's word."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid = _CREDENTIALS.unpack(raw)[1]
    return int(uid)
