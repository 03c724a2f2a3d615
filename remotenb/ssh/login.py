"""Which keys to show to the server, in which order, and what to say when none is accepted.

The seam for other ways to log in is paramiko's own: an object with ``authenticate(transport)``.
Without a person nothing here asks or waits for one; :class:`Remembered` has what one gave before.
"""

from __future__ import annotations

import base64
import os
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import Agent, PKey, SSHException
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PartialAuthentication,
)

from remotenb.errors import AuthenticationFailed, KeyUnusable, LinkError
from remotenb.ssh.remembered import Remembered
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paramiko import Message, Transport

    from remotenb.model import Host, Secret

PASSPHRASE_TRIES = 3
MAX_KEYS = 6
"""sshd's MaxAuthTries: showing more keys than this ends the connection."""
AGENT_TIMEOUT_S = 10.0
TOUCH_TIMEOUT_S = 60.0
"""For an agent's answer where a person may have to confirm it, or to touch a key."""


class AgentHangs(SSHException):
    """It took longer than it may: it is locked, or waits for somebody."""

    def __init__(self) -> None:
        super().__init__("the agent does not answer")


class PatientAgent(Agent):
    """Waits for an answer so long and no longer; after that, never again."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._hangs = False
        try:
            super().__init__()
        except BaseException:
            self.close()
            raise

    def _connect(self, conn: object) -> None:
        if isinstance(conn, socket.socket):  # so that the thread below has an end
            conn.settimeout(self._patience)
        super()._connect(conn)  # type: ignore[misc]

    def _send_message(self, msg: Message) -> tuple[int, Message]:
        """In a thread: Windows' agents are pipes and windows, which know no timeout."""
        if self._hangs:
            raise AgentHangs
        answer: Future[tuple[int, Message]] = Future()
        threading.Thread(target=self._ask, args=(msg, answer), daemon=True).start()
        try:
            return answer.result(self._patience + 1)
        except TimeoutError:
            self._hangs = True
            raise AgentHangs from None

    def _ask(self, msg: Message, answer: Future[tuple[int, Message]]) -> None:
        try:
            answer.set_result(super()._send_message(msg))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key that did not help, and why."""

    key: str
    reason: str


class Login:
    """Public keys: the agent's that ssh_config names, the files, the agent's others.

    A key file with a passphrase comes last, since it costs a person's time.
    """

    def __init__(
        self,
        host: Host,
        *,
        ask_secret: Callable[[str], Secret | None] | None,
        remembered: Remembered | None = None,
    ) -> None:
        self._host = host
        self._ask_secret = ask_secret
        self._unlocked = (remembered or Remembered()).keys
        self._agent_timeout = TOUCH_TIMEOUT_S if ask_secret else AGENT_TIMEOUT_S
        self._refusals: list[Refusal] = []
        self._methods: tuple[str, ...] = ()
        self._unusable: KeyUnusable | None = None
        self._agent: PatientAgent | None = None
        self._agent_hangs = False

    def authenticate(self, transport: Transport) -> None:
        """Log in, or raise :class:`AuthenticationFailed` or :class:`KeyUnusable`."""
        try:
            self._show_keys(transport)
        finally:
            if self._agent is not None:
                self._agent.close()

    def _show_keys(self, transport: Transport) -> None:
        shown: set[bytes] = set()
        for name, key in self._keys():
            if key.asbytes() in shown or len(shown) == MAX_KEYS:
                continue
            shown.add(key.asbytes())
            if self._accepted(transport, name, key):
                return
            if not transport.is_active():
                break
        raise self._failure()

    def _accepted(self, transport: Transport, name: str, key: PKey) -> bool:
        try:
            missing = transport.auth_publickey(self._host.user, key)
        except (BadAuthenticationType, PartialAuthentication) as error:
            self._methods = tuple(error.allowed_types)
            if isinstance(error, PartialAuthentication):
                raise self._more_is_wanted() from None
            self._refusals.append(Refusal(name, "the server takes no keys"))
        except AuthenticationException as error:
            self._refusals.append(Refusal(name, one_line(str(error)).rstrip(".").lower()))
        except SSHException as error:
            self._refuse(name, error)
        else:
            if missing:
                self._methods = tuple(missing)
                raise self._more_is_wanted()
            return True
        return False

    def _refuse(self, name: str, error: SSHException) -> None:
        self._agent_hangs |= isinstance(error, AgentHangs)
        self._refusals.append(Refusal(name, one_line(str(error))))

    def _keys(self) -> Iterator[tuple[str, PKey]]:
        agent = {key.asbytes(): key for key in self._agent_keys()}
        locked: list[Path] = []
        for file in self._host.identity_files:
            in_agent = agent.get(_public_blob(file) or b"")
            key = in_agent or self._again(file) or self._load(file, locked)
            if key is not None:
                yield str(file), key
        if not self._host.identities_only:
            yield from (("agent's " + _name(key), key) for key in agent.values())
        for file in locked:
            key = self._unlock(file)
            if key is not None:
                yield str(file), key

    def _agent_keys(self) -> tuple[PKey, ...]:
        agent = self._host.identity_agent or "SSH_AUTH_SOCK"
        if agent.lower() == "none":
            return ()
        if agent != "SSH_AUTH_SOCK":  # paramiko knows no other way to name one
            os.environ["SSH_AUTH_SOCK"] = str(Path(agent).expanduser())
        try:
            self._agent = PatientAgent(self._agent_timeout)
            return tuple(self._agent.get_keys())
        except AgentHangs as error:
            self._refuse("the agent", error)
            return ()
        except (SSHException, OSError, ValueError):  # an agent that is dead, or none at all
            return ()

    def _again(self, file: Path) -> PKey | None:
        """The key of ``file`` if a person unlocked it before; its certificate may be new."""
        key = self._unlocked.get(file)
        return key and self._with_certificate(key)

    def _load(self, file: Path, locked: list[Path]) -> PKey | None:
        """The key in ``file``; one with a passphrase is put on ``locked`` instead."""
        if not file.is_file():
            return None
        try:
            return self._with_certificate(PKey.from_path(file))
        except TypeError:  # what cryptography says when a password is wanted
            locked.append(file)
        except (ValueError, OSError, UnknownKeyType, SSHException) as error:
            self._cannot_use(file, _why_unusable(file, error))
        return None

    def _unlock(self, file: Path) -> PKey | None:
        if self._ask_secret is None:
            self._cannot_use(file, "it has a passphrase, and there is no terminal to ask for it")
            return None
        for _ in range(PASSPHRASE_TRIES):
            passphrase = self._ask_secret(f"Passphrase for {file}: ")
            if passphrase is None:
                break
            try:
                key = self._unlocked[file] = _decrypted(file, passphrase)
            except (ValueError, SSHException):  # the wrong one: ask again
                continue
            return self._with_certificate(key)
        self._cannot_use(file, "its passphrase was not given")
        return None

    def _with_certificate(self, key: PKey) -> PKey:
        for certificate in self._host.certificate_files:
            try:
                key.load_certificate(str(certificate))
            except (ValueError, OSError, SSHException):  # another key's, or not there
                continue
        return key

    def _cannot_use(self, file: Path, why: str) -> None:
        hint = f"put it into your agent: ssh-add {file}"
        if "passphrase" not in why:
            hint = "name the right key with IdentityFile in ssh_config"
        self._unusable = self._unusable or KeyUnusable(f"the key {file}: {why}", hint=hint)
        self._refusals.append(Refusal(str(file), why))

    def _failure(self) -> LinkError:
        if self._unusable is not None:
            return self._unusable
        login = self._host.login
        hint = f"put your key there with: ssh-copy-id {self._host.name}"
        if self._methods and "publickey" not in self._methods:
            hint = f"{login} takes only {', '.join(self._methods)}; ask its administrator for keys"
        if not self._refusals:
            return AuthenticationFailed(
                f"no key to log in to {login} with", hint=f"ssh-keygen -t ed25519, then {hint}"
            )
        if self._agent_hangs:
            hint = "is your agent locked, or waiting for you to confirm or touch something?"
        tried = "; ".join(f"{r.key}: {r.reason}" for r in self._refusals)
        return AuthenticationFailed(f"{login} accepted none of your keys ({tried})", hint=hint)

    def _more_is_wanted(self) -> AuthenticationFailed:
        return AuthenticationFailed(
            f"{self._host.login} accepted the key and wants more: {', '.join(self._methods)}",
            hint="remotenb cannot give a second factor yet; ask for a login by key alone",
        )


def _decrypted(file: Path, passphrase: Secret) -> PKey:
    # cryptography wants bytes, whatever paramiko's stubs say
    return PKey.from_path(file, passphrase.reveal().encode())  # type: ignore[arg-type]


def _name(key: PKey) -> str:
    return str(getattr(key, "comment", "") or key.get_name())


def _public_blob(file: Path) -> bytes | None:
    """The public half of a key file, from the ``.pub`` beside it; None when there is none."""
    try:
        fields = Path(f"{file}.pub").read_text(encoding="utf-8").split()
        return PKey.from_type_string(fields[0], base64.b64decode(fields[1])).asbytes()
    except (OSError, ValueError, IndexError, SSHException, UnknownKeyType):
        return None


def _why_unusable(file: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "it cannot be read: permission denied"
    if isinstance(error, UnknownKeyType):
        return "a key of a type that is not supported; use ed25519"
    start = file.read_bytes()[:400] if not isinstance(error, OSError) else b""
    if start.startswith((b"ssh-", b"ecdsa-")):
        return "that is the public half; name the file without .pub"
    if start.startswith(b"PuTTY-User-Key-File"):
        return "a PuTTY key; export it as an OpenSSH key with PuTTYgen first"
    return f"it is not a private key ({one_line(str(error), 80)})"
