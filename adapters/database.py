"""`coach db`: what the owner does with the database as a whole - a backup, putting one back, moving it elsewhere."""

from __future__ import annotations

import argparse
import json
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
    tools = parser.add_subparsers(title="commands", metavar="", required=True)
    one = tools.add_parser("backup", help="copy the database to a file, also while a coach runs", description=backup.__doc__)
    one.add_argument("file", type=Path, help="where to; in a folder it is named by the time")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=backup)
    one = tools.add_parser("restore", help="put a backup in the place of the database", description=restore.__doc__)
    one.add_argument("file", type=Path, help="what `coach db backup`, or an upgrade, made")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=restore)
