"""The Store on SQLModel: SQLite by default, PostgreSQL by URL. Each part keeps one kind of thing; together they are the Store."""

from bot.database.appeals import Appeals
from bot.database.connection import sqlite_file
from bot.database.links import Links
from bot.database.outbox import KEEP_DONE, LEASE, Outbox
from bot.database.rounds import Rounds
from bot.database.turns import Turns

__all__ = ["KEEP_DONE", "LEASE", "Database", "sqlite_file"]


class Database(Rounds, Turns, Outbox, Appeals, Links):
    """`bot.ports.Store` on a SQL database."""
