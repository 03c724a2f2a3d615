"""What a single thread waits for: descriptors, and what to call when they are ready. Python 3.6."""

import selectors
from typing import Callable, Dict, Tuple

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

Ready = Callable[[int], None]


class Poll:
    """A selector that can be told the same thing twice."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._watched: "Dict[int, Tuple[int, Ready]]" = {}

    def watch(self, fd: int, mask: int, ready: Ready) -> None:
        """From now on call ``ready`` when ``fd`` is; nothing to wait for is fine too."""
        before = self._watched.get(fd, (0, ready))[0]
        if mask == before:
            return
        if not mask:
            self._selector.unregister(fd)
            del self._watched[fd]
            return
        if before:
            self._selector.modify(fd, mask, ready)
        else:
            self._selector.register(fd, mask, ready)
        self._watched[fd] = (mask, ready)

    def forget(self, fd: int) -> None:
        """Before a descriptor is closed."""
        if fd in self._watched:
            self.watch(fd, 0, self._watched[fd][1])

    def wait(self, seconds: float) -> None:
        """Until something is ready, or so long; then call whoever is concerned."""
        for key, mask in self._selector.select(max(seconds, 0)):
            watched = self._watched.get(key.fd)
            if watched is not None and watched[1] is key.data:  # not closed by one before it
                key.data(mask & watched[0])

    def close(self) -> None:
        """Wait for nothing any more."""
        self._selector.close()
