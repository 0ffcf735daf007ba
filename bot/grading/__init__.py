"""Ways of judging a reply, one per file; all of them wear the shape of `bot.ports.Grader`."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from bot.content import Library, Rubric
from bot.model import Grade

LONGEST = 60.0
"""Seconds that judging one reply may take, the loading of the judge included."""


YIELDING = 10
"""How nice the thread is that judges (-20..19): a tap is served first where both want the processor."""


class Judge(Protocol):
    """A grader that computes, and waits for nothing."""

    name: str

    def judge(self, rubric: Rubric, reply: str) -> Grade: ...


class OffLoop:
    """Runs a judge in a thread of its own, one reply at a time, so that the conversation never waits for it.

    The judge is made there too, when it is first needed or when `begin` says so: loading one takes longer than the rest of
    the start. The thread keeps no process from ending, and one that hangs is left behind: the next replies have another."""

    def __init__(self, make: Callable[[], Judge], *, longest: float = LONGEST) -> None:
        """longest: seconds that judging one reply may take before its thread is given up."""
        self._make = make
        self._longest = longest
        self._making = threading.Lock()
        self._made: Judge | None = None
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._begun: Future[Any] | None = None
        self._closed = False

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
        self._submit(lambda: self.judge)

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        """Raises TimeoutError where this reply's judging takes too long."""
        judging = self._submit(lambda: self.judge.judge(rubric, reply))
        waiting = asyncio.wrap_future(judging)
        while not waiting.done():
            begun = self._begun
            await asyncio.wait([waiting], timeout=self._longest)
            if not waiting.done() and begun is judging is self._begun:
                self._leave_behind()
                raise TimeoutError("grading took too long")
        grade: Grade = await waiting
        return grade

    def close(self) -> None:
        self._closed = True
        while not self._work.empty():
            if (item := self._work.get()) is not None:
                item[0].cancel()
        self._work.put(None)

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        if self._closed:
            done.cancel()
            return done
        self._work.put((done, work))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._work,), name="grading", daemon=True)
            self._thread.start()
        return done

    def _run(self, queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
        if sys.platform == "linux":  # there a thread has a priority of its own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), YIELDING)
        while (item := queue.get()) is not None and queue is self._work:
            done, work = item
            if not done.set_running_or_notify_cancel():
                continue
            self._begun = done
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

    def _leave_behind(self) -> None:
        """Gives what waits to a new thread; the old one ends when whatever it hangs in does."""
        waiting, self._work, self._thread = self._work, SimpleQueue(), None
        while not waiting.empty():
            self._work.put(waiting.get())
        waiting.put(None)
        self._thread = threading.Thread(target=self._run, args=(self._work,), name="grading", daemon=True)
        self._thread.start()


def offline(library: Library, cache: Path | None = None, *, again: bool = False) -> tuple[Judge, str]:
    """The best judge that can be had here, and a sentence where it is not the one that comes with the coach ("" if it is).

    again: the same texts come back, in one thread: what was read lately is kept."""
    try:
        from bot.grading.encoder import Encoder, WeightsError
        from bot.grading.lately import Lately
        from bot.grading.reader import ReaderGrader
    except ImportError:
        reason = "numpy is not installed"
    else:
        try:
            return ReaderGrader.load(library, cache, encoder=Lately if again else Encoder), ""
        except WeightsError as error:
            reason = str(error)
    from bot.grading.plain import PlainGrader

    return PlainGrader(), f"I grade in the plain mode, by words alone: {reason}."
