"""The SSH transport, tuned where paramiko leaves round trips lying about."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from paramiko import AuthenticationException, Message, SSHException
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import (
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
)
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.transport import ServiceRequestingTransport

from remotenb.ssh.algorithms import allowed, takes
from remotenb.ssh.buffers import GulpingPacketizer, receive_faster
from remotenb.ssh.dial import IDENTIFICATION
from remotenb.ssh.hostcerts import SUFFIX

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Callable, Sequence

    from paramiko import Channel

    from remotenb.model import Host

GRACE_S = 180.0
"""For what a person, or their telephone, has to do; sshd's own LoginGraceTime is 120 s."""
PROMPTS_LIMIT = 32

WINDOW_BYTES = 8 << 20
"""Of a channel: more than OpenSSH's 2 MiB pays on long paths, more than 16 MiB does not."""


class Round(NamedTuple):
    """What the server asks at once in keyboard-interactive; its text is the server's own."""

    title: str
    instructions: str
    prompts: tuple[tuple[str, bool], ...]
    """Each with whether what is typed may be seen."""


class AuthHandler(AuthOnlyHandler):
    """paramiko's, with what it leaves out.

    paramiko makes the event to wait for after it has sent the request: an answer that comes before
    that is missed, and the login hangs. It calls for a person's answers in the transport's thread,
    where Ctrl-C does not reach them. It forgets which methods the server would take, and knows
    neither the request to change a password nor the question whether a key would do. So whatever
    the server says goes through a queue, which the thread that logs in reads.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._said: queue.SimpleQueue[Round | None] = queue.SimpleQueue()
        self._over = False
        self._key_would_do = False
        self.allowed: tuple[str, ...] | None = None
        """The methods that may go on, as the server said last; None before it did."""
        self.change_wanted = False
        """The password was right, and has expired."""
        self.answer: Callable[[Round], Sequence[str]] = _nobody
        """Answers each round; what it raises ends the login's attempt."""

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[Message], None] | None = None
    ) -> list[str]:
        """Ask to be let in by ``method``, and wait; the methods that are still missing."""
        self._over = self._key_would_do = self.change_wanted = False
        finish = finish_message or _nothing_more
        missing: list[str] = super().send_auth_request(username, method, finish)
        return missing

    def send_interactive(self, username: str) -> list[str]:
        """Begin keyboard-interactive; each round goes to :attr:`answer`."""

        def finish(message: Message) -> None:
            message.add_string("")  # a language, which nobody sends
            message.add_string("")  # no wish for a certain device

        return self.send_auth_request(username, "keyboard-interactive", finish)

    def wait_for_response(self, event: threading.Event) -> list[str]:
        """Answer what the server asks, until it has decided."""
        deadline = time.monotonic() + (self.transport.auth_timeout or GRACE_S)
        while not self._over and self.transport.is_active():
            if time.monotonic() > deadline:
                raise AuthenticationException("the server did not answer the login in time")
            try:
                said = self._said.get(timeout=0.1)
            except queue.Empty:
                continue
            if said is not None:
                self._respond(said)
                deadline = time.monotonic() + GRACE_S
        event.set()
        missing: list[str] = super().wait_for_response(event)
        return missing

    def would_take(self, username: str, key_type: str, blob: bytes) -> bool:
        """Whether the server would take a key of which only the public half is at hand."""

        def finish(message: Message) -> None:
            message.add_boolean(False)  # noqa: FBT003  the protocol's: no signature
            message.add_string(key_type)
            message.add_string(blob)

        try:
            self.send_auth_request(username, "publickey", finish)
        except AuthenticationException:
            if not self._key_would_do:
                raise
        return self._key_would_do

    def _respond(self, said: Round) -> None:
        response = Message()
        response.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
        answers = self.answer(said)
        response.add_int(len(answers))
        for answer in answers:
            response.add_string(answer)
        # paramiko's own way to send; its stubs leave it out
        self.transport._send_message(response)  # type: ignore[attr-defined]  # noqa: SLF001

    # in the transport's thread

    def _end(self) -> None:
        self._over = True
        self._said.put(None)

    def _parse_userauth_success(self, m: Message) -> None:
        super()._parse_userauth_success(m)  # type: ignore[misc]
        self._end()

    def _parse_userauth_failure(self, m: Message) -> None:
        start = m.packet.tell()
        self.allowed = tuple(m.get_list())
        m.packet.seek(start)
        super()._parse_userauth_failure(m)  # type: ignore[misc]
        self._end()

    def _parse_userauth_info_request(self, m: Message) -> None:
        """Message 60, which means three things, by what was asked for."""
        if self.auth_method == "publickey":
            self._key_would_do = True
            self._end()
        elif self.auth_method == "password":
            self.change_wanted = True
            self._end()
        else:
            self._said.put(_round(m))


