"""Replying: a reply is graded, what follows from it is decided, and a follow-up is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from bot import interviews, phrases
from bot.desks import Desk, Handler, Outcome, Tools, Turn, closing
from bot.desks.asking import Asking
from bot.model import Asked, Attempt, Fate, Occasion, Practised
from bot.ports import grading_for

GLANCE = timedelta(seconds=2)
"""Nobody reads a grade or a follow-up, and replies to it, faster than this."""


class Replying(Desk):
    """Everything about a reply to a question or to a follow-up."""

    def __init__(self, tools: Tools, asking: Asking) -> None:
        super().__init__(tools)
        self._asking = asking

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
            return Outcome((phrases.nothing_open(),))
        question = self.library.questions[opened.question]
        if opened.followup and opened.occasion is Occasion.DAILY and turn.message.at < opened.at + GLANCE:
            return Outcome((phrases.too_soon(),))
        if not re.search(r"\w", text):
            return Outcome((phrases.no_words(),))
        if _gives_up(text):
            return Outcome((phrases.give_up(opened),))
        token = grading_for.set(turn.learner.id)
        try:
            grade = await self.grader.grade(rubric, text)
        finally:
            grading_for.reset(token)
        attempt = Attempt(
            self.new_id(), turn.learner.id, opened.id, question.id, opened.followup, text, turn.message.at, opened.hints, grade
        )
        deeper = None if opened.followup else interviews.follow_up(question, grade)
        unasked = opened.occasion is Occasion.DAILY and not opened.followup and interviews.core_missing(question, grade)
        title = "follow-up" if opened.followup else question.title
        replies = [phrases.graded(attempt, rubric, title, deeper=deeper is not None and not unasked)]
        asked = [replace(opened, fate=Fate.ANSWERED)]
        if deeper is not None and unasked:
            following = Asked(
                self.new_id(), turn.learner.id, question.id, Occasion.DAILY, self.now(), followup=deeper.id, attempt=attempt.id
            )
            asked.append(following)
            replies.append(phrases.follow_up(following, deeper))
        return Outcome(tuple(replies), None, tuple(asked), attempt, Practised(turn.message.at, turn.learner.zone, bool(opened.attempt)))

    async def _deeper(self, turn: Turn) -> Outcome:
        attempt = await (self.store.attempt(turn.learner.id, turn.argument) if turn.argument else self.store.last_attempt(turn.learner.id))
        question = self.library.questions.get(attempt.question) if attempt else None
        if attempt is None or question is None or attempt.followup:
            return Outcome((phrases.no_follow_up(),))
        opened = turn.memory.open
        if opened is not None and opened.attempt == attempt.id:
            return Outcome((phrases.follow_up_open(),))
        following = interviews.follow_up(question, attempt.grade, await self.store.follow_ups_asked(attempt.id))
        if following is None:
            return Outcome((phrases.no_follow_up(),))
        asked = Asked(self.new_id(), turn.learner.id, question.id, Occasion.FOLLOWUP, turn.now, followup=following.id, attempt=attempt.id)
        return Outcome((phrases.follow_up(asked, following),), None, (*closing(turn.memory, Fate.REPLACED), asked))


_GIVING_UP = re.compile(
    r"(?:i\s+)?(?:really\s+)?(?:do\s*n[o']?t|dont|don\u2019t|do not|have no)\s+(?:know|idea|clue)(?:\s+(?:this|that|it|sorry))?"
    r"|idk|no\s+(?:idea|clue)|pass|\?+|dunno|not sure",
    re.IGNORECASE,
)


def _gives_up(text: str) -> bool:
    return _GIVING_UP.fullmatch(text.strip(" .!,")) is not None
