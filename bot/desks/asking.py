"""Asking: choosing a question by hand or by the coach, its hints and its model answer, and the question of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from bot import days, interviews, phrases, plans, reviews, timing
from bot.content import Question, Rubric
from bot.content import words as words_of
from bot.desks import Composer, Desk, Handler, Outcome, Turn, closing
from bot.desks.recalling import recollect
from bot.messages import Message, Reply, Span
from bot.model import Asked, Changes, Fate, Learner, Mark, MarkKind, Memory, Occasion, Reason
from bot.outbox import Owed
from bot.phrases import resting as resting_phrases
from bot.phrases import reviews as words
from bot.plans import Plan
from bot.reviews import Known, Pick

UNDISTURBED = timedelta(hours=1)
"""For so long after what was last asked in an interview no daily question comes."""

AGAIN = timedelta(seconds=3)
"""Within this time a second /next is the same tap once more."""

WISHES = {"weak": Reason.WEAK, "new": Reason.NEW}
"""What may be asked for by hand beside a topic."""


class Asking(Desk):
    """Everything about a question before the reply to it."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "next": self._next, "redo": self._next, "hint": self._hint, "skip": self._skip, "answer": self._answer,
            "interview": self._interview,
        }  # fmt: skip

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"daily": self._compose_daily}

    async def _next(self, turn: Turn) -> Outcome:
        wish = WISHES.get(turn.argument.lower())
        if wish is not None:
            if self.just_asked(turn):
                return Outcome((phrases.already_asked(),))
            return await self.ask_next(replace(turn, learner=replace(turn.learner, expecting="")), wish=wish)
        topic = self.named(turn.argument) if turn.argument else ""
        if topic is None:
            return Outcome((phrases.no_such_topic(turn.argument, self.library),))
        if self.just_asked(turn, topic):
            return Outcome((phrases.already_asked(),))
        turn = replace(turn, learner=replace(turn.learner, expecting=""))
        if isinstance(topic, Question):
            return self.ask(turn, topic)
        return await self.ask_next(turn, topic)

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
        for names, scorer in ((sections, fuzz.token_set_ratio), (titles, fuzz.token_sort_ratio)):
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

    async def ask_next(self, turn: Turn, section: str = "", wish: Reason | None = None) -> Outcome:
        known, changed = await recollect(self.store, self.library, turn.memory, self.rng)
        pick = reviews.choose(self.library, turn.learner, known, turn.now, self.rng, section=section, wish=wish)
        if pick is None:
            plan = self.plan(turn.learner, known, turn.now)
            none = words.enough() if plan is not None and plan.last_day else words.asked_all()
            learner = turn.learner if turn.learner != turn.memory.learner else None
            return Outcome((none if plans.tracked(self.library, turn.learner) else phrases.topics(self.library, turn.learner),), learner)
        outcome = self.ask(turn, pick.question, pick=pick)
        if wish is not None and pick.reason is not wish:
            lead = words.nothing_weak() if wish is Reason.WEAK else words.nothing_new()
            outcome = replace(outcome, replies=(_led(lead, outcome.replies[0]),))
        return replace(outcome, also=changed)

    def plan(self, learner: Learner, known: Known, now: datetime) -> Plan | None:
        """The plan towards the learner's interview, as it stands today."""
        return plans.plan(self.library, learner, known.cards.keys(), days.local_day(now, learner.zone))

    def ask(self, turn: Turn, question: Question, occasion: Occasion = Occasion.CHOSEN, pick: Pick | None = None) -> Outcome:
        """Puts a question to the learner; `pick` says why it was chosen and for which point, where the coach did."""
        asked = Asked(
            self.new_id(), turn.learner.id, question.id, occasion, turn.now, reviews.wording(turn.memory.lately, question),
            pick.followup if pick is not None else "", reason=pick.reason.value if pick is not None else "",
            focus=pick.focus if pick is not None else "",
        )  # fmt: skip
        learner = turn.learner if turn.learner != turn.memory.learner else None
        if turn.new and learner is not None:
            learner = days.scheduled(learner, turn.now)
        return Outcome((self._worded(asked, question),), learner, (*closing(turn.memory, Fate.REPLACED), asked))

    def _worded(self, asked: Asked, question: Question) -> Reply:
        alone = question.followup(asked.followup) if asked.followup else None
        if alone is not None:
            return words.one_point(asked, question, alone, self.library)
        reply = phrases.question(asked, question, self.library)
        point = question.point(asked.focus) if asked.focus else None
        return reply if point is None else replace(reply, spans=(*reply.spans, *words.cue(point)))

    async def _interview(self, turn: Turn) -> Outcome:
        today = days.local_day(turn.now, turn.learner.zone)
        learner = turn.learner
        if turn.argument.lower() in ("off", "none", "no", "cancel"):
            return Outcome((words.no_interview_any_more(),), replace(learner, interview_on=None))
        if turn.argument:
            day = plans.day_of(turn.argument, today)
            if day is None:
                return Outcome((words.interview_unclear(),))
            if day < today:
                return Outcome((words.interview_past(day),))
            if (day - today).days > plans.FARTHEST:
                return Outcome((words.interview_far(),))
            learner = replace(learner, interview_on=day)
        known, changed = await recollect(self.store, self.library, turn.memory, self.rng)
        plan = self.plan(learner, known, turn.now)
        if plan is None:
            return Outcome((words.no_interview(),))
        due, owed = reviews.owed_today(self.library, learner, known, turn.now)
        return Outcome((words.plan(plan, due, owed),), learner if learner != turn.learner else None, also=changed)

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
        return interviews.find(question, asked.followup) if question is not None and asked.followup else question

    async def _compose_daily(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        learner = memory.learner
        if learner is None or not self._wanted(learner, date.fromisoformat(owed.about)):
            return None, Changes()
        late = owed.due_at is not None and now - owed.due_at > timing.LATEST
        if late or _at_work(memory, now) or owed.about != days.local_day(now, learner.zone).isoformat():
            return None, Changes(also=(Mark(learner.id, now, learner.zone, MarkKind.EXCUSED, owed.about),))
        unanswered = timing.unanswered(memory, learner.zone)
        if unanswered >= timing.FEWER:
            unanswered = timing.unanswered(memory, learner.zone, await self.store.marks(learner.id))
        if unanswered >= timing.NONE:
            resting = days.scheduled(replace(learner, paused_until=date.max), now)
            return resting_phrases.gone_quiet(), Changes(resting)
        if unanswered >= timing.FEWER and date.fromisoformat(owed.about).weekday() not in timing.FEWER_DAYS:
            return None, Changes()
        known, changed = await recollect(self.store, self.library, memory, self.rng)
        pick = reviews.choose(self.library, learner, known, now, self.rng)
        if pick is None:
            return None, Changes()
        turn = Turn(Message(owed.key, owed.address, "", now), learner, memory, "", now, False)
        outcome = self.ask(turn, pick.question, Occasion.DAILY, pick)
        reply = outcome.replies[0]
        if (plan := self.plan(learner, known, now)) is not None:
            reply = _led(words.countdown(plan, reviews.owed_today(self.library, learner, known, now)[1]), reply)
        if unanswered == timing.FEWER:
            reply = resting_phrases.asking_less(reply)
        return reply, Changes(replace(learner, paused_until=None, expecting=""), outcome.asked, also=changed)

    def _wanted(self, learner: Learner, day: date) -> bool:
        if learner.minute is None or not learner.reachable:
            return False
        if learner.paused_until is not None and day < learner.paused_until:
            return False
        return day.weekday() not in learner.rest


def _at_work(memory: Memory, now: datetime) -> bool:
    """Whether the learner is in the middle of an interview or an incident, which no daily question interrupts."""
    opened = memory.open
    return opened is not None and opened.occasion in (Occasion.INTERVIEW, Occasion.INCIDENT) and now - opened.at < UNDISTURBED


def _led(lead: tuple[Span, ...], reply: Reply) -> Reply:
    return replace(reply, spans=(*lead, *reply.spans))
