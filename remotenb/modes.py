"""What programs of the far side have switched on in a terminal, and how it is as before. Pure.

A program that ends by itself leaves the terminal as it found it. One that was cut off does not: the
alternate screen stays, the cursor is hidden, the mouse types escape sequences.
"""

from __future__ import annotations

import re

ALTERNATE = (1049, 1047, 47)
"""Screens of their own; the first to be left, since that moves the cursor."""
_USUALLY_ON = {7: True, 25: True}
"""The line wraps, the cursor shows."""
_OTHERS = (1, 6, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004)
"""Keys of applications, origin, the mouse in all its ways, focus, pasting in brackets."""
USUAL = dict.fromkeys((*ALTERNATE, *_OTHERS), False) | _USUALLY_ON

_MARGINS = b"\x1b7\x1b[r\x1b8"
"""The whole screen scrolls; it moves the cursor, which is put back."""
_PLAIN = b"\x1b[0m"
_KEYPAD_OFF = b"\x1b>"
_SET = re.compile(rb"\x1b(?:\[\?([0-9;]{1,40})([hl])|([=>c]))")
_BEGUN = re.compile(rb"\x1b(?:\[(?:\?[0-9;]{0,40})?)?\Z")


class Modes:
    """A terminal's modes, by what was written to it, in whatever pieces."""

    def __init__(self) -> None:
        self._now = dict(USUAL)
        self._keypad = False
        self._rest = b""

    def see(self, data: bytes) -> None:
        """Something was written."""
        data = self._rest + data
        for numbers, set_or_reset, single in _SET.findall(data):
            if single:
                self._single(single)
            else:
                for number in numbers.split(b";"):
                    self._set(number, on=set_or_reset == b"h")
        begun = _BEGUN.search(data)
        self._rest = begun[0] if begun else b""

    def undo(self) -> bytes:
        """What makes it as it was; nothing where nothing is left."""
        changed = [mode for mode, usual in USUAL.items() if self._now[mode] != usual]
        undone = [b"\x1b[?%d%c" % (mode, b"lh"[USUAL[mode]]) for mode in changed]
        undone += [_KEYPAD_OFF] if self._keypad else []
        return b"".join([*undone, _MARGINS, _PLAIN]) if undone else b""

    def _single(self, single: bytes) -> None:
        if single == b"c":  # the terminal is as when it was switched on
            self._now = dict(USUAL)
        self._keypad = single == b"="

    def _set(self, number: bytes, *, on: bool) -> None:
        mode = int(number or b"0")
        if mode in USUAL:
            self._now[mode] = on
