"""A crowd on a loopback Telegram: some whose question is due now, some who reply to theirs, and the books on both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from peers.telegram import TOKEN, BotApiServer, Person
from worlds import FakeClock, World

from adapters.telegram import Telegram
from bot.deliveries import Courier
from bot.messages import Address
from bot.model import Asked, Changes, Learner, Occasion
from bot.outbox import Pace
from bot.sharing import Sharing

QUICK = Pace(per_second=1e4, bulk_per_second=1e4, per_chat=1e4, burst=100, in_flight=4)
FAN_OUT, REPLIES = 12, 4


@asynccontextmanager
async def at_work(home: World, server: BotApiServer, **options: Any) -> AsyncIterator[Courier]:
    """The adapter, the courier and what looks for work that was left behind."""
    adapter = Telegram(home.coach, TOKEN, api=server.url.removesuffix("/bot"), now=home.clock, **{"pace": QUICK, **options})
    courier = Courier(home.store, home.coach, {"telegram": adapter}, now=home.clock)
    home.coach.on_owed, home.coach.sender = courier.wake, courier.sender
    sharing = Sharing(home.store, home.coach, courier, ["telegram"], adapter.pick_up, now=home.clock)
    await adapter.start()
    running = [asyncio.create_task(one) for one in (courier.run(), sharing.run(), adapter.run())]
    try:
        yield courier
    finally:
        await adapter.stop()
        await courier.stop()
        await sharing.stop()
        await asyncio.gather(*running)


@asynccontextmanager
async def telegram_peer(*, limits: bool = False) -> AsyncIterator[tuple[BotApiServer, FakeClock]]:
    clock = FakeClock()
    async with BotApiServer(now=lambda: clock().timestamp(), limits=limits) as server:
        server.longest_poll = 1  # what waits for a bot to ask again does not wait long
        yield server, clock


async def people(home: World, server: BotApiServer) -> tuple[list[Person], list[Person]]:
    """Some with a question that is due now, and some with one that is open."""
    now = home.clock()
    due, replying = ([server.person(f"{name}{n}", started=True) for n in range(many)] for name, many in (("D", FAN_OUT), ("R", REPLIES)))
    for person in (*due, *replying):
        address = Address("telegram", str(person.id), str(person.id))
        waits = person in due
        learner = Learner(f"l{person.id}", now, address, minute=12 * 60 if waits else None, next_due_at=now if waits else None)
        asked = () if waits else (Asked(f"a{person.id}", learner.id, "precision", Occasion.CHOSEN, now),)
        await home.store.record(f"joined {person.id}", address, Changes(learner, asked), [], now)
    return due, replying


async def passes(home: World, courier: Courier, until: Callable[[], bool], step: float = 10.0) -> None:
    """Time goes by until something is so: so many seconds at each look."""
    async with asyncio.timeout(120):
        while not until():
            home.clock.move(seconds=step)
            courier.wake()
            await asyncio.sleep(0.05)


async def check(home: World, server: BotApiServer, due: list[Person], replying: list[Person], doubled: int) -> None:
    """Nobody lacks anything, no reply counts twice, and no more than so many messages came twice."""
    heard = Counter(one.chat_id for one in server.sent() if "/100" in one.text or "Question of the day" in one.text)
    assert set(heard) == {person.id for person in (*due, *replying)}
    assert sum(heard.values()) - len(heard) <= doubled
    counts = await home.store.count()
    assert counts["attempts"] == REPLIES
    assert counts.get("outbox dead", 0) == 0


def arrived(server: BotApiServer, people: list[Person]) -> Callable[[], bool]:
    def all_of_them() -> bool:
        return {person.id for person in people} <= {one.chat_id for one in server.sent() if "/100" in one.text or "Question of" in one.text}

    return all_of_them
