"""Mock interviews: begun, gone on with, paused, ended; each reply is graded and leads to the next question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot import course, interviews, reviews
from bot.content import Question
from bot.desks import Composer, Desk, Handler, Outcome, Tools, Turn, closing
from bot.desks.investigating import Investigating
from bot.desks.replying import Replying, gives_up
from bot.desks.reporting import Reporting
from bot.messages import Reply, italic, say
from bot.model import Asked, Attempt, Changes, Fate, Held, Interview, Memory, Occasion, Practised, State, Sure
from bot.outbox import Owed
from bot.phrases import SURE, graded, hint, in_private, no_words
from bot.phrases import incidents as incident_phrases
from bot.phrases import interviewing as phrases

BATCH = 50
"""Nudges that are owed at once."""

_ASKS_YOU = re.compile(
    r"(?:what(?:'s|\s+is|\s+would\s+be)\s+the\s+(?:right\s+|correct\s+|model\s+)?(?:answer|solution)"
    r"|(?:can|could|would|will)\s+you\s+(?:please\s+)?(?:just\s+)?(?:tell|give|show|explain)\s+(?:it\s+to\s+)?me"
    r"|(?:please\s+)?(?:just\s+)?(?:tell|give|show)\s+me\s+the\s+(?:answer|solution)|how\s+would\s+you\s+answer|you\s+tell\s+me)\b[^.]{0,40}\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Next:
    """What is asked next: the rows to write and the replies; nothing where the interview is over."""

    replies: tuple[Reply, ...] = ()
    asked: tuple[Asked, ...] = ()
    also: tuple[object, ...] = ()
    minutes: float = 0.0


class Interviewing(Desk):
    """Everything about a mock interview but its report."""

    def __init__(self, tools: Tools, replying: Replying, investigating: Investigating, reporting: Reporting) -> None:
        super().__init__(tools)
        self.incidents = tools.incidents
        self._replying = replying
        self._investigating = investigating
        self._reporting = reporting

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"mock": self._mock, "sure": self._sure}

    @property
    def while_open(self) -> Mapping[Occasion, Mapping[str, Handler]]:
        return {
            Occasion.INTERVIEW: {
                "skip": self._skip, "hint": self._hint, "answer": self._answer, "pause": self._pause, "cancel": self._cancel,
                "conclude": self._conclude, "next": self._busy, "redo": self._busy, "incident": self._busy, "deeper": self._busy,
            }
        }  # fmt: skip

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"nudge": self._compose_nudge}

    async def tick(self, platforms: Sequence[str]) -> None:
        """Reminds of the time whoever is over it."""
        if await self.store.owe_nudges(platforms, self.now(), BATCH):
            self.owing()

    # ------------------------------------------------------------------------------------------ beginning and coming back

    async def _mock(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((in_private("mock"),))
        waiting = await self.store.interview(turn.learner.id)
        if waiting is not None:
            held = (await self.store.held([waiting.id]))[waiting.id]
            fresh = bool(turn.argument) and not any(one.attempt for one in held)
            if not fresh:
                return await self._go_on(turn, waiting, held)
        return await self._begin(turn, waiting)

    async def _begin(self, turn: Turn, instead_of: Interview | None) -> Outcome:
        order = course.ordered(turn.argument, self.library.syllabus)
        if order.unclear:
            return Outcome((phrases.unclear(order.unclear, self.library),))
        track = order.track or (next(iter(turn.learner.tracks)) if len(turn.learner.tracks) == 1 else "")
        one = Interview(
            self.new_id(), turn.learner.id, turn.message.address, turn.now, track, order.minutes, order.level or turn.learner.level,
            order.format, order.real,
        )  # fmt: skip
        following = self._ask(turn, one, (), turn.memory)
        if not following.asked:
            return Outcome((phrases.nothing_to_ask(),))
        gone = (replace(instead_of, state=State.CANCELLED, ended_at=turn.now, nudge_at=None),) if instead_of is not None else ()
        asked = (*closing(turn.memory, Fate.REPLACED), *following.asked)
        replies = (phrases.begun(one, self.library), *following.replies)
        learner = replace(turn.learner, expecting="")
        learner = learner if learner != turn.memory.learner else None  # type: ignore[assignment]
        return Outcome(replies, learner, asked, also=(*gone, self._running(turn, one, following), *following.also))

    async def _go_on(self, turn: Turn, one: Interview, held: Sequence[Held]) -> Outcome:
        """At the very question where it stopped: nothing is asked anew."""
        stopped = next((last for last in reversed(held) if last.attempt is None and last.asked.fate in _STOPPED), None)
        if stopped is None:
            return await self._go_further(turn, one, held, None, ())
        asked = replace(stopped.asked, fate=Fate.OPEN, at=turn.now)
        number = len(course.questions(held))
        again = await self._worded(turn, one, asked, number)
        if again is None:
            return await self._go_further(turn, one, held, None, ())
        closed = tuple(old for old in closing(turn.memory, Fate.REPLACED) if old.id != asked.id)
        minutes = course.allowed(one, Held(asked), self.incidents).total_seconds() / 60
        running = self._running(turn, one, Next(minutes=minutes))
        return Outcome((phrases.returned(one, number), again), None, (*closed, asked), also=(running,))

    async def _worded(self, turn: Turn, one: Interview, asked: Asked, number: int) -> Reply | None:
        """What was asked, asked again; None where it is in no pack any more."""
        if asked.question in self.incidents:
            incident = self.incidents[asked.question]
            return incident_phrases.opening(asked, incident, f"Question {number}")
        question = self.library.questions.get(asked.question)
        if question is None:
            return None
        if not asked.followup:
            return phrases.question(one, asked, question, number, self.library)
        followup = interviews.find(question, asked.followup)
        return phrases.follow_up(one, asked, followup, None) if followup is not None else None

    # ------------------------------------------------------------------------------------------ a reply

    async def reply(self, turn: Turn, text: str) -> Outcome:
        asked = turn.memory.open
        one = await self.store.interview(turn.learner.id)
        if asked is None or one is None or asked.interview != one.id:
            return await self._replying.reply(turn, text)
        if not turn.message.private:
            return Outcome((in_private("mock"),))
        if not re.search(r"\w", text):
            return Outcome((no_words(),))
        if asked.question in self.incidents:
            return await self._investigated(turn, one, asked, text)
        question = self.library.questions.get(asked.question)
        if question is None:
            return await self._skip(replace(turn, argument=""))
        if _ASKS_YOU.fullmatch(text.strip()):
            return Outcome((phrases.asks_you(),))
        if gives_up(text):
            return await self._skip(replace(turn, argument=""))
        most = course.FOLLOW_UPS[one.format]
        judged = await self._replying.judge(turn, asked, question, text, most)
        if judged.attempt.grade.score is None and "language" in judged.attempt.grade.note.split():
            return Outcome((phrases.only_english(),))
        held = _with(await self._held(one), replace(asked, fate=Fate.ANSWERED), judged.attempt)
        title = "follow-up" if asked.followup else question.title
        shown = (
            ()
            if one.real
            else (
                _without_buttons(
                    graded(judged.attempt, judged.rubric, title, deeper=False, first=judged.first, raised=judged.raised, pace=turn.pace)
                ),
            )
        )
        raised = (judged.first,) if judged.raised else ()
        chosen = judged.chosen if _time_for_more(one, held, self.incidents) else None
        practised = Practised(turn.message.at, turn.learner.zone, bool(asked.followup))
        done = Outcome(shown, None, (replace(asked, fate=Fate.ANSWERED),), judged.attempt, practised, raised)
        if chosen is not None:
            following = Asked(
                self.new_id(), turn.learner.id, question.id, Occasion.INTERVIEW, turn.now, followup=chosen.followup.id,
                attempt=judged.first.id, interview=one.id,
            )  # fmt: skip
            minutes = course.allowed(one, Held(following), self.incidents).total_seconds() / 60
            asks = phrases.follow_up(one, following, chosen.followup, chosen)
            return _joined(done, Outcome((asks,), asked=(following,), also=(self._running(turn, one, Next(minutes=minutes)),)))
        return _joined(done, await self._go_further(turn, one, held, judged.attempt, raised))

    async def _investigated(self, turn: Turn, one: Interview, asked: Asked, text: str, **what: bool) -> Outcome:
        stepped = await self._investigating.step(turn, asked, text, quiet=one.real, **what)
        if stepped is None:
            return await self._skip(replace(turn, argument=""))
        if not stepped.course.closed:
            return Outcome(stepped.replies, also=(stepped.course,))
        fate = Fate.ANSWERED if stepped.attempt else Fate.SKIPPED
        held = _with(await self._held(one), replace(asked, fate=fate), stepped.attempt)
        shown = () if one.real else (incident_phrases.result(self.incidents[asked.question], stepped.course),)
        practised = Practised(turn.message.at, turn.learner.zone) if stepped.attempt else None
        done = Outcome(
            (*stepped.replies, *shown), None, (replace(asked, fate=fate),), stepped.attempt, practised, (stepped.course,)
        )  # fmt: skip
        return _joined(done, await self._go_further(turn, one, held, stepped.attempt, ()))

    async def _go_further(
        self, turn: Turn, one: Interview, held: Sequence[Held], fresh: Attempt | None, raised: Sequence[Attempt], lead: str = ""
    ) -> Outcome:
        """The next question of the plan, or the end."""
        newest = {attempt.id: attempt for attempt in raised}
        held = tuple(replace(each, attempt=newest.get(each.attempt.id, each.attempt)) if each.attempt else each for each in held)
        if not course.over(one, held, self.incidents):
            following = self._ask(turn, one, held, turn.memory)
            if following.asked:
                words = lead or phrases.next_line(one, len(course.questions(held)))
                first, *rest = following.replies
                replies = (replace(first, spans=(italic(words), *say("\n\n").spans, *first.spans)), *rest)
                return Outcome(replies, asked=following.asked, also=(self._running(turn, one, following), *following.also))
        done = replace(one, state=State.DONE, ended_at=turn.now, nudge_at=None)
        return Outcome(await self._reporting.at_the_end(turn, done, held), also=(done,))

    def _ask(self, turn: Turn, one: Interview, held: Sequence[Held], memory: Memory) -> Next:
        """Chooses what comes next and words it."""
        main = course.questions(held)
        number = len(main) + 1
        level = course.difficulty(one.level, [each.attempt.grade.score if each.attempt else None for each in main], one.format)
        lately = course.asked_this_week(memory.asked_lately, turn.now)
        if course.incident_now(one, len(main)):
            met = {id for id, _ in memory.asked_lately}
            asked_questions = {each.asked.question for each in main}
            incident = course.next_incident(self.incidents, one.track, level, met, asked_questions, self.rng)
            if incident is not None:
                asked = Asked(self.new_id(), turn.learner.id, incident.id, Occasion.INTERVIEW, turn.now, interview=one.id)
                total = course.length(one.minutes, one.format)
                opening = incident_phrases.opening(asked, incident, f"Question {number} of {total}")
                return Next((opening,), (asked,), (self._investigating.begin(asked),), course.INCIDENT)
        done: list[Question] = [self.library.questions[id] for each in main if (id := each.asked.question) in self.library.questions]
        done += [self.library.questions[beside] for each in main if (beside := self._beside(each)) in self.library.questions]
        question = course.next_question(self.library, one.track, one.format, level, done, lately, self.rng)
        if question is None:
            return Next()
        wording = reviews.wording(memory.lately, question)
        asked = Asked(self.new_id(), turn.learner.id, question.id, Occasion.INTERVIEW, turn.now, wording, interview=one.id)
        return Next((phrases.question(one, asked, question, number, self.library),), (asked,), (), course.MINUTES[one.format])

    def _beside(self, held: Held) -> str:
        """The question about the same situation as an incident."""
        incident = self.incidents.get(held.asked.question)
        return incident.question if incident is not None else ""

    def _running(self, turn: Turn, one: Interview, following: Next) -> Interview:
        return replace(one, state=State.RUNNING, address=turn.message.address, nudge_at=turn.now + timedelta(minutes=following.minutes))

    async def _held(self, one: Interview) -> tuple[Held, ...]:
        return (await self.store.held([one.id]))[one.id]

    # ------------------------------------------------------------------------------------------ commands in the middle of one

    async def _skip(self, turn: Turn) -> Outcome:
        asked = turn.memory.open
        one = await self.store.interview(turn.learner.id)
        if asked is None or one is None:
            return Outcome((phrases.waits(),) if one else (), asked=closing(turn.memory, Fate.SKIPPED))
        if turn.argument not in ("", asked.id):
            return Outcome((phrases.in_an_interview(),))
        if asked.question in self.incidents:
            course_now = await self.store.investigation(turn.learner.id, asked.id)
            if course_now is not None and course_now.looks:
                return await self._investigated(turn, one, asked, "", end=True)
        skipped = replace(asked, fate=Fate.SKIPPED)
        held = tuple(replace(each, asked=skipped) if each.asked.id == asked.id else each for each in await self._held(one))
        return _joined(Outcome((), asked=(skipped,)), await self._go_further(turn, one, held, None, (), phrases.skipped()))

    async def _hint(self, turn: Turn) -> Outcome:
        asked = turn.memory.open
        one = await self.store.interview(turn.learner.id)
        if asked is None or one is None:
            return Outcome((phrases.waits(),))
        if asked.question in self.incidents:
            return await self._investigated(turn, one, asked, "", hint=True)
        question = self.library.questions.get(asked.question)
        if one.real or question is None or asked.followup or asked.hints >= len(question.hints):
            return Outcome((phrases.no_hint(),))
        given = replace(asked, hints=asked.hints + 1)
        return Outcome((_without_buttons(hint(given.hints, question.hints[given.hints - 1], given)),), asked=(given,))

    async def _conclude(self, turn: Turn) -> Outcome:
        asked = turn.memory.open
        one = await self.store.interview(turn.learner.id)
        if asked is None or one is None or asked.question not in self.incidents:
            return Outcome((phrases.in_an_interview(),))
        return await self._investigated(turn, one, asked, "", conclude=True)

    async def _answer(self, turn: Turn) -> Outcome:
        asked = turn.memory.open
        one = await self.store.interview(turn.learner.id)
        if asked is not None and one is not None and asked.question in self.incidents:
            return await self._investigated(turn, one, asked, "", end=True)
        return Outcome((phrases.after_the_interview(),))

    async def _busy(self, turn: Turn) -> Outcome:
        return Outcome((phrases.in_an_interview(),))

    async def _pause(self, turn: Turn) -> Outcome:
        one = await self.store.interview(turn.learner.id)
        if one is None:
            return Outcome((phrases.paused(),), asked=closing(turn.memory, Fate.CANCELLED))
        return Outcome(
            (phrases.paused(),), None, closing(turn.memory, Fate.CANCELLED), also=(replace(one, state=State.PAUSED, nudge_at=None),)
        )

    async def _cancel(self, turn: Turn) -> Outcome:
        one = await self.store.interview(turn.learner.id)
        if one is None:
            return Outcome((phrases.cancelled(0),), asked=closing(turn.memory, Fate.CANCELLED))
        replies = sum(each.attempt is not None for each in await self._held(one))
        over = replace(one, state=State.CANCELLED, ended_at=turn.now, nudge_at=None)
        return Outcome((phrases.cancelled(replies),), None, closing(turn.memory, Fate.CANCELLED), also=(over,))

    # ------------------------------------------------------------------------------------------ how sure

    async def _sure(self, turn: Turn) -> Outcome:
        id, _, level = turn.argument.partition(" ")
        asked = await self.store.asked(turn.learner.id, id) if id else None
        if asked is None or level not in {str(one.value) for one in SURE}:
            return Outcome((phrases.too_late_for_sure(),))
        one = await self.store.interview(turn.learner.id)
        unseen = asked.fate is Fate.OPEN or (one is not None and one.real and asked.interview == one.id)
        if not unseen:
            return Outcome((phrases.too_late_for_sure(),))
        sure = Sure(int(level))
        return Outcome((phrases.sure_noted(sure),), asked=(replace(asked, sure=sure),))

    # ------------------------------------------------------------------------------------------ the clock

    async def _compose_nudge(self, owed: Owed, memory: Memory, now: object) -> tuple[Reply | None, Changes]:
        """Only while the question that it is about still waits."""
        one = await self.store.interview(owed.learner) if memory.learner else None
        asked = memory.open
        if one is None or asked is None or asked.interview != one.id or one.nudge_at is not None or one.state is not State.RUNNING:
            return None, Changes()
        return phrases.nudge(one, len(await self._held(one))), Changes()


_STOPPED = (Fate.OPEN, Fate.CANCELLED, Fate.REPLACED)


def _with(held: Sequence[Held], asked: Asked, attempt: Attempt | None) -> tuple[Held, ...]:
    return tuple(Held(asked, attempt) if each.asked.id == asked.id else each for each in held)


def _without_buttons(reply: Reply) -> Reply:
    return replace(reply, choices=())


def _time_for_more(one: Interview, held: Sequence[Held], incidents: Mapping[str, object]) -> bool:
    """Whether a follow-up still fits: on the last question too, unless the time is well over."""
    return course.spent(one, held, incidents) <= 1.5 * timedelta(minutes=one.minutes)


def _joined(first: Outcome, then: Outcome) -> Outcome:
    return replace(
        first, replies=(*first.replies, *then.replies), asked=(*first.asked, *then.asked), also=(*first.also, *then.also),
        owed=(*first.owed, *then.owed),
    )  # fmt: skip
