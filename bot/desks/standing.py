"""Where a learner stands: progress, streak, topics and help."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot import days, phrases, progress, reviews, streaks
from bot.desks import Desk, Handler, Outcome, Turn
from bot.desks.recalling import recollect
from bot.phrases import progress as progress_words
from bot.phrases import streaks as words

MONTH = timedelta(days=30)


class Standing(Desk):
    """Looks back; changes nothing."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"progress": self._progress, "streak": self._streak, "topics": self._topics, "help": self._help}

    async def _progress(self, turn: Turn) -> Outcome:
        known, changed = await recollect(self.store, self.library, turn.memory, self.rng)
        if not known.cards:
            return Outcome((progress_words.nothing_yet(),))
        scores, before = progress.scores(known.cards), progress.scores_at(turn.memory.past, turn.now - MONTH)
        reply = progress_words.progress(
            len(turn.memory.past),
            (await self.streak(turn)).count,
            progress.sections(scores, self.library),
            progress.competencies(scores, self.library),
            {one.id: one.level for one in progress.sections(before, self.library)},
            progress.weakest_questions(known.cards, self.library),
            reviews.owed_today(self.library, turn.learner, known, turn.now),
            self.library,
        )
        return Outcome((reply,), also=changed)

    async def _streak(self, turn: Turn) -> Outcome:
        today, told = days.local_day(turn.now, turn.learner.zone), await self.streak(turn)
        if turn.argument.lower().strip(" ?") == "why":
            return Outcome((words.why(told, today),))
        return Outcome((words.streak(told, today),))

    async def streak(self, turn: Turn) -> streaks.Streak:
        """The learner's streak, replayed from the ledger."""
        marks = await self.store.marks(turn.learner.id)
        return streaks.replay(turn.memory.practised, marks, days.local_day(turn.now, turn.learner.zone))

    async def _topics(self, turn: Turn) -> Outcome:
        return Outcome((phrases.topics(self.library, turn.learner),))

    async def _help(self, turn: Turn) -> Outcome:
        return Outcome((phrases.help(),))
