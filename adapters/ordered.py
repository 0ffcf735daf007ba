"""One person's updates in order, different people's side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Ordered:
    """Runs work in the order it was given, for each key on its own."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._given: set[asyncio.Task[None]] = set()

    def submit(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        before = self._last.get(key)

        async def run() -> None:
            if before is not None:
                await asyncio.wait([before])
            await work()

        task = asyncio.create_task(run())
        self._last[key] = task
        self._given.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: Hashable, task: asyncio.Task[None]) -> None:
        self._given.discard(task)
        if self._last.get(key) is task:
            del self._last[key]

    async def stop(self) -> None:
        """Ends all work given so far, wherever it is."""
        working = set(self._given)
        for task in working:
            task.cancel()
        if working:
            await asyncio.wait(working)

    async def finished(self, timeout: float | None = None) -> None:
        """Returns when all work given so far is done, or after `timeout` seconds."""
        if self._last:
            await asyncio.wait(set(self._last.values()), timeout=timeout)


def set_event() -> asyncio.Event:
    """An event that is set."""
    event = asyncio.Event()
    event.set()
    return event
