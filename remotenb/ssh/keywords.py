"""What may stand in an ssh_config: its words, its keywords, and what each of them takes. Pure.

For the laptop that has no ``ssh`` to ask, and for naming the line that ssh complains of. The list
is that of OpenSSH 10.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remotenb.errors import SshConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_YES_NO: Final = frozenset({"yes", "no", "true", "false"})
_CHOICES: Final = {
    "addressfamily": {"any", "inet", "inet6"},
    "batchmode": _YES_NO,
    "canonicalizefallbacklocal": _YES_NO,
    "canonicalizehostname": _YES_NO | {"always"},
    "checkhostip": _YES_NO,
    "clearallforwardings": _YES_NO,
    "compression": _YES_NO,
    "controlmaster": _YES_NO | {"ask", "auto", "autoask"},
    "enableescapecommandline": _YES_NO,
    "enablesshkeysign": _YES_NO,
    "exitonforwardfailure": _YES_NO,
    "forkafterauthentication": _YES_NO,
    "forwardx11": _YES_NO,
    "forwardx11trusted": _YES_NO,
    "gatewayports": _YES_NO,
    "gssapiauthentication": _YES_NO,
    "gssapidelegatecredentials": _YES_NO,
    "hashknownhosts": _YES_NO,
    "hostbasedauthentication": _YES_NO,
    "identitiesonly": _YES_NO,
    "kbdinteractiveauthentication": _YES_NO,
    "nohostauthenticationforlocalhost": _YES_NO,
    "passwordauthentication": _YES_NO,
    "permitlocalcommand": _YES_NO,
    "proxyusefdpass": _YES_NO,
    "pubkeyauthentication": _YES_NO | {"unbound", "host-bound"},
    "requesttty": _YES_NO | {"force", "auto"},
    "sessiontype": {"none", "subsystem", "default"},
    "stdinnull": _YES_NO,
    "streamlocalbindunlink": _YES_NO,
    "stricthostkeychecking": _YES_NO | {"ask", "off", "accept-new"},
    "tcpkeepalive": _YES_NO,
    "tunnel": _YES_NO | {"ethernet", "point-to-point"},
    "updatehostkeys": _YES_NO | {"ask"},
    "verifyhostkeydns": _YES_NO | {"ask"},
    "visualhostkey": _YES_NO,
}
_NUMBERS: Final = frozenset(
    {"canonicalizemaxdots", "connectionattempts", "numberofpasswordprompts", "serveralivecountmax"}
)
_TIMES: Final = frozenset({"connecttimeout", "serveraliveinterval"})
_ONE_WORD: Final = frozenset(
    """bindaddress bindinterface certificatefile ciphers forwardagent hostkeyalgorithms
    hostkeyalias hostname identityagent identityfile kexalgorithms macs pkcs11provider
    port preferredauthentications proxyjump pubkeyacceptedalgorithms requiredrsasize revokedhostkeys
    securitykeyprovider tag user""".split()  # noqa: SIM905  one a line would be pages
)
_REST_OF_LINE: Final = frozenset({"knownhostscommand", "localcommand", "proxycommand"})
_OTHERS: Final = frozenset(
    """addkeystoagent canonicaldomains canonicalizepermittedcnames casignaturealgorithms
    channeltimeout controlpath controlpersist dynamicforward escapechar fingerprinthash
    forwardx11timeout globalknownhostsfile gssapiclientidentity gssapikexalgorithms
    gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns host
    hostbasedacceptedalgorithms ignoreunknown include ipqos kbdinteractivedevices localforward
    loglevel logverbose match obscurekeystroketiming permitremoteopen rekeylimit refuseconnection
    remotecommand remoteforward sendenv setenv streamlocalbindmask syslogfacility tunneldevice
    userknownhostsfile versionaddendum warnweakcrypto xauthlocation""".split()  # noqa: SIM905
)
_OLD_NAMES: Final = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
    "smartcarddevice": "pkcs11provider",
}
_GONE: Final = frozenset(
    """afstokenpassing cipher compressionlevel fallbacktorsh globalknownhostsfile2
    kerberosauthentication kerberostgtpassing protocol rhostsauthentication rhostsrsaauthentication
    rsaauthentication useblacklistedkeys useprivilegedport userknownhostsfile2 useroaming
    usersh""".split()  # noqa: SIM905
)
"""ssh passes them over."""

KNOWN: Final = frozenset(_CHOICES) | _NUMBERS | _TIMES | _ONE_WORD | _REST_OF_LINE | _OTHERS

_LINE: Final = re.compile(r'\s*(?:"([^"]*)"\s*|([^\s="]+)(?:\s*=\s*|\s+|$))(.*?)\s*')
TIME: Final = re.compile(r"([0-9]{1,6}[smhdw]?)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says something."""

    file: Path
    number: int
    keyword: str
    """In lower case, by its newest name."""
    rest: str
    """All that follows, as it is written."""
    words: tuple[str, ...]
    """The same without quotes and comment."""

    @property
    def value(self) -> str:
        """As ``ssh -G`` prints it; a word with a space keeps quotes, which ssh would drop."""
        if self.keyword in _REST_OF_LINE:
            return self.rest
        return " ".join(f'"{word}"' if " " in word else word for word in self.words)

    @property
    def unset(self) -> bool:
        """Whether ssh takes it for nothing said, so that a later line counts."""
        return self.keyword in _TIMES and self.words == ("none",)

    def wrong(self, what: str, hint: str = "") -> SshConfigError:
        """The error that names this line."""
        return SshConfigError(
            f"{self.file} line {self.number}: {what}", hint=hint or "mend that line of ssh_config"
        )


