"""Recalling: a learner's cards, brought up to date with every attempt since, whoever recorded it."""

from __future__ import annotations

from random import Random

from bot import cards
from bot.content import Library
from bot.model import Card, Memory
from bot.ports import Store
from bot.reviews import Known


async def recollect(store: Store, library: Library, memory: Memory, rng: Random) -> tuple[Known, tuple[Card, ...]]:
    """What is known of the learner for choosing, and the cards in it that are to be written."""
    if memory.learner is None:
        return Known({}, memory.lately), ()
    kept, fresh = await store.cards(memory.learner.id)
    changed = cards.fold(kept, fresh, library, rng)
    return Known(kept | changed, memory.lately), tuple(changed.values())
