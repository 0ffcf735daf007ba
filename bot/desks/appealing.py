"""Appealing: "I did say that", and flags for the owner. A verdict is read again where its learner shows their own words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import structlog

from bot import appeals
from bot import phrases as common
from bot.appeals import MOST
from bot.content import Point, Rubric
from bot.desks import Desk, Handler, Outcome, Tools, Turn
from bot.desks.replying import Replying
from bot.grading.reading import Window
from bot.model import Appeal, Attempt, Finding, Flag, Grade, Ruling
from bot.phrases import appeals as phrases
from bot.ports import grading_for

WORDS = APPEAL, FLAG = "appeal", "flag"
"""The first words of `Learner.expecting` while the words for a point, or the reason for a flag, are awaited."""

OFFERED = 4
"""Sentences of a reply that are offered as buttons."""

REASON = 500
"""Characters of a reason that are kept."""

FLAGS_A_DAY = 20

log = structlog.get_logger("appeals")


class Appealing(Desk):
    """Takes a learner's word for where a point stands, and nobody's word for what it is worth."""

    expects = frozenset({APPEAL, FLAG})

    def __init__(self, tools: Tools, replying: Replying) -> None:
        super().__init__(tools)
        self._replying = replying

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"appeal": self._appeal, "flag": self._flag, "flagged": self._flagged}

    async def typed(self, turn: Turn, text: str) -> Outcome | None:
        if not turn.message.private:
            return None
        kind, *rest = turn.learner.expecting.split()
        turn = replace(turn, learner=replace(turn.learner, expecting=""))
        if kind == FLAG:
            return await self._raise_flag(turn, text)
        attempt = await self.store.attempt(turn.learner.id, rest[0]) if len(rest) == 2 else None
        rubric = self._rubric(attempt) if attempt else None
        point = rubric.point(rest[1]) if rubric else None
        if attempt is None or rubric is None or point is None:
            return await self._reply_after_all(turn, text)
        found = appeals.located(attempt.text, text)
        if found.place is None:
            if turn.memory.open is not None and found.likeness < appeals.NOT_A_QUOTE and len(text.split()) > 3:
                return await self._reply_after_all(turn, text)
            return Outcome((phrases.not_in_reply(),))
        return await self._hear(turn, attempt, rubric, point, found.place)

    async def _reply_after_all(self, turn: Turn, text: str) -> Outcome:
        """What was typed is no words of the reply: it answers the open question, and the appeal is no longer waited for."""
        outcome = await self._replying.reply(turn, text)
        return outcome if outcome.learner is not None else replace(outcome, learner=turn.learner)

    # ------------------------------------------------------------------------------------------ an appeal

    async def _appeal(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("appeal"),))
        words = turn.argument.split()
        attempt = await self.store.attempt(turn.learner.id, words[0]) if words and len(words) <= 3 else None
        named = attempt is not None
        attempt = attempt or await self.store.last_attempt(turn.learner.id)
        rubric = self._rubric(attempt) if attempt else None
        if attempt is None or rubric is None:
            return Outcome((phrases.nothing_graded(),))
        if attempt.grade.score is None:
            return Outcome((phrases.no_score(),))
        before = {one.point for one in await self.store.appeals(attempt.id)}
        points = appeals.appealable(rubric, attempt.grade, before)
        if len(before) >= MOST:
            return Outcome((phrases.enough(MOST),))
        if not points:
            return Outcome((phrases.nothing_to_appeal(),))
        title = self._called(attempt.question, attempt.followup)
        if named and len(words) == 1:
            return Outcome((phrases.which_point(attempt, points, title),))
        if not named:
            if not words:
                return Outcome((phrases.which_point(attempt, points, title),))
            place = appeals.located(attempt.text, turn.argument).place
            if place is None:
                return Outcome((phrases.not_in_reply(),))
            return Outcome((phrases.which_point(attempt, points, title, self._number(attempt, place)),))
        point = rubric.point(words[1])
        if point is not None and point.id in before:
            return Outcome((phrases.once_a_point(),))
        if point is None or point not in points:
            return Outcome((phrases.nothing_to_appeal(),))
        sentences = appeals.sentences(attempt.text)
        if len(words) == 3 and words[2].isdigit() and int(words[2]) < len(sentences):
            return await self._hear(turn, attempt, rubric, point, sentences[int(words[2])])
        learner = replace(turn.learner, expecting=f"{APPEAL} {attempt.id} {point.id}")
        offered = [(number, sentences[number].text) for number in appeals.offered(attempt.text, rubric, point, OFFERED)]
        return Outcome((phrases.which_words(attempt, point, offered),), learner)

    @staticmethod
    def _number(attempt: Attempt, place: Window) -> int:
        """The number of the stretch that holds most of `place`."""
        found = appeals.sentences(attempt.text)
        return max(range(len(found)), key=lambda n: min(found[n].end, place.end) - max(found[n].start, place.start))

    async def _hear(self, turn: Turn, attempt: Attempt, rubric: Rubric, point: Point, place: Window) -> Outcome:
        """Reads the words at `place` against one point, once and for ever."""
        before = {one.point for one in await self.store.appeals(attempt.id)}
        if point.id in before or len(before) >= MOST:
            return Outcome((phrases.once_a_point() if point.id in before else phrases.enough(MOST),), turn.learner)
        span = appeals.in_context(attempt.text, place)
        if appeals.too_wide(span):
            return Outcome((phrases.too_wide(),), replace(turn.learner, expecting=f"{APPEAL} {attempt.id} {point.id}"))
        verdict = attempt.grade.verdict(point.id)
        if verdict is None or point not in appeals.appealable(rubric, attempt.grade, before):
            return Outcome((phrases.nothing_to_appeal(),), turn.learner)
        reading = await self._read(turn, rubric, span.text)
        contradicted = verdict.finding is Finding.CONTRADICTED
        struck = await self._read(turn, rubric, verdict.quote) if contradicted else None
        heard = appeals.rule(rubric, attempt, point, span, reading, struck)
        now = heard.grade.verdict(point.id) or verdict
        appeal = Appeal(
            attempt.id, point.id, span.text, span.start, span.end, verdict.finding, now.finding, turn.now, heard.ruling, attempt.grade
        )
        log.info("appeal", question=attempt.question, point=point.id, before=verdict.finding.value, after=now.finding.value)
        changed = replace(attempt, grade=heard.grade)
        more = len(before) + 1 < MOST and bool(appeals.appealable(rubric, heard.grade, before | {point.id}))
        if heard.ruling is Ruling.RAISED:
            reply = phrases.raised(changed, attempt.grade.score or 0, point, more)
            return Outcome((reply,), replace(turn.learner, expecting=""), also=(changed, appeal))
        said_elsewhere = contradicted and not heard.misconception and not _meet(span, verdict.start, verdict.end)
        struck_words = verdict.quote if said_elsewhere and heard.ruling is Ruling.CONTRARY else ""
        reply = phrases.stands(
            attempt, heard.ruling, point, span.text, rubric.misconception(heard.misconception), struck_words, more
        )  # fmt: skip
        return Outcome((reply,), replace(turn.learner, expecting=""), also=(appeal,))

    async def _read(self, turn: Turn, rubric: Rubric, words: str) -> Grade:
        """These words alone, against the whole rubric: set beside its other points a grader sees best which of them they make."""
        token = grading_for.set(turn.learner.id)
        try:
            return await self.grader.grade(rubric, words)
        finally:
            grading_for.reset(token)

    def _rubric(self, attempt: Attempt) -> Rubric | None:
        question = self.library.questions.get(attempt.question)
        return question.followup(attempt.followup) if question is not None and attempt.followup else question

    # ------------------------------------------------------------------------------------------ a flag

    async def _flag(self, turn: Turn) -> Outcome:
        if turn.argument:
            return await self._raise_flag(turn, turn.argument)
        if turn.memory.open is None and await self.store.last_attempt(turn.learner.id) is None:
            return Outcome((phrases.nothing_to_flag(),))
        return Outcome((phrases.why(),), replace(turn.learner, expecting=FLAG))

    async def _raise_flag(self, turn: Turn, reason: str) -> Outcome:
        """About the open question; else about the last grade."""
        learner = replace(turn.learner, expecting="")
        opened = turn.memory.open
        last = await self.store.last_attempt(learner.id)
        if opened is None and last is None:
            return Outcome((phrases.nothing_to_flag(),), learner)
        if await self.store.flags_since(learner.id, turn.now - timedelta(days=1)) >= FLAGS_A_DAY:
            return Outcome((phrases.flags_enough(),), learner)
        reason = " ".join(reason.split())[:REASON]
        graded = self._called(last.question, last.followup) if last else ""
        if opened is not None:
            flag = Flag(
                self.new_id(), learner.id, opened.question, opened.followup, reason, turn.now, attempt_before=last.id if last else ""
            )
            reply = phrases.flagged_question(self._called(opened.question, opened.followup), flag.id, graded)
        else:
            assert last is not None
            flag = Flag(self.new_id(), learner.id, last.question, last.followup, reason, turn.now, last.id)
            reply = phrases.flagged_grade(graded)
        log.info("flag", question=flag.question, graded=bool(flag.attempt))
        return Outcome((reply,), learner, also=(flag,))

    async def _flagged(self, turn: Turn) -> Outcome:
        """The grade was meant and not the question."""
        flag = await self.store.flag(turn.learner.id, turn.argument)
        attempt = await self.store.attempt(turn.learner.id, flag.attempt_before or flag.attempt) if flag else None
        if flag is None or attempt is None:
            return Outcome((phrases.nothing_to_flag(),))
        meant = replace(flag, question=attempt.question, followup=attempt.followup, attempt=attempt.id)
        return Outcome((phrases.flagged_grade(self._called(attempt.question, attempt.followup)),), also=(meant,))

    def _called(self, question: str, followup: str) -> str:
        known = self.library.questions.get(question)
        name = known.title if known else question
        return f"the follow-up to {name}" if followup else name


def _meet(span: Window, start: int | None, end: int | None) -> bool:
    return start is not None and end is not None and span.start < end and start < span.end
