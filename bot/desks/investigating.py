"""Investigating: an incident is opened, looked into message by message, concluded and graded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot import interviews, investigations
from bot.desks import Desk, Handler, Outcome, Tools, Turn, closing
from bot.desks.replying import Replying
from bot.grading import clues
from bot.incidents import STAGES, Incident
from bot.messages import Reply
from bot.model import Asked, Attempt, Fate, Investigation, Occasion, Practised
from bot.phrases import in_private, no_words
from bot.phrases import incidents as phrases


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a message to an incident led to. attempt: at its end, the whole as one attempt."""

    replies: tuple[Reply, ...]
    course: Investigation
    attempt: Attempt | None = None


class Investigating(Desk):
    """Everything about an incident by itself; in a mock interview its desk calls `begin` and `step`."""

    def __init__(self, tools: Tools, replying: Replying) -> None:
        super().__init__(tools)
        self._replying = replying
        self.incidents = tools.incidents

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"incident": self._incident, "conclude": self._closed}

    @property
    def while_open(self) -> Mapping[Occasion, Mapping[str, Handler]]:
        return {Occasion.INCIDENT: {"hint": self._hint, "conclude": self._conclude, "answer": self._answer, "skip": self._answer}}

    async def _incident(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((in_private("incident"),))
        if not turn.argument:
            return Outcome((phrases.choose(self.incidents),))
        one = self.named(turn.argument)
        if one is None:
            return Outcome((phrases.no_such(turn.argument, self.incidents),))
        asked = Asked(self.new_id(), turn.learner.id, one.id, Occasion.INCIDENT, turn.now)
        learner = turn.learner if turn.learner != turn.memory.learner else None
        return Outcome(
            (phrases.opening(asked, one),), learner, (*closing(turn.memory, Fate.REPLACED), asked), also=(self.begin(asked),)
        )  # fmt: skip

    def named(self, name: str) -> Incident | None:
        from rapidfuzz import fuzz, process, utils

        wanted = name.strip().lower().replace(" ", "-")
        if wanted in self.incidents:
            return self.incidents[wanted]
        by_question = {one.question: one for one in self.incidents.values() if one.question}
        if wanted in by_question:
            return by_question[wanted]
        titles = {id: one.title for id, one in self.incidents.items()}
        found = process.extractOne(name, titles, scorer=fuzz.token_set_ratio, processor=utils.default_process, score_cutoff=70)
        return self.incidents[found[2]] if found else None

    def begin(self, asked: Asked) -> Investigation:
        return Investigation(self.new_id(), asked.learner, asked.id, asked.question, asked.at)

    # ------------------------------------------------------------------------------------------ by itself

    async def reply(self, turn: Turn, text: str) -> Outcome:
        return await self._outcome(turn, await self._step(turn, text))

    async def _hint(self, turn: Turn) -> Outcome:
        return await self._outcome(turn, await self._step(turn, "", hint=True))

    async def _conclude(self, turn: Turn) -> Outcome:
        return await self._outcome(turn, await self._step(turn, "", conclude=True))

    async def _answer(self, turn: Turn) -> Outcome:
        return await self._outcome(turn, await self._step(turn, "", end=True))

    async def _closed(self, turn: Turn) -> Outcome:
        return Outcome((phrases.closed(),))

    async def _step(self, turn: Turn, text: str, **what: bool) -> Stepped | None:
        asked = turn.memory.open
        return None if asked is None else await self.step(turn, asked, text, **what)

    async def _outcome(self, turn: Turn, stepped: Stepped | None) -> Outcome:
        asked = turn.memory.open
        if stepped is None or asked is None:
            return Outcome((phrases.closed(),), asked=closing(turn.memory, Fate.CANCELLED))
        if not stepped.course.closed:
            return Outcome(stepped.replies, also=(stepped.course,))
        one = self.incidents[asked.question]
        replies = (*stepped.replies, phrases.over(one, stepped.course))
        practised = Practised(turn.message.at, turn.learner.zone) if stepped.attempt else None
        fate = Fate.ANSWERED if stepped.attempt else Fate.SHOWN
        return Outcome(replies, None, (replace(asked, fate=fate),), stepped.attempt, practised, (stepped.course,))

    # ------------------------------------------------------------------------------------------ a step

    async def step(
        self, turn: Turn, asked: Asked, text: str, *, hint: bool = False, conclude: bool = False, end: bool = False, quiet: bool = False
    ) -> Stepped | None:
        """One message to an incident; None where it is gone. quiet: no grade is shown."""
        one = self.incidents.get(asked.question)
        course = await self.store.investigation(turn.learner.id, asked.id)
        if one is None or course is None:
            return None
        if end:
            return self._ended(turn, asked, one, replace(course, closed=True), ())
        stage = investigations.stage(course)
        if conclude:
            return self._concluding(asked, one, course) if stage == "looking" else Stepped((self._asks(asked, one, course),), course)
        if hint:
            if stage != "looking":
                return Stepped((self._asks(asked, one, course),), course)
            clue = investigations.next_nudge(one, course.found)
            return Stepped((phrases.nudge(asked, clue),), replace(course, hints=course.hints + (clue is not None)))
        if not re.search(r"\w", text):
            return Stepped((no_words(),), course)
        if stage == "looking" and not (investigations.CONCLUDED.search(text) and course.found):
            return await self._looked(asked, one, course, text)
        if stage == "looking":
            course = replace(course, concluding=True)
        return await self._staged(turn, asked, one, course, text, quiet=quiet)

    async def _looked(self, asked: Asked, one: Incident, course: Investigation, text: str) -> Stepped:
        wanted = await asyncio.to_thread(clues.asked_for, one, text)  # a long message takes a third of a second
        after, looked = investigations.look(one, replace(course, looks=(*course.looks, text)), wanted)
        return Stepped((phrases.found(asked, after, looked),), after)

    def _concluding(self, asked: Asked, one: Incident, course: Investigation) -> Stepped:
        if not course.looks:
            return Stepped((phrases.nothing_found(),), course)
        course = replace(course, concluding=True)
        return Stepped((self._asks(asked, one, course),), course)

    def _asks(self, asked: Asked, one: Incident, course: Investigation) -> Reply:
        name = investigations.stage(course)
        return phrases.stage(name, one.stage(name), asked)

    async def _staged(self, turn: Turn, asked: Asked, one: Incident, course: Investigation, text: str, *, quiet: bool) -> Stepped:
        name = investigations.stage(course)
        rubric = one.stage(name)
        grade = clues.grounded(rubric, await self._replying.graded(turn, rubric, text))
        if interviews.memorised(text, rubric.answer):
            grade = replace(grade, note=f"{grade.note} memorised".strip())
        course = investigations.staged(course, text, grade)
        shown = () if quiet else (phrases.staged(name, rubric, course, turn.pace),)
        if len(course.staged) < len(STAGES):
            return Stepped((*shown, self._asks(asked, one, course)), course)
        return self._ended(turn, asked, one, replace(course, closed=True), shown)

    def _ended(self, turn: Turn, asked: Asked, one: Incident, course: Investigation, shown: tuple[Reply, ...]) -> Stepped:
        if not investigations.said(course):
            return Stepped(shown, course)
        grade = investigations.grade(one, course)
        text = investigations.said(course)
        attempt = Attempt(
            self.new_id(), turn.learner.id, asked.id, one.id, "", text, turn.message.at, course.hints, grade, turn.spoken is not None
        )
        return Stepped(shown, course, attempt)
