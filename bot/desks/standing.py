"""Where a learner stands: progress, streak, topics and help."""

from __future__ import annotations

from collections.abc import Mapping

from bot import confidence, days, phrases, progress, reviews, streaks
from bot.desks import Desk, Handler, Outcome, Turn
from bot.desks.recalling import recollect, stand, with_picture
from bot.phrases import confidence as confidence_words
from bot.phrases import progress as progress_words
from bot.phrases import streaks as words


class Standing(Desk):
    """Looks back; changes nothing."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"progress": self._progress, "streak": self._streak, "topics": self._topics, "help": self._help}

    async def _progress(self, turn: Turn) -> Outcome:
        known, changed = await recollect(self.store, self.library, turn.memory, self.rng)
        if not known.cards:
            return Outcome((progress_words.nothing_yet(),))
        told = await self.streak(turn)
        standing = stand(turn.memory, known, turn.now, self.library)
        reply = progress_words.progress(
            standing, len(turn.memory.past), told.count, progress.weakest_questions(known.cards, self.library),
            reviews.owed_today(self.library, turn.learner, known, turn.now), self.library,
        )  # fmt: skip
        reply = confidence_words.added(reply, confidence.calibration(await self.store.sure(turn.learner.id)))
        return Outcome((await with_picture(self.studio, reply, standing, self.library),), also=changed)

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
