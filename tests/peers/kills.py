"""Work for a coach that is killed in the middle of it, and the books that say afterwards whether anything was lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from worlds import sql

from bot.database import Database
from bot.messages import Address
from bot.model import Asked, Changes, Learner, Occasion

from .mortal import Mortals
from .telegram import TOKEN, BotApiServer, Person

REPLY = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."
IN_FLIGHT = 4
"""Messages that may be on their way to Telegram when a process is killed, and so come twice."""


@dataclass
class Books:
    """What people said and were owed, and what became of it: Telegram's ledger and the database are the witnesses."""

    server: BotApiServer
    database: Path
    replied: list[Person] = field(default_factory=list)
    owed: list[Person] = field(default_factory=list)
    kills: int = 0

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"

    async def work(self, pairs: int) -> None:
        """So many people reply to their question, and as many others have one due now."""
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        ahead = 12 - now.hour
        zone = f"Etc/GMT{-ahead:+d}" if ahead else "UTC"  # where it is noon
        store = await Database.open(self.url)
        try:
            for _ in range(pairs):
                replies, waits = (self.server.person(name, started=True) for name in "RD")
                for person, minute in ((replies, None), (waits, 12 * 60 + now.minute)):
                    home = Address("telegram", str(person.id), str(person.id))
                    learner = Learner(f"l{person.id}", now, home, zone, minute, next_due_at=now if minute is not None else None)
                    asked = (Asked(f"a{person.id}", learner.id, "precision", Occasion.CHOSEN, now),) if minute is None else ()
                    await store.record(f"joined {person.id}", home, Changes(learner, asked), [], now)
                self.replied.append(replies)
                self.owed.append(waits)
        finally:
            await store.close()
        for person in self.replied[-pairs:]:
            await person.says(REPLY)

    def said(self) -> Counter[tuple[int, str]]:
        """How often each person was told their grade, or asked their question."""
        kinds = {person.id: "grade" for person in self.replied} | {person.id: "question" for person in self.owed}
        marks = {"grade": "/100", "question": "Question of the day"}
        heard = Counter((one.chat_id, kinds[one.chat_id]) for one in self.server.sent() if marks[kinds[one.chat_id]] in one.text)
        return heard

    def finished(self) -> bool:
        """Whether everybody has what they are owed."""
        return len(self.said()) == len(self.replied) + len(self.owed)

    async def check(self, *, doubled: int) -> None:
        """Nothing is lost, no reply counts twice, and no more than so many messages came twice."""
        heard = self.said()
        missing = [person.id for person in (*self.replied, *self.owed) if not any(id == person.id for id, _ in heard)]
        assert not missing, f"{len(missing)} lost"
        assert sum(heard.values()) - len(heard) <= doubled
        store = await Database.open(self.url)
        try:
            attempts = Counter(await sql(store, "SELECT learner FROM attempt"))
            practised = Counter(await sql(store, "SELECT learner FROM practised"))
            states = Counter(await sql(store, "SELECT state FROM outbox"))
            (whole,) = await sql(store, "PRAGMA integrity_check")
        finally:
            await store.close()
        assert attempts == practised == Counter(f"l{person.id}" for person in self.replied)
        assert set(states) == {"sent"}
        assert whole == "ok"

    async def life(self, ready: Mortals, **wanted: object) -> int:
        """Begins a life and returns its process id."""
        api = self.server.url.removesuffix("/bot")
        return await ready.begin(database=self.url, api=api, token=TOKEN, **wanted)

    async def until_done_or_dead(self, ready: Mortals, life: int) -> int:
        """Lets it live until it is killed or has done all that there is to do, and then stops it; returns how it ended."""
        ended = asyncio.create_task(ready.ended(life))
        done = asyncio.create_task(self.server.wait_for(self.finished, 110, "everything that is owed"))
        await asyncio.wait({ended, done}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            done.result()
            os.kill(life, signal.SIGTERM)
        done.cancel()
        await asyncio.wait({done})
        if not done.cancelled():
            done.exception()
        return await ended
