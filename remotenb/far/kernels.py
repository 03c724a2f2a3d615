"""Are kernels of a notebook in this container busy? Run in it, by its own Python; prints JSON.

``servers`` that answered with the list of their kernels, of which so many are ``busy``, and
``silent`` ones, of which nothing is known. The tokens do not leave the container.
"""

import glob
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from typing import Any, Set

TIMEOUT_S = 5
PLACES = (
    os.environ.get("JUPYTER_RUNTIME_DIR", "/run/remotenb/rt"),
    os.path.expanduser("~/.local/share/jupyter/runtime"),
    "/root/.local/share/jupyter/runtime",
    "/home/*/.local/share/jupyter/runtime",
)


def files() -> "Set[str]":
    """Each runtime file once."""
    found: "Set[str]" = set()
    for place in PLACES:
        for path in glob.glob(os.path.join(place, "*server-*.json")):
            found.add(os.path.realpath(path))
    return found


def kernels(path: str) -> Any:
    """The kernels of the server that ``path`` speaks of; OSError if there is none any more."""
    with open(path) as stream:
        facts = json.load(stream)
    scheme = "https" if facts.get("secure") else "http"
    base = facts.get("base_url", "/")
    url = "{}://127.0.0.1:{}{}api/kernels".format(scheme, int(facts["port"]), base)
    head = {"Authorization": "token {}".format(facts.get("token", ""))}
    request = urllib.request.Request(url, headers=head)  # noqa: S310  it begins with http
    ours = ssl.create_default_context()
    ours.check_hostname = False
    ours.verify_mode = ssl.CERT_NONE
    proxies = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=ours))
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read().decode("utf-8", "replace"))


def main() -> None:
    """Ask them all."""
    seen = {"servers": 0, "silent": 0, "busy": 0}
    for path in files():
        try:
            states = [one.get("execution_state") for one in kernels(path)]
        except urllib.error.URLError as error:
            refused = isinstance(error.reason, ConnectionRefusedError)  # an earlier server's file
            seen["silent"] += 0 if refused else 1
        except OSError:
            seen["silent"] += 1
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        else:
            seen["servers"] += 1
            seen["busy"] += states.count("busy")
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
