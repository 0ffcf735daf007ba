"""The house: the engine with its database, packs and graders, built from the settings and closed again at the end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.coach import Coach
    from bot.config import Settings
    from bot.content import Library
    from bot.database import Database
    from bot.grading import Judge
    from bot.incidents import Incident
    from bot.ports import Grader
    from bot.speech import Listener
    from bot.voices.speaker import Speaker
    from bot.watching import Watcher

REST = 1.5
"""Seconds after the start in which nothing heavy is loaded: the first prompt comes first."""


@dataclass(frozen=True)
class House:
    """Everything that runs beneath the platforms."""

    settings: Settings
    store: Database
    coach: Coach


@asynccontextmanager
async def house(known: Settings, watcher: Watcher | None = None) -> AsyncIterator[House]:
    """The engine with its database and packs, closed again at the end. watcher: who is told of what goes on."""
    from bot.coach import Coach
    from bot.database import Database, sqlite_file
    from bot.database.alone import Alone
    from bot.owners import owners

    library = packs(known)
    async with AsyncExitStack() as stack:
        file = sqlite_file(known.database)
        if file is not None:
            stack.enter_context(Alone(file))
        store = await Database.open(known.database, lease=timedelta(seconds=known.lease))
        stack.push_async_callback(store.close)
        graders, incidents = _graders(known, library, stack), _incidents(known, library)
        coach = Coach(
            store, library, graders, incidents=incidents, owners=owners(known.owners), watcher=watcher,
            listener=_listener(known, library, stack), speaker=_speaker(known, stack),
        )  # fmt: skip
        stack.push_async_callback(coach.close)
        yield House(known, store, coach)


def _listener(known: Settings, library: Library, stack: AsyncExitStack) -> Listener | None:
    """What hears voice notes; where it can't be had that is said, and the coach goes on without."""
    from bot.speech import open_listener

    listener = open_listener(known, library)
    if isinstance(listener, str):
        if known.ear != "off":
            print(f"coach: {listener}", file=sys.stderr, flush=True)
        return None
    stack.push_async_callback(listener.close)
    return listener


def _speaker(known: Settings, stack: AsyncExitStack) -> Speaker | None:
    """What reads questions aloud. Raises SettingsError where the voice that was chosen can't be had."""
    from bot.voices import open_speaker

    found = open_speaker(known)
    if found is not None:
        stack.push_async_callback(found.close)
    return found


def packs(known: Settings) -> Library:
    """The packs of the settings, or those that come with the coach."""
    from bot.content import default_folder, load

    return load(known.content or default_folder(), known.cache)


def _incidents(known: Settings, library: Library) -> dict[str, Incident]:
    from bot.content import default_folder
    from bot.incidents import load

    return load(known.content or default_folder(), library.syllabus)


def _graders(known: Settings, library: Library, stack: AsyncExitStack) -> Grader:
    """The judge in a thread of its own, refined by a language model where one is configured."""
    from bot.grading import OffLoop
    from bot.grading.refined import RefinedGrader, refine

    # The matrices of a reply are small: on two busy cores a second thread for them made a grade take ten times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    judging = OffLoop(lambda: judge(known, library))
    stack.callback(judging.close)
    asyncio.get_running_loop().call_later(REST, judging.begin)
    grader = refine(judging, known)
    if isinstance(grader, RefinedGrader):
        stack.push_async_callback(grader.close)
    return grader


def judge(known: Settings, library: Library, name: str = "") -> Judge:
    """The judge of that name, or the best that can be had; says so where that is not the one that comes with the coach."""
    if name == "plain":
        from bot.grading.plain import PlainGrader

        return PlainGrader()
    from bot.grading import offline

    judge, reason = offline(library, known.cache)
    if reason:
        print(f"coach: {reason}", file=sys.stderr, flush=True)
    return judge
