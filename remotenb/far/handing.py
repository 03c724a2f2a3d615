"""Gives a command in a container this channel itself, past the engine's copying. Python 3.6.

Each byte that an engine's ``exec`` passes goes through three more processes, which cost two thirds
of the speed. So both sides meet at a socket in a folder of this user's that the container mounts,
and the channel goes over it. Run by ``files.sh``, as text.
"""

import array
import json
import os
import select
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from typing import Any, List, Optional

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

MEET_TIMEOUT_S = 10.0
"""For an engine that is slow to start a command; what comes later finds no door."""
DOOR = "door"
STANDARD = (0, 1, 2)
CREDENTIALS = struct.Struct("3i")


def give(text: str, folders: str, *command: str) -> None:
    """Run ``command``, whose last but one is Python and runs in a container, with our channel.

    ``text`` is this file's. ``folders``, as JSON, are paths here and what each is called there;
    where no meeting comes about, the engine shall copy.
    """
    for here, there in json.loads(folders):
        if _mine(here):
            code = _handed(text, here, there, *command)
            if code is not None:
                sys.exit(code)
            break
    os.execvp(command[0], command)  # noqa: S606  the laptop's own command


def _mine(folder: str) -> bool:
    try:
        about = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()


def _handed(text: str, here: str, there: str, *command: str) -> Optional[int]:
    """The command's exit code, or None if it does not come to the door."""
    try:
        folder = tempfile.mkdtemp(prefix=".remotenb-", dir=here)  # with mode 0700
    except OSError:
        return None
    try:
        code = "%s\ntake(%a)\n%s" % (text, there + "/" + os.path.basename(folder), command[-2])
        run = _met(folder, (*command[:-2], code, command[-1]))
    except OSError:
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return run.wait() if run else None


def _met(folder: str, command: "tuple[str, ...]") -> "Optional[subprocess.Popen[bytes]]":
    door, nothing = socket.socket(socket.AF_UNIX), os.open(os.devnull, os.O_RDWR)
    os.chdir(folder)  # by a short path: a socket's address has no more than 107 bytes
    door.bind(DOOR)
    door.listen(1)
    os.chdir("/")
    run = subprocess.Popen(  # noqa: S603  the laptop's own command
        command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing
    )
    comes_or_ends: "List[Any]" = [door, run.stdout]
    if door not in select.select(comes_or_ends, [], [], MEET_TIMEOUT_S)[0]:
        return None
    rights = array.array("i", STANDARD)
    door.accept()[0].sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    for one in STANDARD:
        os.dup2(nothing, one)  # else the reader at the other end would never see an end
    return run


def take(folder: str) -> None:
    """In the container: the channel that waits at the door becomes our stdin, stdout and stderr.

    Others may be able to write where the folder is; only its owner gives us what to run.
    """
    back, sock = os.getcwd(), socket.socket(socket.AF_UNIX)
    os.chdir(folder)
    sock.connect(DOOR)
    os.chdir(back)
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    if CREDENTIALS.unpack(raw)[1] != os.stat(os.path.dirname(folder)).st_uid:
        raise PermissionError(folder)
    rights = array.array("i", STANDARD)
    _, came, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(len(rights) * rights.itemsize))
    for number, one in enumerate(array.array("i", came[0][2])):
        os.dup2(one, number)
        os.close(one)
