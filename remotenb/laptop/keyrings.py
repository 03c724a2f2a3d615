"""The system's keyring, reached by the library of that name: the only place where secrets are kept.

A keyring may be absent (no desktop, WSL, no D-Bus), switched off, locked, or hang; none of this
stops anything, and nothing is ever written elsewhere instead.
"""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Future
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from remotenb.errors import KeyringUnusable
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10.0
UNLOCK_TIMEOUT_S = 120.0
"""Where a person may have to type the keyring's own password first."""
WINDOWS_LIMIT_BYTES = 2560
"""Of CredWrite, in UTF-16; above it Windows says 1783, "the stub received bad data"."""
WINDOWS_TOO_LONG = 1783

T = TypeVar("T")


class Keyring:
    """Gets, sets and deletes; each raises :class:`KeyringUnusable`, which says why."""

    def __init__(self, *, may_ask: bool) -> None:
        """``may_ask``: the desktop may show a person a dialog that unlocks the keyring."""
        self._may_ask = may_ask
        self._backend: KeyringBackend | None = None
        self._failure: KeyringUnusable | None = None

    def get(self, service: str, name: str) -> str | None:
        """What is kept under that name."""
        return self._within(lambda backend: backend.get_password(service, name))

    def set(self, service: str, name: str, value: str) -> None:
        """Keep ``value``, in place of what was kept before."""
        self._within(lambda backend: _set(backend, service, name, value))

    def delete(self, service: str, name: str) -> None:
        """Take it away; it may be gone already."""
        self._within(lambda backend: _delete(backend, service, name))

    def _within(self, call: Callable[[KeyringBackend], T]) -> T:
        """In a thread: what hangs must not hold a login up, and is not asked again."""
        if self._failure is not None:
            raise self._failure
        answer: Future[T] = Future()
        threading.Thread(target=self._call, args=(call, answer), daemon=True).start()
        patience = UNLOCK_TIMEOUT_S if self._may_ask else ANSWER_TIMEOUT_S
        try:
            return answer.result(patience)
        except KeyringUnusable as error:
            self._failure = error if self._backend is None else None
            raise
        except TimeoutError:
            self._failure = KeyringUnusable(
                f"the system's keyring did not answer in {patience:g} s",
                hint="is it locked? Unlock it; until then secrets are asked for each time",
            )
            raise self._failure from None

    def _call(self, call: Callable[[KeyringBackend], T], answer: Future[T]) -> None:
        try:
            self._backend = self._backend or _usable()
            if not self._may_ask and _would_ask(self._backend):
                raise KeyringUnusable("the system's keyring is locked", hint="unlock it")  # noqa: TRY301
            answer.set_result(call(self._backend))
        except KeyringUnusable as error:
            answer.set_exception(error)
        except Exception as error:  # noqa: BLE001  backends raise what their libraries raise
            logger.info("keyring: %r", error)
            answer.set_exception(_unusable(error))


def _usable() -> KeyringBackend:
    """The keyring that the user chose, else the best there is, if it is one that encrypts."""
    from keyring import backend, core  # noqa: PLC0415  80 ms, and only where a secret is wanted
    from keyring.backends import chainer, fail, null  # noqa: PLC0415

    chosen = core.load_env() or core.load_config()
    if isinstance(chosen, (fail.Keyring, null.Keyring)):
        raise KeyringUnusable(
            "keyrings are switched off on this laptop",
            hint="secrets are asked for each time; PYTHON_KEYRING_BACKEND or keyringrc.cfg says so",
        )
    if chosen is not None and not isinstance(chosen, chainer.ChainerBackend):
        return chosen
    found = [
        one
        for one in backend.get_all_keyring()
        if core.recommended(one) and not isinstance(one, chainer.ChainerBackend)
    ]
    if not found:
        raise KeyringUnusable(
            "there is no keyring on this laptop that could keep secrets",
            hint="they are asked for each time; gnome-keyring and KWallet keep them on Linux",
        )
    return max(found, key=backend.by_priority)


def _would_ask(backend: KeyringBackend) -> bool:
    """Whether the desktop would show a dialog, because its keyring is locked."""
    if type(backend).__module__ != "keyring.backends.SecretService":
        return False
    import secretstorage  # noqa: PLC0415  Linux alone has it

    with closing(secretstorage.dbus_init()) as bus:
        return bool(secretstorage.Collection(bus).is_locked())


def _set(backend: KeyringBackend, service: str, name: str, value: str) -> None:
    of_windows = type(backend).__name__ == "WinVaultKeyring"
    if of_windows and len(value.encode("utf-16-le")) > WINDOWS_LIMIT_BYTES:
        raise _too_long()
    backend.set_password(service, name, value)


def _delete(backend: KeyringBackend, service: str, name: str) -> None:
    from keyring.errors import PasswordDeleteError  # noqa: PLC0415  see _usable

    try:
        backend.delete_password(service, name)
    except PasswordDeleteError:
        if backend.get_password(service, name) is not None:
            raise


def _too_long() -> KeyringUnusable:
    return KeyringUnusable(
        "that is too long for the keyring of Windows, which takes 1280 characters",
        hint="it is asked for each time",
    )


def _unusable(error: Exception) -> KeyringUnusable:
    """What a backend's own error means."""
    if WINDOWS_TOO_LONG in {getattr(error, "winerror", None), *error.args[:1]}:
        return _too_long()
    if type(error).__name__ in {"KeyringLocked", "LockedException", "PromptDismissedException"}:
        return KeyringUnusable("the system's keyring is locked", hint="unlock it")
    if isinstance(error, (ImportError, AttributeError)) and (
        chosen := os.environ.get("PYTHON_KEYRING_BACKEND")
    ):
        return KeyringUnusable(
            f"there is no keyring {chosen}", hint="mend PYTHON_KEYRING_BACKEND, or unset it"
        )
    return KeyringUnusable(
        f"the system's keyring does not work: {one_line(str(error)) or type(error).__name__}",
        hint="secrets are asked for each time",
    )
