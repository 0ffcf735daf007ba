"""Asking: choosing a question by hand or by the coach, its hints and its model answer, and the question of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot import days, phrases, reviews
from bot.content import Question, Rubric
from bot.content import words as words_of
from bot.desks import Composer, Desk, Handler, Outcome, Turn, closing
from bot.messages import Message, Reply
from bot.model import Asked, Changes, Fate, Learner, Memory, Occasion
from bot.outbox import Owed

AGAIN = timedelta(seconds=3)
"""Within this time a second /next is the same tap once more."""


class Asking(Desk):
    """Everything about a question before the reply to it."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"next": self._next, "redo": self._next, "hint": self._hint, "skip": self._skip, "answer": self._answer}

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"daily": self._compose_daily}

    async def _next(self, turn: Turn) -> Outcome:
        topic = self.named(turn.argument) if turn.argument else ""
        if topic is None:
            return Outcome((phrases.no_such_topic(turn.argument, self.library),))
        if self.just_asked(turn, topic):
            return Outcome((phrases.already_asked(),))
        turn = replace(turn, learner=replace(turn.learner, expecting=""))
        if isinstance(topic, Question):
            return self.ask(turn, topic)
        return self.ask_next(turn, topic)

    def just_asked(self, turn: Turn, topic: Question | str = "") -> bool:
        """Whether the same was asked for a moment ago: a button that was tapped twice."""
        opened = turn.memory.open
        if opened is None or turn.now - opened.at >= AGAIN:
            return False
        question = self.library.questions.get(opened.question)
        return topic in ("", question) or (question is not None and question.section == topic)

    def named(self, name: str) -> Question | str | None:
        """A question by its id or title, or a section; the nearest where the spelling is off; else what speaks of it most."""
        from rapidfuzz import fuzz, process, utils

        wanted = name.strip().lower().replace(" ", "-")
        if wanted in self.library.questions:
            return self.library.questions[wanted]
        sections = {id: f"{id} {self.library.syllabus.sections[id]}" for id in self.library.sections()}
        if wanted in sections:
            return wanted
        titles = {one.id: one.title for one in self.library.questions.values()}
        best: tuple[float, Question | str] | None = None
        for names, scorer in ((sections, fuzz.token_set_ratio), (titles, fuzz.WRatio)):
            for _, score, id in process.extract(name, names, scorer=scorer, processor=utils.default_process, limit=1, score_cutoff=80):
                if best is None or score > best[0]:
                    best = (score, id if names is sections else self.library.questions[id])
        return best[1] if best else self._speaking_of(name)

    def _speaking_of(self, name: str) -> Question | None:
        """The question whose prompt and answer have all the words of `name`, and have them most often."""
        wanted = set(words_of(name))
        best: tuple[int, Question] | None = None
        for one in self.library.questions.values():
            counted = Counter(words_of(f"{one.prompt} {one.answer}"))
            least = min((counted[word] for word in wanted), default=0)
            if least and (best is None or least > best[0]):
                best = (least, one)
        return best[1] if best else None

    def ask_next(self, turn: Turn, section: str = "") -> Outcome:
        question = reviews.choose(self.library, turn.learner, turn.memory, turn.now, self.rng, section)
        if question is None:
            return Outcome((phrases.topics(self.library, turn.learner),), turn.learner)
        return self.ask(turn, question)

    def ask(self, turn: Turn, question: Question, occasion: Occasion = Occasion.CHOSEN) -> Outcome:
        asked = Asked(
            self.new_id(), turn.learner.id, question.id, occasion, turn.now, reviews.wording(turn.memory, question)
        )  # fmt: skip
        learner = turn.learner if turn.learner != turn.memory.learner else None
        if turn.new and learner is not None:
            learner = days.scheduled(learner, turn.now)
        return Outcome((phrases.question(asked, question, self.library),), learner, (*closing(turn.memory, Fate.REPLACED), asked))

    async def _hint(self, turn: Turn) -> Outcome:
        opened = self.meant(turn)
        if opened is None:
            return Outcome((phrases.closed() if turn.argument else phrases.nothing_open(),))
        question = self.library.questions.get(opened.question)
        if opened.followup or question is None:
            return Outcome((phrases.no_hint_for_follow_up(),))
        if opened.hints >= len(question.hints):
            return Outcome((phrases.no_more_hints(opened),))
        given = replace(opened, hints=opened.hints + 1)
        return Outcome((phrases.hint(given.hints, question.hints[given.hints - 1], given),), asked=(given,))

    async def _skip(self, turn: Turn) -> Outcome:
        opened = self.meant(turn)
        if opened is None:
            return Outcome((phrases.closed() if turn.argument else phrases.nothing_open(),))
        return Outcome((phrases.skipped(),), asked=(replace(opened, fate=Fate.SKIPPED),))

    async def _answer(self, turn: Turn) -> Outcome:
        asked = self.meant(turn)
        if asked is None and turn.argument:
            asked = await self.store.asked(turn.learner.id, turn.argument)
        if asked is None and not turn.argument:
            last = await self.store.last_attempt(turn.learner.id)
            asked = await self.store.asked(turn.learner.id, last.asked) if last else None
        rubric = self.rubric(asked) if asked else None
        if asked is None or rubric is None:
            return Outcome((phrases.nothing_open(),))
        closing = (replace(asked, fate=Fate.SHOWN),) if asked.fate is Fate.OPEN else ()
        return Outcome((phrases.model_answer(rubric),), asked=closing)

    def meant(self, turn: Turn) -> Asked | None:
        """The open question, if it is the one that a button was about."""
        opened = turn.memory.open
        return opened if opened is not None and turn.argument in ("", opened.id) else None

    def rubric(self, asked: Asked) -> Rubric | None:
        question = self.library.questions.get(asked.question)
        return question.followup(asked.followup) if question is not None and asked.followup else question

    async def _compose_daily(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        learner = memory.learner
        if learner is None or not self._wanted(owed, learner, now):
            return None, Changes()
        question = reviews.choose(self.library, learner, memory, now, self.rng)
        if question is None:
            return None, Changes()
        turn = Turn(Message(owed.key, owed.address, "", now), learner, memory, "", now, False)
        outcome = self.ask(turn, question, Occasion.DAILY)
        return outcome.replies[0], Changes(replace(learner, paused_until=None, expecting=""), outcome.asked)

    def _wanted(self, owed: Owed, learner: Learner, now: datetime) -> bool:
        today = days.local_day(now, learner.zone)
        if learner.minute is None or not learner.reachable:
            return False
        if learner.paused_until is not None and today < learner.paused_until:
            return False
        if today.weekday() in learner.rest:
            return False
        return owed.about == today.isoformat()