def _round(m: Message) -> Round:
    title, instructions = m.get_text(), m.get_text()
    m.get_binary()  # a language, which nobody sends
    count = m.get_int()
    if count > PROMPTS_LIMIT:
        raise SSHException(f"the server asks {count} questions at once")
    return Round(title, instructions, tuple((m.get_text(), m.get_boolean()) for _ in range(count)))


def _nobody(_said: Round) -> Sequence[str]:
    raise AuthenticationException("the server asks, and nobody is there to answer")


def _nothing_more(_message: Message) -> None:
    """Some methods say no more than their name."""


_LIBSSH = "curve25519-sha256@libssh.org"
_BASE: Any = ServiceRequestingTransport  # its stubs leave these out
# the same exchange by its standard name, which paramiko does not know
_KEX_INFO: dict[str, object] = {**_BASE._kex_info, "curve25519-sha256": KexCurve25519}  # noqa: SLF001
_KEX_ORDER: tuple[str, ...] = tuple(
    name
    for one in _BASE._preferred_kex  # noqa: SLF001
    for name in (("curve25519-sha256", one) if one == _LIBSSH else (one,))
)


class Transport(ServiceRequestingTransport):
    """paramiko's transport with the faster choices first.

    AES-GCM costs a third of paramiko's default in CPU. The request for the login service
    goes out together with the first login, not one round trip before it.
    """

    _kex_info = _KEX_INFO
    _preferred_kex = _KEX_ORDER
    _preferred_macs = (
        "hmac-sha2-256",
        "hmac-sha2-512",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha1",
    )
    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    def __init__(self, sock: socket.socket, **options: object) -> None:
        super().__init__(
            sock,
            default_window_size=WINDOW_BYTES,
            packetizer_class=GulpingPacketizer,
            **options,  # type: ignore[arg-type]
        )
        self.local_version = IDENTIFICATION
        self._service_requested = False

    def restrict(self, host: Host) -> None:
        """Use what ssh_config allows for ``host``; raises :class:`SshConfigError` for nothing."""
        for keyword, spec, ours, known in (
            ("ciphers", host.ciphers, "_preferred_ciphers", "_cipher_info"),
            ("macs", host.macs, "_preferred_macs", "_mac_info"),
            ("kexalgorithms", host.kex_algorithms, "_preferred_kex", "_kex_info"),
            ("hostkeyalgorithms", host.host_key_algorithms, "_preferred_keys", "_key_info"),
        ):
            names = [one for one in getattr(self, known) if "cert-v01" not in one]
            setattr(self, ours, allowed(spec, getattr(self, ours), names, keyword))
        spec = host.public_key_algorithms
        self._preferred_pubkeys = tuple(n for n in _BASE._preferred_pubkeys if takes(spec, n))  # noqa: SLF001

    def prefer_key_types(self, types: tuple[str, ...], certified: str | None) -> None:
        """Ask for host keys of these types first: those that known_hosts can judge.

        Before them for certificates, which ``certified`` may limit; None where they do not count.
        """
        security = self.get_security_options()
        plain = security.key_types
        wanted = [sign for t in types for sign in _signatures(t) if sign in plain]
        order = [*wanted, *(t for t in plain if t not in wanted)]
        certificates = [f"{t}{SUFFIX}" for t in order] if certified is not None else []
        named = [one for one in certificates if takes(certified or "", one)]
        security.key_types = (*named, *order)

    def open_session(
        self,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> Channel:
        """A session, on which nothing comes before something was asked for."""
        channel = super().open_session(window_size, max_packet_size, timeout)
        receive_faster(channel)
        return channel

    def get_auth_handler(self) -> AuthHandler:
        """One that misses no answer."""
        return AuthHandler(self)

    @property
    def banner_text(self) -> str:
        """What sshd said before the login; as it came, so not fit for a terminal."""
        # get_banner has none any more when the connection has ended
        said: bytes | None = getattr(self.auth_handler, "banner", None)
        return (said or b"").decode("utf-8", "replace")

    @property
    def login(self) -> AuthHandler:
        """What logs in, once the login service has been asked for."""
        if not self._service_requested:
            self.ensure_session()
        handler = self.auth_handler
        assert isinstance(handler, AuthHandler)  # noqa: S101  see get_auth_handler
        return handler

    def ensure_session(self) -> None:
        """Ask for the login service, once, and do not wait for the answer."""
        if not self.is_active() or not self.initial_kex_done:
            msg = "No existing session"
            raise SSHException(msg)
        if self._service_requested:
            return
        self._service_requested = True
        request = Message()
        request.add_byte(cMSG_SERVICE_REQUEST)
        request.add_string("ssh-userauth")
        # paramiko's own way to send; its stubs leave it out
        self._send_message(request)  # type: ignore[attr-defined]
        self.auth_handler = self.get_auth_handler()


def _signatures(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)
