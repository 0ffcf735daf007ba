"""Where a learner stands: progress, streak, topics and help."""

from __future__ import annotations

from collections.abc import Mapping

from bot import days, phrases, reviews, streaks
from bot.desks import Desk, Handler, Outcome, Turn
from bot.phrases import streaks as words


class Standing(Desk):
    """Looks back; changes nothing."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"progress": self._progress, "streak": self._streak, "topics": self._topics, "help": self._help}

    async def _progress(self, turn: Turn) -> Outcome:
        scored = [one for one in reviews.latest(turn.memory.past).values() if one.score is not None]
        by_section: dict[str, list[int]] = {}
        for one in scored:
            question = self.library.questions.get(one.question)
            if question is not None and one.score is not None:
                by_section.setdefault(question.section, []).append(one.score)
        titles = self.library.syllabus.sections
        rows = [(titles[id], sum(found) / len(found), len(found)) for id in titles if (found := by_section.get(id))]
        weakest = sorted(scored, key=lambda one: (one.score or 0, one.question))[:3]
        names = [
            self.library.questions[one.question].title
            for one in weakest
            if (one.score or 0) < 80 and one.question in self.library.questions
        ]
        return Outcome((phrases.progress(len(turn.memory.past), rows, (await self.streak(turn)).count, names),))

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
