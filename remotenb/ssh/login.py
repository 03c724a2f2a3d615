"""Logging in: the methods in the user's order, the key that worked last time first.

The seam is paramiko's own: an object with ``authenticate(transport)``. Without a person nothing
here asks or waits for one; :class:`Remembered` has what one gave before. sshd may want several
methods one after another (``AuthenticationMethods``), and ends the connection after six tries.
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import TYPE_CHECKING

from paramiko import SSHException
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PartialAuthentication,
)

from remotenb.ssh import keys, refusal
from remotenb.ssh.algorithms import takes
from remotenb.ssh.answers import Answers, NoAnswer
from remotenb.ssh.offers import Offer, Offers
from remotenb.ssh.refusal import Refusal, Tried
from remotenb.ssh.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.laptop.credentials import Credentials
    from remotenb.model import Host
    from remotenb.ssh.transport import Transport

logger = logging.getLogger(__name__)

MAX_TRIES = 6
"""sshd's MaxAuthTries: one more than this many failures is never tried."""


class Outcome(Enum):
    """Of one try."""

    IN = auto()
    MORE = auto()
    """It was right, and the server wants another method too."""
    REFUSED = auto()


class Login:
    """One login to one host, which may be a jump host."""

    def __init__(
        self, host: Host, credentials: Credentials, remembered: Remembered | None = None
    ) -> None:
        self._host = host
        self._credentials = credentials.unattended() if host.batch_mode else credentials
        self._memory = remembered or Remembered()
        self._answers = Answers(host, self._credentials)
        self._shown: set[bytes] = set()
        self._tried = Tried()
        self._offers = Offers(host, self._credentials, self._memory.keys, self._tried)

    def authenticate(self, transport: Transport) -> None:
        """Log in, or raise :class:`AuthenticationFailed` or :class:`KeyUnusable`."""
        if self._credentials.retry and self._host.login in self._memory.by_person:
            raise refusal.not_again(self._host)
        try:
            while (outcome := self._lap(transport)) is Outcome.MORE:
                self._tried.partly = True
        finally:
            self._offers.close()
        if outcome is Outcome.REFUSED:
            self._tell_of_token()
            raise self._failure(transport)
        if self._answers.by_person:
            self._memory.by_person.add(self._host.login)
        self._keep()

    def _tell_of_token(self) -> None:
        """The keys of a token are an agent's to load: said when no other key was right."""
        if library := self._host.token_library:
            why = f"the keys of a token are used through an agent: ssh-add -s {library}"
            self._tried.refusals.append(Refusal("PKCS11Provider", why))

    def _keep(self) -> None:
        """The login is through: what a person typed was right."""
        self._answers.succeeded()
        self._offers.keep()

    def _lap(self, transport: Transport) -> Outcome:
        """Each method that the server takes, until one of them does something."""
        tries = {
            "publickey": self._keys,
            "keyboard-interactive": self._interactive,
            "password": self._password,
        }
        for method in self._host.auth_methods:
            if method != "publickey" and self._let_in_anyway(transport):
                return Outcome.IN
            if self._takes(transport, method):
                outcome = tries[method](transport)
                if outcome is not Outcome.REFUSED:
                    return outcome
        return Outcome.REFUSED

    def _let_in_anyway(self, transport: Transport) -> bool:
        """Ask which methods there are, if the server has not said; it may want none."""
        if not transport.is_active() or transport.login.allowed is not None:
            return False
        return self._try(lambda: transport.auth_none(self._host.user)) is Outcome.IN

    def _takes(self, transport: Transport, method: str) -> bool:
        """Whether the server may take ``method``, as far as it has said."""
        allowed = transport.login.allowed
        return transport.is_active() and (allowed is None or method in allowed)

    def _try(self, call: Callable[[], list[str]]) -> Outcome:
        """One question to the server; raises what is not its answer."""
        try:
            missing = call()
        except PartialAuthentication:
            return Outcome.MORE
        except BadAuthenticationType:
            return Outcome.REFUSED
        except AuthenticationException as error:
            logger.info("%s: %s", self._host.login, error)
            self._tried.failures += 1
            return Outcome.REFUSED
        return Outcome.MORE if missing else Outcome.IN

    # keys

    def _keys(self, transport: Transport) -> Outcome:
        """One key after another; of those that have a passphrase, only what the server takes."""
        for offer in self._offers:
            if not self._takes(transport, "publickey") or self._tried.failures >= self._most():
                break
            if offer.blob in self._shown or not self._may_be_shown(offer):
                continue
            outcome = self._show(transport, offer)
            if outcome is not Outcome.REFUSED:
                self._offers.remember(offer)
                return outcome
        return Outcome.REFUSED

    def _may_be_shown(self, offer: Offer) -> bool:
        """Whether PubkeyAcceptedAlgorithms lets a key of its type be used."""
        kinds = {keys.type_of(offer.blob)} if offer.blob else set()
        kinds |= {"rsa-sha2-256"} if "rsa-sha2-512" in kinds else set()
        spec = self._host.public_key_algorithms
        if not kinds or any(takes(spec, kind) for kind in kinds):
            return True
        why = "PubkeyAcceptedAlgorithms of ssh_config leaves its type out"
        self._tried.refusals.append(Refusal(offer.name, why))
        return False

    def _most(self) -> int:
        """Of tries with keys; one is left for a password, if somebody can give it."""
        return MAX_TRIES - bool(self._credentials.person)

    def _show(self, transport: Transport, offer: Offer) -> Outcome:
        try:
            if offer.locked and not self._would_take(transport, offer):
                return Outcome.REFUSED
            if (key := offer.get()) is None:
                return Outcome.REFUSED
            self._shown.add(key.asbytes())
            outcome = self._try(lambda: transport.auth_publickey(self._host.user, key))
        except SSHException as error:  # it cannot sign: an agent that hangs, or has lost it
            self._tried.refused(offer.name, error)
            return Outcome.REFUSED
        if outcome is Outcome.REFUSED:
            self._refused(transport, offer)
        return outcome

    def _would_take(self, transport: Transport, offer: Offer) -> bool:
        """Before a person is asked for a passphrase: is it of any use?"""
        if offer.blob is None:
            return True
        self._shown.add(offer.blob)
        kind = keys.type_of(offer.blob)
        try:
            takes = transport.login.would_take(self._host.user, kind, offer.blob)
        except AuthenticationException:
            takes = False
            self._tried.failures += 1
        if not takes:
            self._refused(transport, offer)
        return takes

    def _refused(self, transport: Transport, offer: Offer) -> None:
        takes_keys = "publickey" in (transport.login.allowed or ("publickey",))
        words = "authentication failed" if takes_keys else "the server takes no keys"
        self._tried.refusals.append(Refusal(offer.name, words))

    # people

    def _password(self, transport: Transport) -> Outcome:
        def call() -> list[str]:
            password = self._answers.password(transport.banner_text)
            return transport.login.auth_password(self._host.user, password.reveal())

        outcome = self._ask(transport, "password", call)
        if transport.login.change_wanted:
            raise refusal.expired(self._host)
        return outcome

    def _interactive(self, transport: Transport) -> Outcome:
        def call() -> list[str]:
            transport.login.answer = lambda said: self._answers.answer(said, transport.banner_text)
            return transport.login.send_interactive(self._host.user)

        return self._ask(transport, "keyboard-interactive", call)

    def _ask(self, transport: Transport, method: str, call: Callable[[], list[str]]) -> Outcome:
        """As often as the server, the account and the person bear it."""
        while self._takes(transport, method) and self._tried.failures < MAX_TRIES:
            if not self._answers.possible:
                self._tried.unasked.append(method)
                break
            asked_before = self._answers.by_person
            self._answers.by_person = False
            try:
                outcome = self._try(call)
            except NoAnswer:
                self._tried.unanswered = True
                break
            except (EOFError, OSError, SSHException):
                if transport.is_active():
                    raise
                return Outcome.REFUSED  # it hung up while somebody typed
            asked = self._answers.by_person
            self._answers.by_person |= asked_before
            if outcome is not Outcome.REFUSED:
                return outcome
            if not asked:  # refused before a question: it is switched on, and has none
                break
            self._answers.refused(cut_off=not transport.is_active())
        return Outcome.REFUSED

    def _failure(self, transport: Transport) -> Exception:
        ended = not transport.is_active()
        early = refusal.still_booting(self._host, transport.banner_text) if ended else None
        return early or refusal.why(
            self._host,
            self._tried,
            self._answers,
            allowed=() if ended else transport.login.allowed,
            cut_off=ended,
            attended=self._credentials.person is not None,
        )
