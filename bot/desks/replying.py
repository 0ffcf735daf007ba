"""Replying: a reply is graded, what follows from it is decided, and a follow-up is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from bot import interviews, phrases
from bot.content import Followup, Question, Rubric
from bot.desks import Desk, Handler, Outcome, Tools, Turn, closing
from bot.desks.asking import Asking
from bot.grading import arithmetic
from bot.grading.plain import PlainGrader
from bot.model import Asked, Attempt, Fate, Finding, Grade, Occasion, Practised, Verdict
from bot.phrases.interviewing import waits
from bot.ports import grading_for

LONGEST = 120.0
"""Seconds that a grade may take, the replies before it included."""

GLANCE = timedelta(seconds=2)
"""Nobody reads a grade or a follow-up, and replies to it, faster than this."""


log = structlog.get_logger("replying")


@dataclass(frozen=True, slots=True)
class Judged:
    """A graded reply. rubric: what it was graded against. first: the attempt at the question itself, as it is now; raised: whether
    this reply to a follow-up raised it. chosen: the follow-up that comes next, if one does."""

    attempt: Attempt
    rubric: Rubric
    first: Attempt
    raised: bool
    chosen: interviews.Chosen | None


class Replying(Desk):
    """Everything about a reply to a question or to a follow-up."""

    def __init__(self, tools: Tools, asking: Asking) -> None:
        super().__init__(tools)
        self._asking = asking
        self._plain = PlainGrader()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"deeper": self._deeper}

    async def reply(self, turn: Turn, text: str) -> Outcome:
        opened = turn.memory.open
        rubric = self._asking.rubric(opened) if opened else None
        if opened is None or rubric is None:
            last = turn.memory.past[-1] if turn.memory.past else None
            if last is not None and turn.message.at < last.at + GLANCE:
                return Outcome((phrases.two_messages("" if last.followup else last.question),))
            if opened is None and await self.store.interview(turn.learner.id) is not None:
                return Outcome((waits(),))
            return Outcome((phrases.nothing_open(),))
        question = self.library.questions[opened.question]
        if opened.followup and opened.occasion is Occasion.DAILY and turn.message.at < opened.at + GLANCE:
            return Outcome((phrases.too_soon(),))
        if not re.search(r"\w", text):
            return Outcome((phrases.no_words(),))
        if gives_up(text):
            return Outcome((phrases.give_up(opened),))
        judged = await self.judge(turn, opened, question, text)
        chosen, first = judged.chosen, judged.first
        unasked = opened.occasion is Occasion.DAILY and not opened.followup and interviews.core_missing(question, judged.attempt.grade)
        title = "follow-up" if opened.followup else question.title
        more = chosen is not None and not unasked
        replies = [phrases.graded(judged.attempt, judged.rubric, title, deeper=more, first=first, raised=judged.raised, pace=turn.pace)]
        asked = [replace(opened, fate=Fate.ANSWERED)]
        if chosen is not None and unasked:
            following = Asked(
                self.new_id(), turn.learner.id, question.id, Occasion.DAILY, self.now(), followup=chosen.followup.id, attempt=first.id
            )
            asked.append(following)
            replies.append(phrases.follow_up(following, chosen.followup, chosen))
        practised = Practised(turn.message.at, turn.learner.zone, bool(opened.attempt))
        return Outcome(tuple(replies), None, tuple(asked), judged.attempt, practised, (first,) if judged.raised else ())

    async def judge(self, turn: Turn, opened: Asked, question: Question, text: str, most: int = interviews.IN_A_DRILL) -> Judged:
        """Grades a reply to a question or to a follow-up of it, and chooses what to ask next about it."""
        followup = interviews.find(question, opened.followup) if opened.followup else None
        whole = followup is None or opened.followup.startswith(interviews.SUPPORT)
        grade = await self.graded(turn, question if whole or followup is None else followup, text)
        if followup is not None and whole:
            grade = interviews.on_its_own(grade, followup)
        if interviews.memorised(text, (followup or question).answer):
            grade = replace(grade, note=f"{grade.note} memorised".strip())
        attempt = Attempt(
            self.new_id(), turn.learner.id, opened.id, question.id, opened.followup, text, turn.message.at, opened.hints, grade,
            turn.spoken is not None,
        )  # fmt: skip
        if grade.note == "failed":
            return Judged(attempt, followup or question, attempt, False, None)
        if followup is None:
            return Judged(attempt, question, attempt, False, interviews.follow_up(question, grade, (), self._said(text), most))
        first = await self.store.attempt(turn.learner.id, opened.attempt)
        if first is None:
            return Judged(attempt, followup, attempt, False, None)
        verdicts = interviews.helped(first.grade, followup, grade)
        if verdicts is not None:
            score = max(first.grade.score or 0, arithmetic.score(question, verdicts, first.grade.misconceptions))
            first = replace(first, grade=replace(first.grade, verdicts=verdicts, score=score))
        chosen = await self._chosen(question, first, text, most)
        return Judged(attempt, followup, first, verdicts is not None, chosen)

    async def _chosen(self, question: Question, first: Attempt, latest: str, most: int) -> interviews.Chosen | None:
        asked = await self.store.follow_ups_asked(first.id)
        return interviews.follow_up(question, first.grade, asked, self._said(f"{first.text}\n{latest}"), most)

    def _said(self, text: str) -> Callable[[Followup], bool]:
        """Whether every point of a follow-up is in `text` already, by the words alone: that is quick, and enough not to ask."""
        return lambda one: all(verdict.finding is Finding.COVERED for verdict in self._plain.judge(one, text).verdicts)

    async def graded(self, turn: Turn, rubric: Rubric, text: str) -> Grade:
        """The reply's grade. A grader that raises or hangs makes no reply wrong and loses none: it can't be told, and is kept."""
        token = grading_for.set(turn.learner.id)
        try:
            async with asyncio.timeout(LONGEST):
                return await self.grader.grade(rubric, text)
        except Exception as error:
            log.error("reply not graded", learner=turn.learner.id, kind=type(error).__name__)
            return Grade(None, tuple(Verdict(point.id, Finding.CANNOT_TELL) for point in rubric.points), (), "nobody", "failed")
        finally:
            grading_for.reset(token)

    async def _deeper(self, turn: Turn) -> Outcome:
        attempt = await (self.store.attempt(turn.learner.id, turn.argument) if turn.argument else self.store.last_attempt(turn.learner.id))
        latest = attempt.text if attempt else ""
        if attempt is not None and attempt.followup:
            asked = await self.store.asked(turn.learner.id, attempt.asked)
            attempt = await self.store.attempt(turn.learner.id, asked.attempt) if asked else None
        question = self.library.questions.get(attempt.question) if attempt else None
        if attempt is None or question is None:
            return Outcome((phrases.no_follow_up(),))
        opened = turn.memory.open
        if opened is not None and opened.attempt == attempt.id:
            return Outcome((phrases.follow_up_open(),))
        chosen = await self._chosen(question, attempt, latest, interviews.IN_A_DRILL)
        if chosen is None:
            return Outcome((phrases.no_follow_up(),))
        id = chosen.followup.id
        following = Asked(self.new_id(), turn.learner.id, question.id, Occasion.FOLLOWUP, turn.now, followup=id, attempt=attempt.id)
        return Outcome((phrases.follow_up(following, chosen.followup, chosen),), None, (*closing(turn.memory, Fate.REPLACED), following))


_GIVING_UP = re.compile(
    r"(?:i\s+)?(?:really\s+)?(?:do\s*n[o']?t|dont|don\u2019t|do not|have no)\s+(?:know|idea|clue)(?:\s+(?:this|that|it|sorry))?"
    r"|idk|no\s+(?:idea|clue)|pass|\?+|dunno|not sure",
    re.IGNORECASE,
)


def gives_up(text: str) -> bool:
    return _GIVING_UP.fullmatch(text.strip(" .!,")) is not None
