"""A client that asks through a local port ten times a second, and notes what was answered."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import NamedTuple, Self

from tests.rig.failures import until

EVERY_S = 0.1


class Answer(NamedTuple):
    """When a good answer was asked for and when it was there, by the wall clock."""

    asked: float
    there: float


class Probe:
    """Asks for Jupyter's version on a thread of its own; a context manager.

    Each question is a new connection and waits for no other, so that one which hangs in a dead
    tunnel hides nothing.
    """

    def __init__(self, port: int, *, patience: float) -> None:
        """``patience`` is how many seconds a question may take."""
        self.answers: list[Answer] = []
        self._port = port
        self._patience = patience
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_on()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join(self._patience + 1)

    def wait_for_answer(self) -> None:
        """Until there is one."""
        until(lambda: self.answers, "a first answer", seconds=30)

    def back(self, *, struck: float, mended: float) -> float | None:
        """Seconds from ``mended`` to the first good answer that was asked for after the fault."""
        good = (one.there for one in self.answers if one.asked >= struck and one.there >= mended)
        first = min(good, default=None)
        return None if first is None else first - mended

    async def _ask_on(self) -> None:
        asking = set()
        while not self._over.is_set():
            question = asyncio.create_task(self._ask())
            asking.add(question)
            question.add_done_callback(asking.discard)
            await asyncio.sleep(EVERY_S)
        for question in asking:
            question.cancel()

    async def _ask(self) -> None:
        asked = time.time()
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._get()
        except (OSError, TimeoutError):
            return
        if answer.startswith(b"HTTP/1.1 200 ") and b'"version"' in answer:
            self.answers.append(Answer(asked, time.time()))

    async def _get(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            host = f"127.0.0.1:{self._port}"
            writer.write(f"GET /api HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return await reader.read()
        finally:
            writer.close()
