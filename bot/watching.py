"""What goes on, told to whoever counts it: numbers and the names of kinds, never a learner, an address or a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from bot.content import Rubric
from bot.model import Grade
from bot.ports import Grader

LATE = 60.0
"""Seconds after its time from which on a message that the coach sends on its own is late."""

BANDS = ((85, "85-100"), (60, "60-84"), (40, "40-59"), (0, "0-39"))
"""Outcomes of a graded reply, by the score from which on it is one."""


class Watcher:
    """Is told of what happens, as it happens. This one forgets it all; whoever counts overrides what they want to know."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of the work ended: "read", "decide", "grade" or "write" of a turn, "word" or "send" of a delivery."""

    def graded(self, grader: str, outcome: str) -> None:
        """A reply was graded. grader: engine and version. outcome: a band of its score, "cannot tell" or "failed"."""

    def due(self, kind: str, number: int) -> None:
        """The time of so many deliveries of a kind had come."""

    def delivery(self, platform: str, kind: str, outcome: str, seconds: float = 0.0) -> None:
        """What became of sending a message: "sent" (so many seconds after its time), "late" (sent, LATE or more after it),
        "retried", "failed" (given up) or "gone" (nobody is there any more)."""

    def trouble(self, platform: str, kind: str) -> None:
        """A platform failed: the kind of the fault."""


@contextmanager
def timed(watcher: Watcher, stage: str) -> Iterator[None]:
    """Tells how long a stage took, however it ended."""
    began = perf_counter()
    try:
        yield
    finally:
        watcher.stage(stage, perf_counter() - began)


class Watched:
    """`bot.ports.Grader` that tells how each grade came out."""

    def __init__(self, grader: Grader, watcher: Watcher) -> None:
        self._grader = grader
        self._watcher = watcher

    @property
    def name(self) -> str:
        return self._grader.name

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        by, outcome = "nobody", "failed"
        try:
            with timed(self._watcher, "grade"):
                grade = await self._grader.grade(rubric, reply)
            if isinstance(grade, Grade):  # a grader that breaks its word has failed, and is dealt with where it was asked
                by, outcome = grade.graded_by, _band(grade.score)
            return grade
        finally:
            self._watcher.graded(by, outcome)


def _band(score: int | None) -> str:
    return "cannot tell" if score is None else next(name for least, name in BANDS if score >= least)
