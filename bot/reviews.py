"""What to ask next: a pure choice among the questions that a learner may be asked, with the reason for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from bot import days, plans, progress
from bot.cards import REST, WANTED, is_due, missed, retrievability, weakness
from bot.content import Library, Question
from bot.model import Card, Lately, Learner, Reason
from bot.plans import DAILY, LIGHT, Plan

WEAK = 60
"""Below this score (0..100) a question is weak by itself."""

RETRY = timedelta(days=2)
"""A weak question is not taken up again before this, unless it is due."""

OFTEN = 2
"""Times that a point was missed from which on a question comes back asking for it, although it is not the only one."""

FORGETS = 60.0
"""Days of being overdue that weigh as much as having forgotten everything: whatever waits long enough comes first."""


@dataclass(frozen=True, slots=True)
class Known:
    """What choosing knows of a learner: their cards by question, and what was asked lately, oldest first."""

    cards: Mapping[str, Card]
    lately: Sequence[Lately]


@dataclass(frozen=True, slots=True)
class Pick:
    """A question to ask. focus: the point that it comes back for, or ""; followup: the one by which that point alone is asked
    for, or "" where the whole question is asked."""

    question: Question
    reason: Reason
    focus: str = ""
    followup: str = ""


def eligible(library: Library, learner: Learner, section: str = "") -> list[Question]:
    """The questions of the learner's tracks, or all of a section that they ask for by name."""
    return list(library.about(section)) if section else plans.tracked(library, learner)


def choose(
    library: Library, learner: Learner, known: Known, now: datetime, rng: Random, *, section: str = "", wish: Reason | None = None
) -> Pick | None:
    """The question to ask now; None where everything was asked in the last 20 hours, or it is the eve of an interview and enough.

    What is due, at most the daily number of it and the most valuable first; then something of the weakest section with enough
    evidence; then something new, nearest to the learner's level. Never a third time in a row for the same reason or from the
    same section while there is something else. Nothing new is begun while more is due than a day holds. A plan towards an
    interview puts its day's number of new core questions first. wish: WEAK or NEW, asked for by hand.
    """
    return _Choice(library, learner, known, now, rng, section, wish).made()


def owed_today(library: Library, learner: Learner, known: Known, now: datetime) -> tuple[int, int]:
    """How many questions are due, and how many of them belong to today."""
    choice = _Choice(library, learner, known, now, Random(0), "", None)
    due = len(choice.due(choice.candidates))
    return due, min(due, choice.room())


