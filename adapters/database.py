"""`coach db`: what the owner does with the database as a whole - a backup, putting one back, moving it elsewhere."""

from __future__ import annotations

import argparse
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import CoachError

if TYPE_CHECKING:
    from bot.database.backup import Holding


def _file(what: str, instead: str) -> Path:
    """The file of the database in use. Raises CoachError where there is none, with what is done instead."""
    from bot.config import settings
    from bot.database import sqlite_file

    url = settings().database
    file = sqlite_file(url)
    if file is None:
        kind = "PostgreSQL" if url.startswith("postgres") else "a database without a file"
        raise CoachError(f"COACH_DATABASE is {kind}, which `coach db {what}` doesn't do{f': {instead}' if kind == 'PostgreSQL' else ''}")
    return file


def backup(options: argparse.Namespace) -> int:
    """Copies the database, also while a coach is running, and opens the copy."""
    from bot.database.backup import backup as copy

    database = _file("backup", "use pg_dump --format=custom --file=FILE with its URL")
    target: Path = options.file
    if target.is_dir():
        target = target / f"coach-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    _say("Backed up", copy(database, target), as_json=options.json)
    return 0


def restore(options: argparse.Namespace) -> int:
    """Puts a backup in the place of the database, which is kept beside it."""
    from bot.database.alone import Alone
    from bot.database.backup import restore as put

    database = _file("restore", "use pg_restore --clean --if-exists --dbname=URL FILE while no coach runs")
    with Alone(database):
        holding, kept = put(options.file, database, datetime.now(UTC))
    _say("Restored", holding, as_json=options.json, kept=kept)
    return 0


def copy(options: argparse.Namespace) -> int:
    """Copies the whole database into another, empty one, and compares them row by row."""
    import asyncio

    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from bot.config import settings

    try:
        make_url(options.url)
    except ArgumentError:
        raise CoachError("the target is no database URL, such as postgresql://coach@host/coach") from None
    copied = asyncio.run(_copied(settings().database, options.url))
    if options.json:
        print(json.dumps({"rows": copied}, indent=1))
    else:
        told = ", ".join(f"{name} {count}" for name, count in copied.items() if count)
        print(f"Copied and compared row by row: {sum(copied.values()):,} rows.\n  {told or 'no rows'}")
        print("The old database is left as it is. Set COACH_DATABASE to the new one and start the coach.")
    return 0


async def _copied(source: str, target: str) -> dict[str, int]:
    from bot.database import Database, sqlite_file
    from bot.database.alone import Alone
    from bot.database.moving import copy as move

    files = [sqlite_file(source), sqlite_file(target)]
    if files[0] is not None and not files[0].exists():
        raise CoachError(f"there is no database at {files[0]} yet")
    if source == target or (files[0] is not None and files[1] is not None and files[0].resolve() == files[1].resolve()):
        raise CoachError("the target is the database itself")
    async with AsyncExitStack() as stack:
        for file in files:
            if file is not None:
                stack.enter_context(Alone(file))
        stores = []
        for url in (source, target):
            stores.append(await Database.open(url, migrate=False))
            stack.push_async_callback(stores[-1].close)
        return await move(*stores)


def _say(done: str, holding: Holding, *, as_json: bool, kept: Path | None = None) -> None:
    if as_json:
        told = {"file": str(holding.file), "bytes": holding.size, "schema": holding.revision, "rows": holding.rows}
        print(json.dumps({**told, "kept": str(kept) if kept else None} if done == "Restored" else told, indent=1))
        return
    print(f"{done} and checked: {holding.file}, {holding.size:,} bytes, schema {holding.revision or 'none'}.")
    print("  " + ", ".join(f"{name} {count}" for name, count in holding.rows.items() if count) or "  no rows")
    if kept is not None:
        print(f"What was there before is kept as {kept}.")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `db` to the `coach` command."""
    parser = commands.add_parser("db", help="back up the database, put a backup back, move it elsewhere", description="The database.")
    tools = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = tools.add_parser("backup", help="copy the database to a file, also while a coach runs", description=backup.__doc__)
    one.add_argument("file", type=Path, help="where to; in a folder it is named by the time")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=backup)
    one = tools.add_parser("restore", help="put a backup in the place of the database", description=restore.__doc__)
    one.add_argument("file", type=Path, help="what `coach db backup`, or an upgrade, made")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=restore)
    one = tools.add_parser("copy", help="copy it into another, empty database, and compare them", description=copy.__doc__)
    one.add_argument("url", help="postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///FILE")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=copy)
