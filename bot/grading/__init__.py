"""Ways of judging a reply, one per file; all of them wear the shape of `bot.ports.Grader`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from bot.content import Library, Rubric
from bot.model import Grade


class Judge(Protocol):
    """A grader that computes, and waits for nothing."""

    name: str

    def judge(self, rubric: Rubric, reply: str) -> Grade: ...


class OffLoop:
    """Runs a judge in a thread of its own, one reply at a time, so that the conversation never waits for it.

    The judge is made there too, when it is first needed or when `begin` says so: loading one takes longer than the rest of
    the start."""

    def __init__(self, make: Callable[[], Judge]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="grading")
        self._making = threading.Lock()
        self._made: Judge | None = None

    @property
    def judge(self) -> Judge:
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def name(self) -> str:
        return self.judge.name

    def begin(self) -> None:
        """Makes the judge now, beside whatever goes on."""
        with suppress(RuntimeError):  # closed already
            self._thread.submit(lambda: self.judge)

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self.judge.judge(rubric, reply))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def offline(library: Library, cache: Path | None = None) -> tuple[Judge, str]:
    """The best judge that can be had here, and a sentence where it is not the one that comes with the coach ("" if it is)."""
    try:
        from bot.grading.encoder import WeightsError
        from bot.grading.reader import ReaderGrader
    except ImportError:
        reason = "numpy is not installed"
    else:
        try:
            return ReaderGrader.load(library, cache), ""
        except WeightsError as error:
            reason = str(error)
    from bot.grading.plain import PlainGrader

    return PlainGrader(), f"I grade in the plain mode, by words alone: {reason}."
