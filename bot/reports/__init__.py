"""Pictures and documents, drawn beside the conversation: one thread draws, and what was drawn is kept while it stays the same."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

KEPT = 64
"""Drawings that are kept."""

T = TypeVar("T", bound=Hashable)


class Studio:
    """Draws in a thread of its own, one thing at a time: the drawing library is slow to load and not made for several threads."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._kept: OrderedDict[tuple[Callable[..., bytes], Hashable], bytes] = OrderedDict()

    async def drawn(self, render: Callable[[T], bytes], what: T) -> bytes | None:
        """What `render` makes of `what`, drawn once for as long as it is asked for; None where nothing here can draw."""
        key = (render, what)
        if key not in self._kept:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="drawing")
            try:
                self._kept[key] = await asyncio.get_running_loop().run_in_executor(self._thread, render, what)
            except ImportError:  # the extra `reports` is not installed: every number is in the text too
                return None
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
