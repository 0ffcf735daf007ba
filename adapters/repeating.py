"""Something that is done again and again while something else goes on, such as showing that the coach is typing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def repeated(action: Callable[[], Awaitable[object]], seconds: float) -> AsyncIterator[None]:
    """Does `action` at once and every so many seconds, beside the block; what it raises is raised when the block ends."""

    async def repeat() -> None:
        while True:
            await action()
            await asyncio.sleep(seconds)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        with suppress(asyncio.CancelledError):
            await repeating