class _Choice:
    def __init__(
        self, library: Library, learner: Learner, known: Known, now: datetime, rng: Random, section: str, wish: Reason | None
    ) -> None:
        self._library, self._learner, self._cards, self._now, self._rng = library, learner, known.cards, now, rng
        self._section, self._wish, self._lately = section, wish, known.lately
        today = days.local_day(now, learner.zone)
        self._plan: Plan | None = plans.plan(library, learner, known.cards.keys(), today)
        asked = {one.question: one.at for one in known.lately}
        self._seen = asked.keys() | known.cards.keys()
        self.candidates = eligible(library, learner, section)
        self._rested = [one for one in self.candidates if one.id not in asked or now - asked[one.id] >= REST]
        if section and not self._rested:  # they name it: what was asked longest ago
            self._rested = sorted(self.candidates, key=lambda one: asked[one.id])[:1]
        self._row = [one for one in known.lately if not one.followup or one.reason][-2:]
        self._today = [one for one in known.lately if one.reason and days.local_day(one.at, learner.zone) == today]

    # ------------------------------------------------------------------------------------------ the order

    def made(self) -> Pick | None:
        if not self._rested or (self._eve and len(self._today) >= LIGHT and not self._section and self._wish is None):
            return None
        by_reason = {Reason.DUE: self._due_now(), Reason.WEAK: self._weak(), Reason.NEW: self._new()}
        order = [reason for reason in self._order() if by_reason[reason]]
        crowded = self._crowded()
        if self._wish is not None and (wished := by_reason[self._wish]):
            return self._pick(next((one for one in wished if one.section != crowded), wished[0]), self._wish)
        for reason in order:
            if apart := [one for one in by_reason[reason] if one.section != crowded]:
                return self._pick(apart[0], reason)
        rest = self._by_doubt()
        if apart := [one for one in rest if one.section != crowded]:
            return self._pick(apart[0], Reason.EARLY if apart[0].id in self._cards else Reason.NEW)
        reason = order[0] if order else Reason.EARLY
        return self._pick((by_reason[reason] if order else rest)[0], reason)

    def _order(self) -> list[Reason]:
        if self._wish is Reason.WEAK:
            return [Reason.WEAK, Reason.DUE, Reason.NEW]
        if self._wish is Reason.NEW:
            return [Reason.NEW, Reason.DUE, Reason.WEAK]
        order = [Reason.DUE, Reason.WEAK, Reason.NEW]
        begun = sum(one.reason == Reason.NEW for one in self._today)
        if self._plan is not None and begun < self._plan.today:
            order = [Reason.NEW, Reason.DUE, Reason.WEAK]
        if len(self._row) == 2 and self._row[0].reason == self._row[1].reason and self._row[0].reason in order:
            # Of the others the one that was not had for longest.
            last = {one.reason: number for number, one in enumerate(self._lately)}
            tired = Reason(self._row[0].reason)
            order = [*sorted((one for one in order if one is not tired), key=lambda one: last.get(one, -1)), tired]
        return order

    def _crowded(self) -> str:
        """The section that both of the last two questions came from, or "" where there is none, or it is asked for."""
        found = {question.section for one in self._row if (question := self._library.questions.get(one.question)) is not None}
        return found.pop() if len(self._row) == 2 and len(found) == 1 and not self._section else ""

    @property
    def _eve(self) -> bool:
        return self._plan is not None and self._plan.last_day

    # ------------------------------------------------------------------------------------------ what is due

    def due(self, among: Sequence[Question]) -> list[Question]:
        """Those that are due, the most valuable first: what is forgotten and was missed, and whatever waits long."""
        wanted = self._plan.wanted if self._plan is not None else WANTED
        found = [one for one in among if one.id in self._cards and is_due(self._cards[one.id], self._now, self._learner.zone, wanted)]
        return sorted(found, key=lambda one: (-self._value(one), one.id))

    def _value(self, question: Question) -> float:
        card = self._cards[question.id]
        overdue = max(0.0, (self._now - card.due) / timedelta(days=1))
        return (1 - retrievability(card, self._now)) * (1 + weakness(card, question)) + overdue / FORGETS

    def room(self) -> int:
        """How many due questions today still holds."""
        return max(0, DAILY - sum(one.reason == Reason.DUE for one in self._today))

    def _due_now(self) -> list[Question]:
        return self.due(self._rested) if self.room() or self._section else []

    # ------------------------------------------------------------------------------------------ what is weak, what is new

    def _weak(self) -> list[Question]:
        """The weakest section's questions: those that went badly, then new ones at the level, then those known least surely."""
        found: list[Question] = []
        standings = progress.sections(progress.scores(self._cards), self._library)
        for weak in progress.weakest_sections(standings, len(standings)):
            here = [one for one in self._rested if one.section == weak.id]
            bad = [one for one in here if one.id in self._cards and self._is_weak(self._cards[one.id], one)]
            bad.sort(key=lambda one: (-weakness(self._cards[one.id], one), one.id))
            found += [*bad, *([] if self._eve else self._nearest([one for one in here if one.id not in self._seen]))]
            if found and self._wish is None:
                break
        if self._wish is Reason.WEAK:  # asked for by hand: also where there is little evidence
            rest = [
                one for one in self._rested if one.id in self._cards and one not in found and self._cards[one.id].score < progress.STRONG
            ]
            found = [*found, *sorted(rest, key=lambda one: (-weakness(self._cards[one.id], one), one.id))]
        return found

    def _is_weak(self, card: Card, question: Question) -> bool:
        return self._now - card.reviewed_at >= RETRY and (card.score < WEAK or bool(missed(card, question)))

    def _new(self) -> list[Question]:
        fresh = [one for one in self._rested if one.id not in self._seen]
        by_hand = self._wish is Reason.NEW or bool(self._section)
        if self._plan is not None and not by_hand:
            # What was skipped is still new to the plan.
            wanted = [one for one in self._plan.new if one in self._rested]
            return [] if self._eve else wanted or self._nearest(fresh)
        if not by_hand and len(self.due(self.candidates)) > DAILY:
            return []
        return self._nearest(fresh)

    def _nearest(self, among: Sequence[Question]) -> list[Question]:
        """Nearest to the learner's level first, by chance among equals."""
        shuffled = self._rng.sample(list(among), len(among))
        return sorted(shuffled, key=lambda one: abs(one.level - self._learner.level))

    def _by_doubt(self) -> list[Question]:
        """What is known least surely first, then what was never answered."""
        held = [one for one in self._rested if one.id in self._cards]
        held.sort(key=lambda one: (retrievability(self._cards[one.id], self._now), self._cards[one.id].reviewed_at, one.id))
        return [*held, *self._nearest([one for one in self._rested if one.id not in self._cards])]

    # ------------------------------------------------------------------------------------------ for which point

    def _pick(self, question: Question, reason: Reason) -> Pick:
        card = self._cards.get(question.id)
        absent = missed(card, question) if card is not None and card.score >= 40 else []
        if len(absent) == 1:
            point = absent[0].point
            alone = next((one.id for one in question.followups if one.when == f"missing:{point}"), "")
            return Pick(question, reason, point, alone)
        often = next((one for one in absent if one.missed >= OFTEN), None)
        return Pick(question, reason, often.point if often is not None else "")


def wording(lately: Sequence[Lately], question: Question) -> int:
    """0..2: another one than last time."""
    last = next((one.wording for one in reversed(lately) if one.question == question.id and not one.followup), -1)
    return (last + 1) % (1 + len(question.wordings))
