"""The Store on SQLModel: SQLite by default, PostgreSQL by URL. Each part keeps one kind of thing; together they are the Store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bot.database.appeals import Appeals
from bot.database.cards import Cards
from bot.database.connection import LEASE, sqlite_file
from bot.database.dictations import Dictations
from bot.database.interviews import Interviews
from bot.database.links import Links
from bot.database.outbox import KEEP_DONE, Outbox
from bot.database.owners import Owners
from bot.database.postgres import Bell, Place, PostgreSQL
from bot.database.queues import Queues
from bot.database.rounds import Rounds
from bot.database.turns import INBOX, OUTBOX
from bot.database.weeks import Weeks
from bot.database.whole import Whole

__all__ = ["KEEP_DONE", "LEASE", "Database", "sqlite_file"]


class Database(Rounds, Outbox, Interviews, Dictations, Appeals, Cards, Weeks, Whole, Owners, Links, Queues):
    """`bot.ports.Store` on a SQL database."""

    @asynccontextmanager
    async def listen(self, updates: Callable[[], None], messages: Callable[[], None]) -> AsyncIterator[None]:
        if not isinstance(self.base, PostgreSQL):
            yield
            return

        bell = Bell(self.base.engine, {INBOX: updates, OUTBOX: messages})
        try:
            yield
        finally:
            await bell.close()

    @asynccontextmanager
    async def place(self, name: str, mine: asyncio.Event) -> AsyncIterator[None]:
        """Sets `mine` while this process is the one that has the place of that name, for as long as it is entered."""
        if not isinstance(self.base, PostgreSQL):
            mine.set()
            yield
            return
        place = Place(self.base.engine, name, mine)
        try:
            yield
        finally:
            await place.close()