def parse(file: Path, number: int, text: str, ignored: Sequence[str] = ()) -> Line | None:
    """What a line says, None for nothing; ``ignored`` are the patterns of IgnoreUnknown.

    Raises :class:`SshConfigError`.
    """
    match = _LINE.fullmatch(text)
    keyword = (match[1] or match[2] or "").lower() if match else ""
    if match is None or not keyword or keyword.startswith("#"):
        return None
    keyword, rest = _OLD_NAMES.get(keyword, keyword), match[3]
    bare = Line(file, number, keyword, rest, ())
    if keyword in _GONE or (keyword not in KNOWN and matches(keyword, ignored)):
        return None
    if keyword not in KNOWN:
        close = difflib.get_close_matches(keyword, KNOWN, 1, 0.75)
        hint = f"did you mean {close[0]}?" if close else ""
        raise bare.wrong(f"there is no option {match[1] or match[2]}", hint)
    words = split(rest)
    if words is None and keyword not in _REST_OF_LINE | {"match"}:
        raise bare.wrong("a quote is not closed")
    if not rest or rest.startswith("#") or not (words or keyword in _REST_OF_LINE | {"match"}):
        raise bare.wrong(f"{match[1] or match[2]} has no value")
    line = Line(file, number, keyword, rest, tuple(words or ()))
    _check(line)
    return line


def split(text: str) -> list[str] | None:
    r"""OpenSSH's words: quotes of both kinds, ``\`` before one, ``#`` begins a comment.

    None where a quote is not closed.

    >>> split('a "b c"\\'d\\' e#f # g')
    ['a', 'b cd', 'e#f']
    """
    words: list[str] = []
    at = 0
    while (at := at + len(text[at:]) - len(text[at:].lstrip(" \t"))) < len(text):
        if text[at] == "#":
            break
        word, at, closed = _word(text, at)
        if not closed:
            return None
        words.append(word)
    return words


def _word(text: str, at: int) -> tuple[str, int, bool]:
    """The word that begins there, where it ends, and whether its quotes are closed."""
    word, quote = "", ""
    while at < len(text) and (quote or text[at] not in " \t"):
        following = text[at + 1 : at + 2]
        if text[at] == "\\" and (following in {"'", '"', "\\"} or (following == " " and not quote)):
            at += 1
            word += text[at]
        elif quote:
            word, quote = (word, "") if text[at] == quote else (word + text[at], quote)
        elif text[at] in "'\"":
            quote = text[at]
        else:
            word += text[at]
        at += 1
    return word, at, not quote


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of OpenSSH's patterns fits, and none with ``!``: ``*``, ``?``, no brackets."""
    plain = [one for one in patterns if one[:1] != "!"]
    denied = [one[1:] for one in patterns if one[:1] == "!"]
    return _any(name, plain) and not _any(name, denied)


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(
        re.fullmatch(re.escape(one).replace(r"\*", ".*").replace(r"\?", "."), name, re.DOTALL)
        for one in patterns
    )


def _check(line: Line) -> None:
    """What ssh would not take as a value; raises :class:`SshConfigError`."""
    keyword, words = line.keyword, line.words
    one_word = keyword in _CHOICES or keyword in _NUMBERS | _TIMES | _ONE_WORD
    if one_word and not words[0]:
        raise line.wrong(f"{keyword} has no value")
    if one_word and len(words) > 1:
        raise line.wrong(
            f"{keyword} takes one word, not {len(words)}", "put a name with spaces into quotes"
        )
    word = words[0].lower() if words else ""
    if keyword in _CHOICES and word not in _CHOICES[keyword]:
        known = ", ".join(sorted(_CHOICES[keyword] - {"true", "false"}))
        raise line.wrong(f"{keyword} cannot be {words[0]}", f"it may be: {known}")
    if keyword in _NUMBERS and not re.fullmatch(r"[0-9]{1,9}", word):
        raise line.wrong(f"{keyword} is not a number: {words[0]}")
    if keyword == "port" and not (re.fullmatch(r"[0-9]{1,5}", word) and 0 < int(word) < 65536):  # noqa: PLR2004  TCP's
        raise line.wrong(f"port cannot be {words[0]}", "ports are 1 to 65535")
    if keyword in _TIMES and not line.unset and not TIME.fullmatch(word):
        raise line.wrong(f"{keyword} is not a time: {words[0]}", "say 30, or 1m30s")
