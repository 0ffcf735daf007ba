"""What goes wrong with single messages, updates and grades costs nobody a message; Telegram's ledger and the database say so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
from crowds import arrived, at_work, check, passes, people, telegram_peer
from test_promises import PRECISION
from worlds import world

from bot.content import Library, Rubric
from bot.messages import Address
from bot.model import Grade


@pytest.mark.parametrize(
    ("faults", "doubled"),
    [
        ({"cut": True}, 0),  # before it was accepted
        ({"cut": True, "when": "after"}, 5),
        ({"when": "middle"}, 5),
        ({"malformed": True}, 5),
        ({"status": 500, "times": 4}, 0),
        ({"status": 502, "malformed": True, "times": 4}, 0),
        ({"status": 504, "times": 4}, 0),
        ({"retry_after": 1}, 0),
        ({"status": 429}, 0),  # without its number
        ({"status": 409, "times": 4}, 0),
        ({"status": 401, "times": 4}, 0),
    ],
    ids=lambda value: " ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else None,
)
async def test_a_fan_out_and_replies_arrive_whatever_the_platform_does_for_a_while(
    library: Library, database: Path, faults: dict[str, Any], doubled: int
) -> None:
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        async with at_work(home, server) as courier:
            for person in (*due[:3], *replying[:2]):
                server.fault("sendMessage", chat=person, **faults)
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            await passes(home, courier, arrived(server, [*due, *replying]))
            await server.settled()
        await check(home, server, due, replying, doubled)


async def test_a_ban_for_ever_of_one_chat_stops_only_that_chat(library: Library, database: Path) -> None:
    """An absurd number of seconds, and for one person only: everybody else gets their question and their grade."""
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        banned, *others = due
        async with at_work(home, server) as courier:
            server.fault("sendMessage", chat=banned, retry_after=10**6, times=None)
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            await passes(home, courier, arrived(server, [*others, *replying]), step=0.1)
        tried = [call for call in server.called("sendMessage") if call.number("chat_id") == banned.id]
        counts = await home.store.count()

    assert len(tried) == 1
    assert counts["outbox retry"] == 1 and counts.get("outbox dead", 0) == 0


async def test_a_message_that_telegram_never_takes_is_given_up_and_shown_to_the_owner(library: Library, database: Path) -> None:
    """A poison row is dead after five tries where everything else arrives; a bad request is dead at once; a block is no death."""
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        poison, refused, gone, *others = due
        async with at_work(home, server) as courier:
            server.fault("sendMessage", chat=poison, status=500, times=None)
            server.fault("sendMessage", chat=refused, status=400, description="Bad Request: no", times=None)
            server.fault("sendMessage", chat=gone, forbidden=True, times=None)
            await home.coach.deliver_due(["telegram"])
            await passes(home, courier, arrived(server, others))
            async with asyncio.timeout(120):
                while (await home.store.count()).get("outbox dead", 0) < 2:
                    for person in replying:  # a life goes on beside it
                        await person.says("/help")
                    home.clock.move(seconds=100)
                    courier.wake()
                    await server.settled()
        dead = {one.kind: one for one in await home.store.dead()}
        tries = sorted(one.tries for one in await home.store.dead())
        unreachable = (await home.store.recall(Address("telegram", str(gone.id), str(gone.id)))).learner

    assert set(dead) == {"daily"} and tries == [1, 5]
    assert unreachable is not None and unreachable.next_due_at is None and not unreachable.reachable


# ---------------------------------------------------------------------------------------------- the grader, and updates out of order


class Broken:
    """A grader that fails."""

    name = "broken 1"

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        raise RuntimeError("out of memory")


async def test_a_grader_that_raises_loses_no_reply(library: Library, database: Path) -> None:
    async with world(library, database, grader=Broken()) as home:
        await home.says("/help")
        await home.says("/next precision")
        await home.says(PRECISION)
        said = home.heard
        await home.says("/streak")
        counts = await home.store.count()

    assert said.startswith("My grading failed")
    assert counts["attempts"] == 1
    assert "1 day" in home.heard


async def test_a_judge_that_hangs_is_left_behind_and_the_next_reply_is_graded(library: Library) -> None:
    import threading

    from bot.grading import OffLoop
    from bot.grading.plain import PlainGrader

    hang = threading.Event()

    class Hanging(PlainGrader):
        def judge(self, rubric: Rubric, reply: str) -> Grade:
            if reply == "hang":
                hang.wait()
            return super().judge(rubric, reply)

    judging = OffLoop(Hanging, longest=0.2)
    rubric = library.questions["precision"]
    slow, quick = await asyncio.gather(judging.grade(rubric, "hang"), judging.grade(rubric, PRECISION), return_exceptions=True)
    hang.set()
    judging.close()

    assert isinstance(slow, TimeoutError)
    assert isinstance(quick, Grade) and quick.score


async def test_updates_twice_with_gaps_and_out_of_order_make_one_attempt_each(library: Library, database: Path) -> None:
    chance = Random(3)
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        async with at_work(home, server) as courier:
            for person in replying:
                server.bot.next_update_id += chance.randrange(1, 9)
                await person.says(PRECISION)
            await passes(home, courier, arrived(server, replying))
            repeated = list(server.updates)
            chance.shuffle(repeated)
            server.bot.again.extend(repeated)
            server.wake(server.bot)
            await server.settled()
        async with at_work(home, server) as courier:
            server.bot.again.extend(repeated)
            server.wake(server.bot)
            await home.coach.deliver_due(["telegram"])
            await passes(home, courier, arrived(server, due))
            await server.settled()
        await check(home, server, due, replying, 0)
