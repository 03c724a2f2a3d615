"""The people on the box, and the texts of /etc that name them.

Written as text instead of by useradd: the box starts as a copy of the tester's machine, whose
own people must not be on it, and whose uid 1000 may be taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# With `UsePAM no`, sshd refuses a locked account ("!"); "*" is only a password that never fits.
_NO_PASSWORD: Final = "*"
_FIRST_PERSON: Final = 1000
_LAST_PERSON: Final = 60000
_DOCKER_GID: Final = 990


@dataclass(frozen=True)
class User:
    """An account on the box."""

    name: str
    uid: int
    in_docker_group: bool
    home: str
    shell: str = "/bin/bash"


USERS: Final = (
    User("alice", 1000, in_docker_group=True, home="/home/alice"),
    User("bob", 1001, in_docker_group=True, home="/home/bob"),
    User("carol", 1002, in_docker_group=False, home="/home/carol"),
)


def passwd_text() -> str:
    """Return /etc/passwd: this machine's system accounts and the box's people."""
    own = [f"{u.name}:x:{u.uid}:{u.uid}:{u.name}:{u.home}:{u.shell}" for u in USERS]
    return _lines([*_system_lines("/etc/passwd"), *own])


def group_text() -> str:
    """Return /etc/group, with a group for each person and the members of docker."""
    system = [line for line in _system_lines("/etc/group") if not line.startswith("docker:")]
    members = ",".join(user.name for user in USERS if user.in_docker_group)
    own = [f"{user.name}:x:{user.uid}:" for user in USERS]
    return _lines([*system, f"docker:x:{_docker_gid()}:{members}", *own])


def shadow_text() -> str:
    """Return /etc/shadow, in which nobody has a password."""
    names = [line.split(":")[0] for line in passwd_text().splitlines()]
    return _lines([f"{name}:{_NO_PASSWORD}:20000:0:99999:7:::" for name in names])


def with_password(shadow: str, name: str, hashed: str, *, expired: bool) -> str:
    """Return the text of a shadow file in which one user has a password."""
    lines = []
    for line in shadow.splitlines():
        fields = line.split(":")
        if fields[0] == name:
            fields[1:3] = [hashed, "0" if expired else fields[2]]
        lines.append(":".join(fields))
    return _lines(lines)


def find(passwd: str, name: str) -> User:
    """Read a user's present entry out of the text of a passwd file."""
    for line in passwd.splitlines():
        fields = line.split(":")
        if fields[0] == name:
            uid, home, shell = int(fields[2]), fields[5], fields[6]
            return User(name, uid, in_docker_group=False, home=home, shell=shell)
    raise KeyError(name)


def edited(passwd: str, name: str, *, home: str | None = None, shell: str | None = None) -> str:
    """Return the text of a passwd file with another home or login shell for one user."""
    lines = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if fields[0] == name:
            fields[5:7] = [home or fields[5], shell or fields[6]]
        lines.append(":".join(fields))
    return _lines(lines)


def _docker_gid() -> str:
    for line in Path("/etc/group").read_text().splitlines():
        if line.startswith("docker:"):
            return line.split(":")[2]
    return str(_DOCKER_GID)


def _system_lines(path: str) -> list[str]:
    lines = Path(path).read_text().splitlines()
    return [line for line in lines if not _FIRST_PERSON <= int(line.split(":")[2]) < _LAST_PERSON]


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
