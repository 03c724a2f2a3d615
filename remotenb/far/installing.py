"""Installs packages with the pip of the Python that this runs on: of an index, or carried.

Facts go out first; what comes back says what to install, and whether wheels come before. They
lie in a folder of our own, which goes with us, however we end.
"""

import configparser
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
from typing import Any, Dict, Iterator, List
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far.copy_frames import DATA, DONE, GO, PLAN, TROUBLE, WHOLE, Wire, trouble, write
from remotenb.far.receiving import Receiver

INDEX_TIMEOUT_S = 4.0
"""For an index to answer: a closed network mostly says nothing at all."""

CONSTRAINT_LIMIT = 1 << 18
PYPI = "https://pypi.org/simple"
_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)


def main(_shipped: bytes, wish_text: str) -> int:
    """Do it; the exit code."""
    wish = json.loads(wish_text)
    wire = Wire(lambda size: os.read(0, size), write)
    signal.signal(signal.SIGHUP, _leave)
    signal.signal(signal.SIGTERM, _leave)
    folder = tempfile.mkdtemp(prefix="remotenb-wheels-")
    try:
        wire.say(PLAN, about(bool(wish.get("look"))))
        task = wire.expect(GO, dict)
        if task["carried"]:
            receiver = Receiver(wire, folder)
            wire.say(PLAN, receiver.plan("", False))
            wire.expect(GO, bool)
            wire.say(DONE, receiver.fetch(True, lambda _moved: None))
        wire.say(WHOLE, install(wire, folder if task["carried"] else "", task["packages"]))
    except OSError as error:
        wire.say(TROUBLE, trouble(error))
    except EOFError:
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _leave(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


def install(wire: Wire, folder: str, packages: List[str]) -> int:
    """Run pip, and send on what it says; its exit code."""
    argv = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    argv += ["--progress-bar", "off"]
    if folder:
        argv += ["--no-index", "--find-links", folder]
    # Debian's Python and NGC's forbid it where a distribution has packages; this is a container
    known = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    environment = dict(os.environ, PYTHONUNBUFFERED="1", **known)
    process = subprocess.Popen(  # noqa: S603
        [*argv, "--", *packages],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None  # noqa: S101
    while True:
        said = os.read(process.stdout.fileno(), 1 << 16)
        if not said:
            return process.wait()
        wire.put(DATA, said)


def about(look: bool) -> Dict[str, Any]:
    """What decides which wheels fit; with ``look``, which index answers too."""
    has_pip = importlib.util.find_spec("pip") is not None
    found = re.search(r"cp[0-9a-z]+|[a-z]+[0-9]+", _abi())
    return {
        "pip": has_pip,
        "abi": found.group() if found else "none",
        "libc": list(platform.libc_ver()),
        "machine": platform.machine(),
        "markers": markers(),
        "installed": dict(installed()),
        "constraints": constraints(),
        "index": index() if look and has_pip else "",
    }


def _abi() -> str:
    soabi = str(sysconfig.get_config_var("SOABI") or "")
    return soabi.replace("cpython-", "cp", 1).split("-")[0]


def markers() -> Dict[str, str]:
    """What the markers of requirements speak of, PEP 508."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


def installed() -> Iterator[Any]:
    """Names and versions, from the names of the folders that every installer leaves."""
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for folder in {*sys.path, site.getusersitepackages(), *added} - {""}:
        if not os.path.isdir(folder):
            continue
        for name in os.listdir(folder):
            stem, ending = os.path.splitext(name)
            project, _, version = stem.partition("-")
            version = version.split("-py")[0]
            if ending == ".egg-info" and not version:
                version = _told(os.path.join(folder, name, "PKG-INFO"))
            if ending in {".dist-info", ".egg-info"} and version:
                yield re.sub(r"[-_.]+", "-", project).lower(), version


def _told(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = _VERSION.search(file.read(1 << 16))
    except OSError:
        return ""
    return found.group(1) if found else ""


def constraints() -> str:
    """What the image lets nobody change, as NGC's does."""
    text = []
    for path in os.environ.get("PIP_CONSTRAINT", "").split():
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text.append(file.read(CONSTRAINT_LIMIT))
        except OSError:
            continue
    return "\n".join(text)


def index() -> str:
    """The index that pip would ask, if it answers in time; empty if not."""
    url = os.environ.get("PIP_INDEX_URL") or _configured() or PYPI
    answered = []  # type: List[str]

    def ask() -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            return
        try:
            with urlopen(  # noqa: S310  looked at above
                Request(url.rstrip("/") + "/pip/", method="HEAD"),  # noqa: S310
                timeout=INDEX_TIMEOUT_S,
            ):
                answered.append(url)
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=ask, daemon=True)  # a resolver keeps to no timeout
    thread.start()
    thread.join(INDEX_TIMEOUT_S)
    return answered[0] if answered else ""


def _configured() -> str:
    """What pip's own files say; asking pip takes a second."""
    home = os.path.expanduser("~")
    files = ["/etc/pip.conf", home + "/.pip/pip.conf", home + "/.config/pip/pip.conf"]
    told = configparser.RawConfigParser()
    try:
        told.read([*files, os.path.join(sys.prefix, "pip.conf")])
        return told.get("global", "index-url", fallback="").strip()
    except (configparser.Error, UnicodeDecodeError):
        return ""
