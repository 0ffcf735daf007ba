"""Keeping: a learner is given all that is kept of them, or all of it is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from bot import phrases as common
from bot import progress
from bot.desks import Desk, Handler, Outcome, Turn
from bot.desks.recalling import recollect
from bot.messages import File
from bot.model import Forgotten
from bot.phrases import keeping as phrases
from bot.progress import Weak
from bot.reports import history

MOST_WEAK = 60
"""Questions in a deck."""

WITHIN = timedelta(minutes=15)
"""How long the button that deletes everything may be pressed."""

SAYS = {
    "history.json": "Everything that is kept, as JSON.",
    "replies.csv": "Every reply with its score, one a line.",
    "history.zip": "Everything that is kept, as JSON and CSV.",
    "weak-questions.apkg": "An Anki deck of the weak questions, with their model answers.",
}


class Keeping(Desk):
    """What belongs to the learner."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"export": self._export, "forget": self._forget}

    async def _export(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("export"),))
        if turn.new:
            return Outcome((phrases.nothing(),))
        known, changed = await recollect(self.store, self.library, turn.memory, self.rng)
        everything = await self.store.everything(turn.learner.id)
        weak = progress.weakest_questions(known.cards, self.library, MOST_WEAK)
        # Writing it takes a while where there is much, and the conversation goes on.
        files = await asyncio.to_thread(self._files, everything, weak, turn.now)
        reply = phrases.exported(len(everything["attempt"]), len(weak) if "weak-questions.apkg" in files else 0, list(files))
        return Outcome((reply.with_files(*(File(name, data, SAYS[name]) for name, data in files.items())),), also=changed)

    def _files(self, everything: dict[str, list[dict[str, object]]], weak: list[Weak], now: datetime) -> dict[str, bytes]:
        files = history.packed({"history.json": history.as_json(everything), "replies.csv": history.as_csv(everything, self.library)})
        if weak:
            with suppress(ImportError):  # the extra `reports` is not installed
                files["weak-questions.apkg"] = history.as_deck(weak, now)
        return files

    async def _forget(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("forget"),))
        if turn.new:
            return Outcome((phrases.nothing(),))
        if turn.argument == "no":
            return Outcome((phrases.kept(),))
        stamp = int(turn.now.timestamp())
        if not turn.argument:
            replies = len((await self.store.everything(turn.learner.id))["attempt"])
            return Outcome((phrases.forget(replies, await self.store.addresses(turn.learner.id), f"yes{stamp}"),))
        asked = turn.argument.removeprefix("yes")
        if not asked.isdecimal() or len(asked) > 12 or not 0 <= stamp - int(asked) <= WITHIN.total_seconds():
            return Outcome((phrases.too_late(),))
        return Outcome((phrases.forgotten(),), also=(Forgotten(turn.learner.id),))
