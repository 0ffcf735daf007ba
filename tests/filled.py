"""Rows in every table of a schema of any version, with values that a coach writes."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Date, DateTime, Float, Integer, MetaData, Table, text
from sqlalchemy import insert as put

from bot.database.rows import grade_text
from bot.messages import say
from bot.model import Finding, Grade, Mistaken, Verdict
from bot.outbox import freeze

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
GRADE = Grade(
    71,
    (Verdict("definition", Finding.COVERED, "ja “so” 🙂", 0, 9, 1.0), Verdict("limit", Finding.MISSING)),
    (Mistaken("swapped", "ja", 0, 2),),
    "plain 1",
)
COURSE = {"looks": ["labels"], "found": ["skew"], "hints": 1, "idle": 0, "concluding": False, "staged": [], "closed": False}

VALUES: dict[str, Any] = {
    "learner.zone": "Europe/Berlin", "learner.tracks": "ml production", "learner.minute": 540, "learner.rest": "56",
    "learner.home_chat": "", "learner.expecting": "",
    "asked.question": "precision", "asked.occasion": "daily", "asked.fate": "open", "asked.followup": "", "asked.sure": 2,
    "attempt.question": "precision", "attempt.followup": "", "attempt.text": "ja “so” 🙂\nand 2 · 3 = 6; '\"\\%",
    "attempt.grade": grade_text(GRADE), "attempt.score": 71, "attempt.graded_by": "plain 1",
    "practised.zone": "Pacific/Apia", "mark.kind": "excused", "mark.about": "2026-11-22", "mark.zone": "UTC",
    "appeal.before": "missing", "appeal.after": "covered", "appeal.outcome": "raised", "appeal.grade": grade_text(GRADE),
    "card.question": "precision", "card.points": '[["definition", 3, 1, "missing"]]', "card.stability": 3.1262345678901234,
    "card.difficulty": 5.3146, "entry.grade": json.dumps(asdict(GRADE), ensure_ascii=False),
    "interview.format": "deep", "interview.state": "done", "investigation.course": json.dumps(COURSE),
    "round.stage": "revealed", "quiz_setup.days": "01234", "quiz_setup.zone": "UTC", "quiz_setup.topics": "evaluation",
    "inbox.raw": '{"text": "\\u0000 hello"}', "inbox.done_at": None,
    "outbox.lane": "1-bulk", "outbox.kind": "daily", "outbox.payload": freeze(say("hello ✓")), "outbox.state": "ready",
    "outbox.about": "2026-11-23", "broadcast.state": "sent",
}  # fmt: skip
"""What matters to the coach; everything else is made from the column's type and name."""

SPECIAL = {"alembic_version"}


def tables(connection: Connection) -> list[Table]:
    """The tables that are really there, referenced ones first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in SPECIAL]


def fill(connection: Connection, label: str) -> None:
    """Puts a row in every table; whatever says who or which carries the label. The outbox gets one more, which is being sent."""
    for table in tables(connection):
        row = {column.name: _value(table, column, label) for column in table.columns if not _numbered(table, column)}
        connection.execute(put(table).values(row))
        if table.name == "outbox":
            connection.execute(put(table).values(row | {"key": f"sending {label}", "chat": f"other {label}", "state": "sending"}))


def _numbered(table: Table, column: Any) -> bool:
    return column.primary_key and isinstance(column.type, Integer) and len(table.primary_key) == 1


def _value(table: Table, column: Any, label: str) -> Any:
    for key in column.foreign_keys:
        return f"{key.column.table.name} {label}"
    if (known := f"{table.name}.{column.name}") in VALUES:
        return VALUES[known]
    if isinstance(column.type, DateTime):
        return NOW
    if isinstance(column.type, Date):
        return date(2026, 12, 24)
    if isinstance(column.type, Boolean):
        return column.name == "reachable"
    if isinstance(column.type, Float):
        return 0.1
    if isinstance(column.type, Integer):
        return 3
    if column.name in ("platform", "home_platform"):
        return "paper"
    return f"{table.name} {label}" if column.primary_key or column.name == "key" else f"{column.name} {label}"


def content(connection: Connection) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """Every row of every table, by its key, as the database itself has it."""
    held = {}
    for table in tables(connection):
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        rows = connection.execute(text(f'SELECT {names} FROM "{table.name}"')).mappings()
        held[table.name] = {tuple(row[column.name] for column in table.primary_key): dict(row) for row in rows}
    return held
