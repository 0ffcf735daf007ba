"""Recalling: a learner's cards, brought up to date with every attempt since, and where they stand by them."""

from __future__ import annotations

from datetime import datetime
from random import Random

from bot import cards, progress
from bot.content import Library
from bot.messages import File, Reply
from bot.model import Card, Memory
from bot.phrases import progress as words
from bot.ports import Store
from bot.progress import Stand
from bot.reports import Studio
from bot.reports import standing as standing_report
from bot.reviews import Known


async def recollect(store: Store, library: Library, memory: Memory, rng: Random) -> tuple[Known, tuple[Card, ...]]:
    """What is known of the learner for choosing, and the cards in it that are to be written."""
    if memory.learner is None:
        return Known({}, memory.lately), ()
    kept, fresh = await store.cards(memory.learner.id)
    changed = cards.fold(kept, fresh, library, rng)
    return Known(kept | changed, memory.lately), tuple(changed.values())


def stand(memory: Memory, known: Known, now: datetime, library: Library) -> Stand:
    """Where the learner stands."""
    zone = memory.learner.zone if memory.learner is not None else "UTC"
    return progress.stand(known.cards, memory.past, memory.practised, now, zone, library)


async def with_picture(studio: Studio, reply: Reply, standing: Stand, library: Library) -> Reply:
    """The reply with the picture of a standing, where pictures can be drawn."""
    drawn = await studio.drawn(standing_report.draw, standing_report.picture(standing, library))
    return reply if drawn is None else reply.with_files(File("progress.png", drawn, words.seen(standing, library), picture=True))
