"""The SSH transport, tuned where paramiko leaves round trips lying about."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from paramiko import Message, PKey, SSHException
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_SERVICE_REQUEST
from paramiko.transport import ServiceRequestingTransport

if TYPE_CHECKING:
    import socket

    from paramiko import Channel

WINDOW_BYTES = 8 << 20
"""Of a channel: more than OpenSSH's 2 MiB pays on long paths, more than 16 MiB does not."""


class _AuthHandler(AuthOnlyHandler):
    """paramiko makes the event to wait for after it has sent the request.

    An answer that comes before that is missed, and the login hangs; so the event is made
    before, and what paramiko assigns later is passed over.
    """

    _event: threading.Event | None = None

    @property
    def auth_event(self) -> threading.Event | None:
        """Set when the server has answered."""
        return self._event

    @auth_event.setter
    def auth_event(self, _late: threading.Event | None) -> None:
        return

    def auth_publickey(self, username: str, key: PKey) -> list[str]:  # type: ignore[override]
        """Show one key; the methods that are still missing."""
        self._event = threading.Event()
        missing: list[str] = super().auth_publickey(username, key)
        return missing


class Transport(ServiceRequestingTransport):
    """paramiko's transport with the faster choices first.

    AES-GCM costs a third of paramiko's default in CPU. The request for the login service
    goes out together with the first login, not one round trip before it.
    """

    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    def __init__(self, sock: socket.socket, **options: object) -> None:
        super().__init__(sock, default_window_size=WINDOW_BYTES, **options)  # type: ignore[arg-type]
        self._service_requested = False

    def prefer_key_types(self, types: tuple[str, ...]) -> None:
        """Ask for host keys of these types first: those that known_hosts can judge."""
        security = self.get_security_options()
        wanted = [sign for t in types for sign in _signatures(t) if sign in security.key_types]
        security.key_types = (*wanted, *(t for t in security.key_types if t not in wanted))

    def get_auth_handler(self) -> _AuthHandler:
        """One that misses no answer."""
        return _AuthHandler(self)

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


def exec_at_once(transport: Transport, channel: Channel, command: str) -> None:
    """Ask for ``command`` without waiting for the answer: our first bytes follow at once.

    Saves a round trip for each script. A server that refuses closes the channel, which shows.
    """
    request = Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(False)  # noqa: FBT003  the protocol's want_reply
    request.add_string(command)
    transport._send_user_message(request)  # type: ignore[attr-defined]  # noqa: SLF001
