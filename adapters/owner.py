"""What the owner may look at from the command line: appeals and flags, gathered by question."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import groupby

from bot.content import Library
from bot.database import Database, sqlite_file
from bot.model import Flag


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database | None]:
    """The database, beside a coach that may be using it; None where there is none yet, and none is made."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        yield None
        return
    store = await Database.open(url, migrate=False)
    try:
        yield store
    finally:
        await store.close()


async def appeals(url: str, library: Library, *, as_json: bool) -> int:
    """Prints how often each point was appealed, and how often it was raised; those with most appeals first."""
    async with _opened(url) as store:
        found = await store.appealed() if store else ()
    if as_json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
        return 0
    if not found:
        print("No appeals yet.")
        return 0
    print(f"{'appeals':>7}  {'raised':>6}  {'question':<32}  point")
    for one in found:
        question = library.questions.get(one.question)
        rubric = question.followup(one.followup) if question is not None and one.followup else question
        point = rubric.point(one.point) if rubric else None
        name = f"{one.question}/{one.followup}" if one.followup else one.question
        print(f"{one.appeals:>7}  {one.raised:>6}  {name:<32}  {one.point}  {point.statement[:60] if point else '(gone)'}")
    return 0


async def dead(url: str, *, as_json: bool) -> int:
    """Prints the messages that were given up, the latest first, with why; never what they said or to whom."""
    async with _opened(url) as store:
        found = await store.dead() if store else ()
        counts = await store.count() if store else {}
    if as_json:
        print(json.dumps([{**asdict(one), "at": one.at.isoformat()} for one in found], ensure_ascii=False, indent=1))
        return 0
    waiting = sum(counts.get(f"outbox {state}", 0) for state in ("ready", "retry", "sending"))
    print(f"Given up: {counts.get('outbox dead', 0)}. Waiting: {waiting}. Sent: {counts.get('outbox sent', 0)}.")
    for one in found:
        print(f"  {one.at:%Y-%m-%d %H:%M}  {one.platform:<9} {one.kind:<8} tries {one.tries}  {one.reason}")
    return 0


async def flags(url: str, library: Library, *, as_json: bool) -> int:
    """Prints every flag with its reason, under its question, with the number of appeals about that question."""
    async with _opened(url) as store:
        found = await store.flags() if store else ()
        appealed = await store.appealed() if store else ()
    if as_json:
        print(json.dumps([_flag(one) for one in found], ensure_ascii=False, indent=1))
        return 0
    if not found:
        print("No flags yet.")
        return 0
    for id, group in groupby(found, key=lambda one: one.question):
        flagged = list(group)
        question = library.questions.get(id)
        appeals = sum(one.appeals for one in appealed if one.question == id)
        print(f"{id} · {question.title if question else '(gone)'}: flags {len(flagged)}, appeals {appeals}")
        for one in flagged:
            what = "grade" if one.attempt else "question"
            print(f"  {one.at:%Y-%m-%d}  {what}{f' of {one.followup}' if one.followup else ''}: {one.reason}")
    return 0


def _flag(flag: Flag) -> dict[str, str]:
    """A flag without who raised it."""
    return {
        "question": flag.question, "followup": flag.followup, "about": "grade" if flag.attempt else "question",
        "attempt": flag.attempt, "at": flag.at.isoformat(), "reason": flag.reason,
    }  # fmt: skip
