"""What runs on the server, shipped over stdin as the files beside this one.

The scripts must do with what any Linux server has: sh (dash, busybox), coreutils, awk. They
print and exit; what it means is decided on the laptop. The relay wants Python 3.6 and its
standard library.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES = (
    "frames",
    "events",
    "pace",
    "stream",
    "mux",
    "websocket",
    "spool",
    "poll",
    "place",
    "upstream",
    "carrier",
    "session",
    "relay",
    "attach",
)

_RECEIVING = ("tree", "copy_frames", "incoming", "receiving")
COPYING = (*_RECEIVING, "sending", "copying")
INSTALLING = (*_RECEIVING, "installing")

LENGTH_DIGITS = 8

BOOT = f"""\
import os,sys,zlib
def take(n):
 b=b''
 while len(b)<n:
  c=os.read(0,n-len(b))
  if not c:sys.exit(1)
  b+=c
 return b
head=take({LENGTH_DIGITS})
body=take(int(head))
exec(zlib.decompress(body))
"""
"""Reads exactly what was shipped: the frames of the link come right behind it."""


@cache
def source(name: str) -> str:
    """The text of one of the files, for example ``source("probe.sh")``."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def lean(text: str) -> str:
    """A module of ours without what is for its readers; lines keep their numbers.

    A third less travels with each link; of TCP's first 14 KB the answer need not be waited for.
    """
    text = re.sub(r'^( *)""".*?"""$', _nothing, text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ *#.*$|  # .*$", "", text, flags=re.MULTILINE)


def _nothing(docstring: re.Match[str]) -> str:
    """A statement in its place: a class may have no other."""
    return f"{docstring[1]}0" + "\n" * docstring[0].count("\n")


@cache
def shipment(modules: tuple[str, ...] = MODULES) -> bytes:
    """These modules as :data:`BOOT` reads them from its stdin; ``main`` of the last is run."""
    sources = {"remotenb": "", "remotenb.far": ""}
    sources |= {f"remotenb.far.{name}": lean(source(f"{name}.py")) for name in modules}
    main = f"remotenb.far.{modules[-1]}"
    text = f"{lean(source('loader.py'))}\nrun({sources!r}, {main!r}, head + body, sys.argv[1])\n"
    body = zlib.compress(text.encode(), 9)
    return b"%0*d" % (LENGTH_DIGITS, len(body)) + body


@cache
def relay_name() -> str:
    """The relay's name: of its source, so that another version is another relay."""
    return f"relay-{hashlib.sha256(shipment()).hexdigest()[:12]}"


def boot(python: str) -> tuple[str, ...]:
    """The command that runs what is shipped; its wish, as JSON, is one argument more."""
    return (python, "-I", "-c", f"exec({BOOT!r})")


def wish(**members: object) -> str:
    """The argument of :func:`boot`'s command; ``attach.main`` tells what may be in it."""
    facts: Mapping[str, object] = {"name": relay_name(), **members}
    return json.dumps(facts)
