"""One copy over one stream of bytes: who sends, who receives; the same on either end.

The sender tells what there is, the receiver what it lacks, and the sender sends that::

    sender                                receiver
    TREE [entry, …] …  NO_MORE  ────────▶
             ◀──────── PLAN {…}           how much of it is there, and what would be lost
    GO {replace}  ──────────────────────▶ only where the receiver is not the laptop
             ◀──────── WANT [[number, offset, checksum], …] …  NO_MORE
    FILE [number, offset]  DATA …
    WHOLE checksum  or  FAILED  ────────▶ and so on for each
    NO_MORE  ───────────────────────────▶
             ◀──────── DONE {…}           or TROUBLE {…} at any time, which ends it
"""

import errno
import json
import os

from remotenb.far import tree
from remotenb.far.copy_frames import DONE, GO, PLAN, TROUBLE, Trouble, Wire, trouble, write
from remotenb.far.receiving import Receiver
from remotenb.far.sending import Sender
from remotenb.far.tree import Untrusted


def main(_shipped: bytes, wish_text: str) -> int:
    """The end that is not the laptop, on its stdin and stdout; the exit code."""
    wish = json.loads(wish_text)
    wire = Wire(lambda size: os.read(0, size), write)
    top = os.path.expanduser(tree.from_wire(wish["path"]))
    try:
        if wish["send"]:
            sender = Sender(wire, top)
            sender.tell()
            sender.send(lambda _moved: None, lambda: None)
        else:
            receiver = Receiver(wire, top)
            wire.say(PLAN, receiver.plan(wish["name"], wish["slash"]))
            replace = wire.expect(GO, bool)
            wire.say(DONE, receiver.fetch(replace, lambda _moved: None))
    except (OSError, Untrusted) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return 1
        wire.say(TROUBLE, trouble(error))
    except (EOFError, Trouble):
        return 1
    return 0
