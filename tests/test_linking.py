"""Linking: one learner in two chats, and two again; nothing is lost, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from peers.discord import TOKEN as DISCORD_TOKEN
from peers.discord import DiscordServer, discord_contract
from peers.telegram import TOKEN, BotApiServer, telegram_contract
from test_dialogues import FAST, AtDiscord, AtTelegram, Player
from worlds import World, couriers, sql, world

from adapters.discord import Discord
from adapters.discord.commands import definitions
from adapters.telegram import Telegram
from bot import days, links, streaks
from bot.coach import Coach
from bot.content import Library, Rubric
from bot.grading.plain import PlainGrader
from bot.messages import Address, Message
from bot.model import Fate, Grade, Learner, Memory, Occasion

TELEGRAM = Address("telegram", "7", "7")
DISCORD = Address("discord", "99", "99")
THIRD = Address("console", "ann", "ann")
GOOD = "precision is TP / (TP + FP)"


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as somewhere:
        yield somewhere


async def _says(home: World, address: Address, *texts: str) -> str:
    """Says one after another, half a minute apart; what is heard last."""
    for text in texts:
        home.clock.move(seconds=30)
        await home.says(text, address=address)
    return home.heard


async def _code(home: World, address: Address) -> str:
    found = re.search(r"/link ([A-Z]{4}-[A-Z]{4})", await _says(home, address, "/link"))
    assert found
    return found.group(1)


async def _link(home: World, made_at: Address, used_at: Address) -> str:
    """Links two chats; what the second one hears."""
    return await _says(home, used_at, f"/link {await _code(home, made_at)}")


async def _memory(home: World, address: Address) -> Memory:
    return await home.store.recall(address)


async def _learner(home: World, address: Address) -> Learner:
    learner = (await _memory(home, address)).learner
    assert learner is not None
    return learner


async def _streak(home: World, address: Address) -> int:
    memory = await _memory(home, address)
    assert memory.learner is not None
    marks = await home.store.marks(memory.learner.id)
    return streaks.replay(memory.practised, marks, days.local_day(home.clock(), memory.learner.zone)).count


def _rows(file: Path, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(file) as connection:
        return connection.execute(statement).fetchall()


# ---------------------------------------------------------------------------------------------- codes


def test_codes_are_short_unambiguous_and_read_in_any_spelling() -> None:
    code = links.make(Random(3).choice)

    assert re.fullmatch(r"[BCDFGHJKMNPQRSTWXZ]{8}", code)
    shown = links.shown(code)
    assert all(links.read(text) == code for text in (code, shown, shown.lower(), " ".join(code), f" {shown} ", shown.replace("-", "–")))
    assert [links.read(text) for text in ("", "hello", "BCDF-GHJ", "BCDF-GHJK9", "BCDF GHJK MNPQ")] == [None] * 5
    assert code not in links.fingerprint(code)


async def test_a_code_comes_from_the_chance_that_is_given_and_only_its_fingerprint_is_kept(library: Library, database: Path) -> None:
    async with world(library, database) as home:
        drawn: list[str] = []

        def draw(letters: str) -> str:
            drawn.append(letters)
            return letters[len(drawn) % 5]

        coach = Coach(home.store, library, PlainGrader(), now=home.clock, draw=draw)
        (reply,) = await coach.handle(Message("k", TELEGRAM, "/link", home.clock()))
    assert "/link CDFG-BCDF" in reply.text
    assert drawn == [links.LETTERS] * 8
    assert _rows(database, "SELECT fingerprint FROM link_code") == [(links.fingerprint("CDFGBCDF"),)]


async def test_a_code_works_once_and_for_ten_minutes(home: World) -> None:
    code = await _code(home, TELEGRAM)
    home.clock.move(minutes=9)
    assert "Linked." in await _says(home, DISCORD, f"/link {code.lower().replace('-', ' ')}")
    assert "does not hold" in await _says(home, THIRD, f"/link {code}")

    code = await _code(home, TELEGRAM)
    home.clock.move(minutes=10)
    assert "does not hold" in await _says(home, THIRD, f"/link {code}")


async def test_a_new_code_replaces_the_one_before(home: World) -> None:
    first, second = await _code(home, TELEGRAM), await _code(home, TELEGRAM)

    assert "does not hold" in await _says(home, DISCORD, f"/link {first}")
    assert "Linked." in await _says(home, DISCORD, f"/link {second}")


async def test_guessing_is_limited_to_five_an_hour_also_after_a_restart(library: Library, database: Path) -> None:
    """Even the right code is refused then."""
    async with world(library, database) as home:
        for left in (4, 3, 2, 1):
            assert f"You have {left} more tr" in await _says(home, DISCORD, "/link BCDF-GHJK")
        assert "last try for now" in await _says(home, DISCORD, "/link BCDF-GHJK")
        clock = home.clock
    async with world(library, database, clock=clock, seed=2) as again:
        again.keys = iter(range(100, 200)).__next__
        code = await _code(again, TELEGRAM)
        assert "too many wrong codes. Please try again in 57 minutes" in await _says(again, DISCORD, f"/link {code}")
        assert await again.store.whose(DISCORD) != await again.store.whose(TELEGRAM)
        clock.move(minutes=55)
        assert "too many wrong codes" in await _says(again, DISCORD, "/link BCDF-GHJK")
        clock.move(minutes=2)
        assert "Linked." in await _says(again, DISCORD, f"/link {await _code(again, TELEGRAM)}")


async def test_tries_count_for_the_learner_in_all_their_chats(home: World) -> None:
    """And for the address, whoever its learner becomes."""
    await _link(home, TELEGRAM, DISCORD)
    for _ in range(5):
        await _says(home, DISCORD, "/link BCDF-GHJK")
    assert "too many" in await _says(home, TELEGRAM, f"/link {await _code(home, THIRD)}")
    await _says(home, DISCORD, "/unlink")
    assert "too many" in await _says(home, DISCORD, f"/link {await _code(home, THIRD)}")


async def test_what_can_not_be_a_code_is_no_guess(home: World) -> None:
    for _ in range(7):
        assert "eight letters" in await _says(home, DISCORD, "/link please")
    assert "Linked." in await _link(home, TELEGRAM, DISCORD)


async def test_ones_own_code_is_kept_for_the_other_chat(home: World) -> None:
    code = await _code(home, TELEGRAM)
    assert "send it there" in await _says(home, TELEGRAM, f"/link {code}")
    assert "Linked." in await _says(home, DISCORD, f"/link {code}")
    code = await _code(home, TELEGRAM)
    assert "send it there" in await _says(home, DISCORD, f"/link {code}")


async def test_only_in_private(home: World) -> None:
    await home.says("/link", address=Address("telegram", "7", "-100"), private=False)
    assert "write to me in private" in home.heard
    await home.says("/unlink", address=Address("telegram", "7", "-100"), private=False)
    assert "write to me in private" in home.heard
    assert await home.store.link_code("x") is None


# ---------------------------------------------------------------------------------------------- two become one


async def test_two_histories_become_one(home: World, database: Path) -> None:
    """Practised days are a union, attempts a sum, and both chats see all of it."""
    for day in range(4):
        await _says(home, (TELEGRAM, DISCORD)[day % 2], "/next precision", GOOD)
        if day == 2:
            await _says(home, DISCORD, "/next recall", "recall is TP / (TP + FN)")
        home.clock.move(days=1)
    home.clock.move(days=-1)
    assert (await _streak(home, TELEGRAM), await _streak(home, DISCORD)) == (1, 3)
    heard = await _link(home, TELEGRAM, DISCORD)

    assert "one history, one streak" in heard
    memory = await _memory(home, TELEGRAM)
    assert memory == await _memory(home, DISCORD)
    assert [one.question for one in memory.past] == ["precision", "precision", "precision", "recall", "precision"]
    assert await _streak(home, TELEGRAM) == 4
    assert _rows(database, "SELECT count(*) FROM learner") == [(1,)]
    assert _rows(database, "SELECT count(*) FROM practised") == [(5,)]
    assert "5 replies graded" in await _says(home, TELEGRAM, "/progress")
    assert "4 days in a row" in await _says(home, DISCORD, "/streak")


async def test_one_day_by_two_clocks_is_one_day(home: World) -> None:
    """Ten minutes apart, it was Tuesday in Berlin and still Monday by a clock that nobody had set."""
    await _says(home, TELEGRAM, "/next", "/zone Europe/Berlin")
    home.clock.at = datetime(2026, 11, 23, 23, 10, tzinfo=UTC)
    await _says(home, TELEGRAM, "/next precision", GOOD)
    await _says(home, DISCORD, "/next precision", GOOD)
    await _link(home, TELEGRAM, DISCORD)

    assert len((await _memory(home, TELEGRAM)).practised) == 2
    assert await _streak(home, TELEGRAM) == 1


async def test_the_newer_open_question_stays_open(home: World) -> None:
    await _says(home, TELEGRAM, "/next precision")
    await _says(home, DISCORD, "/next recall")
    heard = await _link(home, TELEGRAM, DISCORD)

    assert "the newer one stays open" in heard
    memory = await _memory(home, TELEGRAM)
    assert memory.open is not None
    assert memory.open.question == "recall"
    assert "/100 · Recall" in await _says(home, TELEGRAM, "recall is TP / (TP + FN)")
    assert "No question is open" in await _says(home, DISCORD, GOOD)


async def test_an_open_question_of_one_side_is_answered_from_the_other(home: World) -> None:
    await _says(home, TELEGRAM, "/next precision")
    assert "newer one" not in await _link(home, TELEGRAM, DISCORD)
    assert "/100 · Precision" in await _says(home, DISCORD, GOOD)
    assert "No question is open" in await _says(home, TELEGRAM, GOOD)


async def test_the_settings_of_the_side_where_the_code_was_made_hold_and_it_is_said(home: World) -> None:
    await _says(home, TELEGRAM, "/next", "/daily 7:30 Tokyo", "/level 5", "/track production")
    await _says(home, DISCORD, "/next", "/daily 20:00 Berlin", "/pause 3")
    heard = await _link(home, TELEGRAM, DISCORD)

    assert "those from Telegram hold" in heard
    assert "comes here, at 07:30 Tokyo time" in heard
    learner = await _learner(home, DISCORD)
    assert (learner.zone, learner.minute, learner.level, learner.paused_until) == ("Asia/Tokyo", 450, 5, None)
    assert learner.home == DISCORD
    assert learner.next_due_at == datetime(2026, 11, 23, 22, 30, tzinfo=UTC)


async def test_a_side_that_set_nothing_does_not_undo_what_the_other_set(home: World) -> None:
    await _says(home, DISCORD, "/next", "/daily 20:00 Berlin")
    heard = await _link(home, TELEGRAM, DISCORD)

    assert "those from this chat hold" in heard
    learner = await _learner(home, TELEGRAM)
    assert (learner.zone, learner.minute, learner.home) == ("Europe/Berlin", 1200, DISCORD)


async def test_somebody_new_joins_with_their_first_message(home: World, database: Path) -> None:
    await _says(home, TELEGRAM, "/next precision", GOOD)
    heard = await _link(home, TELEGRAM, DISCORD)

    assert "settings" not in heard.replace("/settings", "")
    assert _rows(database, "SELECT count(*) FROM learner") == [(1,)]
    assert len((await _memory(home, DISCORD)).past) == 1


async def test_somebody_who_is_known_from_a_group_only(home: World) -> None:
    """They have no chat and no time for a daily question; linked, they have those of the other side."""
    await home.says("/help", address=Address("discord", "99", "guild"), private=False)
    assert (await _learner(home, DISCORD)).minute is None
    await _says(home, TELEGRAM, "/next", "/daily 8:00 Berlin")
    assert "comes here, at 08:00 Berlin time" in await _says(home, DISCORD, f"/link {await _code(home, TELEGRAM)}")

    await home.says("/help", address=Address("discord", "98", "guild"), private=False)
    other = Address("discord", "98", "98")
    await _says(home, TELEGRAM, f"/link {await _code(home, other)}")
    learner = await _learner(home, other)
    assert (learner.minute, learner.zone, learner.home) == (480, "Europe/Berlin", TELEGRAM)


async def test_three_chats_are_one_learner(home: World) -> None:
    await _says(home, THIRD, "/next precision", GOOD)
    await _link(home, TELEGRAM, DISCORD)
    await _link(home, DISCORD, THIRD)

    learner = await _learner(home, TELEGRAM)
    assert await home.store.addresses(learner.id) == (THIRD, DISCORD, TELEGRAM)
    assert learner.home == THIRD
    assert "linked with" in await _says(home, TELEGRAM, "/link")
    assert "Discord" in home.heard
    await _link(home, THIRD, Address("telegram", "8", "8"))
    assert len(await home.store.addresses(learner.id)) == 4


async def test_the_chat_where_the_code_was_made_is_told(home: World) -> None:
    await _link(home, TELEGRAM, DISCORD)
    owed = [one async for one in _drain(home, "telegram")]

    assert "linked with your chat on Discord now" in owed[-1]


async def _drain(home: World, platform: str) -> AsyncIterator[str]:
    """What waits for a platform, one after another."""
    for _ in range(50):
        claimed = await home.store.claim([platform], home.clock(), 1)
        if not claimed:
            return
        reply = claimed[0].reply or await home.coach.compose(claimed[0])
        await home.store.settle(claimed[0], "sent", home.clock())
        if reply is not None:
            yield reply.text


# ---------------------------------------------------------------------------------------------- the daily question


async def _daily(home: World, *platforms: str) -> list[str]:
    """The daily questions that go out now, as "platform question"."""
    await home.coach.deliver_due(["telegram", "discord", "console"])
    found = []
    for platform in platforms or ("telegram", "discord", "console"):
        found += [platform async for text in _drain(home, platform) if text.startswith("Question of the day")]
    return found


async def _set_up(home: World, address: Address, time: str) -> None:
    await _says(home, address, "/next precision", GOOD, f"/daily {time} UTC")
    [_ async for _ in _drain(home, address.platform)]


async def test_the_daily_question_goes_to_the_address_chosen_last(home: World) -> None:
    await _set_up(home, TELEGRAM, "14:00")
    await _set_up(home, DISCORD, "14:00")
    await _link(home, TELEGRAM, DISCORD)
    home.clock.at = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    assert await _daily(home) == ["discord"]
    await _says(home, TELEGRAM, "/streak", GOOD, "/next")  # only speaking there moves nothing
    home.clock.at = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
    assert await _daily(home) == ["discord"]
    await _says(home, TELEGRAM, "/daily 14:00")
    home.clock.at = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
    assert await _daily(home) == ["telegram"]


@pytest.mark.parametrize("first", [TELEGRAM, DISCORD], ids=lambda one: one.platform)
async def test_a_daily_question_that_came_to_one_side_does_not_come_again_that_day(home: World, first: Address) -> None:
    """Whatever is set afterwards."""
    second = DISCORD if first is TELEGRAM else TELEGRAM
    await _set_up(home, first, "13:00")
    await _set_up(home, second, "15:00")
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    assert await _daily(home) == [first.platform]
    await _link(home, TELEGRAM, DISCORD)
    home.clock.at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    assert await _daily(home) == []
    await _says(home, TELEGRAM, "/daily 16:00")
    home.clock.at = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    assert await _daily(home) == []
    home.clock.at = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    assert await _daily(home) == ["telegram"]


@pytest.mark.parametrize("who", [(TELEGRAM,), (DISCORD,), (TELEGRAM, DISCORD)], ids=["maker", "other", "both"])
async def test_a_daily_question_that_is_owed_when_two_become_one_comes_once(home: World, database: Path, who: tuple[Address, ...]) -> None:
    """To the new home, whoever it was owed to."""
    for address in (TELEGRAM, DISCORD):
        await _set_up(home, address, "13:00" if address in who else "23:00")
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    await home.coach.deliver_due(["telegram", "discord"])
    heard = await _link(home, TELEGRAM, DISCORD)
    assert "Linked." in heard

    assert await _daily(home) == ["discord"]
    home.clock.at = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    assert await _daily(home) == []
    assert (await _memory(home, TELEGRAM)).open is not None
    assert len(_rows(database, "SELECT 1 FROM asked WHERE occasion = 'daily' AND fate = 'open'")) == 1


async def test_a_daily_question_in_the_middle_of_being_sent_is_worded_for_the_one_learner(home: World) -> None:
    """The other one, which only waited, is not sent any more."""
    await _set_up(home, TELEGRAM, "13:00")
    await _set_up(home, DISCORD, "13:00")
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    await home.coach.deliver_due(["telegram", "discord"])
    (under_way,) = await home.store.claim(["discord"], home.clock(), 1)
    await _link(home, TELEGRAM, DISCORD)
    reply = await home.coach.compose(under_way)
    await home.store.settle(under_way, "sent", home.clock())

    assert reply is not None
    opened = (await _memory(home, TELEGRAM)).open
    assert opened is not None
    assert opened.occasion is Occasion.DAILY
    assert await _daily(home) == []


async def test_what_was_excused_while_it_was_claimed_is_not_sent(home: World) -> None:
    await _set_up(home, TELEGRAM, "13:00")
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    await home.coach.deliver_due(["telegram"])
    (claimed,) = await home.store.claim(["telegram"], home.clock(), 1)
    await sql(home.store, "UPDATE outbox SET state = 'excused' WHERE kind = 'daily'")

    assert await home.coach.compose(claimed) is None
    assert (await _memory(home, TELEGRAM)).open is None


async def test_replies_that_wait_go_where_they_were_asked_for(home: World) -> None:
    await _says(home, DISCORD, "/streak")
    await _link(home, TELEGRAM, DISCORD)

    heard = [one async for one in _drain(home, "discord")]
    assert "No streak yet" in heard[0]


async def test_a_home_that_is_gone_does_not_strand_the_learner(home: World) -> None:
    await _link(home, TELEGRAM, DISCORD)
    await home.coach.gone(Address("telegram", "x", "99"))  # somebody else, whose chat has the same number elsewhere
    assert (await _learner(home, DISCORD)).reachable
    await home.coach.gone(DISCORD)
    assert not (await _learner(home, TELEGRAM)).reachable
    await _says(home, TELEGRAM, "/streak")
    learner = await _learner(home, DISCORD)
    assert (learner.reachable, learner.home) == (True, TELEGRAM)
    assert learner.next_due_at is not None


# ---------------------------------------------------------------------------------------------- one becomes two


async def test_parted_both_keep_their_past(home: World, database: Path) -> None:
    await _says(home, TELEGRAM, "/next precision", GOOD, "/next recall")
    attempt = (await home.store.last_attempt((await _learner(home, TELEGRAM)).id)).id  # type: ignore[union-attr]
    await _says(home, TELEGRAM, f"/appeal {attempt} when 0")
    await _link(home, TELEGRAM, DISCORD)
    before = await _memory(home, TELEGRAM)
    heard = await _says(home, DISCORD, "/unlink")

    assert "This chat has a copy" in heard
    assert "Telegram keeps the original" in heard
    telegram, discord = await _memory(home, TELEGRAM), await _memory(home, DISCORD)
    assert telegram.learner is not None and discord.learner is not None
    assert telegram.learner.id != discord.learner.id
    assert (telegram.past, telegram.practised, telegram.asked_lately) == (before.past, before.practised, before.asked_lately)
    assert (discord.past, discord.practised, discord.asked_lately) == (before.past, before.practised, before.asked_lately)
    assert (telegram.learner.home, discord.learner.home) == (TELEGRAM, DISCORD)
    copied = await home.store.last_attempt(discord.learner.id)
    assert copied is not None and copied.id != attempt
    asked = await home.store.asked(discord.learner.id, copied.asked)
    assert asked is not None and asked.fate is Fate.ANSWERED
    (appeal,) = await home.store.appeals(copied.id)
    assert appeal.copied
    assert sum(one.appeals for one in await home.store.appealed()) == 1
    await _says(home, DISCORD, "recall is TP / (TP + FN)")
    assert (len((await _memory(home, TELEGRAM)).past), len((await _memory(home, DISCORD)).past)) == (1, 2)
    assert "/100 · Recall" in await _says(home, TELEGRAM, "recall is TP / (TP + FN)")
    assert _rows(database, "PRAGMA foreign_key_check") == []


async def test_linked_again_nothing_is_doubled_and_what_came_between_is_kept(home: World, database: Path) -> None:
    await _says(home, TELEGRAM, "/next precision", GOOD)
    await _says(home, DISCORD, "/next recall", "recall is TP / (TP + FN)")
    await _link(home, TELEGRAM, DISCORD)
    await _says(home, DISCORD, "/next auc")
    await _says(home, DISCORD, "/unlink")
    await _says(home, DISCORD, "it is the area under the curve of true positive rate against false positive rate")
    await _says(home, TELEGRAM, "/skip")
    await _link(home, DISCORD, TELEGRAM)

    memory = await _memory(home, TELEGRAM)
    assert [one.question for one in memory.past] == ["precision", "recall", "auc"]
    assert [question for question, _ in memory.asked_lately] == ["precision", "recall", "auc"]
    assert len(memory.practised) == 3
    assert memory.open is None
    assert await _streak(home, TELEGRAM) == 1
    assert _rows(database, "PRAGMA foreign_key_check") == []
    assert _rows(database, "SELECT fate FROM asked WHERE question = 'auc'") == [("answered",)]


async def test_an_appeal_after_the_parting_is_not_lost_when_they_are_linked_again(home: World, database: Path) -> None:
    reply = "Of what was deleted, how much deserved it."
    await _says(home, TELEGRAM, "/next precision", reply)
    await _link(home, TELEGRAM, DISCORD)
    await _says(home, DISCORD, "/unlink")
    attempt = await home.store.last_attempt((await _learner(home, DISCORD)).id)
    assert attempt is not None
    await _says(home, DISCORD, f"/appeal {attempt.id} definition 0")
    raised = await home.store.last_attempt((await _learner(home, DISCORD)).id)
    await _link(home, TELEGRAM, DISCORD)

    kept = await home.store.last_attempt((await _learner(home, TELEGRAM)).id)
    assert kept is not None and raised is not None
    assert (kept.grade, kept.grade.score != attempt.grade.score) == (raised.grade, True)
    assert len(await home.store.appeals(kept.id)) == 1
    assert len((await _memory(home, TELEGRAM)).past) == 1


async def test_two_replies_alike_of_two_learners_are_two(home: World) -> None:
    """The same words to the same question at the same moment, by two who were never linked before: no copy of one another."""
    for address in (TELEGRAM, DISCORD):
        await home.says("/next precision", address=address)
    for address in (TELEGRAM, DISCORD):
        await home.says(GOOD, address=address)
    await _link(home, TELEGRAM, DISCORD)

    assert len((await _memory(home, TELEGRAM)).past) == 2


async def test_with_nothing_linked_there_is_nothing_to_part(home: World) -> None:
    assert "not linked" in await _says(home, TELEGRAM, "/unlink")
    assert "not linked" in await _says(home, TELEGRAM, "/next precision", "/unlink")
    await _link(home, TELEGRAM, DISCORD)
    await _says(home, DISCORD, "/unlink")
    assert "not linked" in await _says(home, DISCORD, "/unlink")
    assert "not linked" in await _says(home, TELEGRAM, "/unlink")


async def test_of_three_chats_one_leaves_and_two_stay_together(home: World) -> None:
    await _says(home, TELEGRAM, "/next precision", GOOD)
    await _link(home, TELEGRAM, DISCORD)
    await _link(home, DISCORD, THIRD)
    assert (await _learner(home, TELEGRAM)).home == THIRD
    heard = await _says(home, THIRD, "/unlink")

    assert "Discord and Telegram keep the original" in heard
    assert await home.store.whose(TELEGRAM) == await home.store.whose(DISCORD) != await home.store.whose(THIRD)
    assert (await _learner(home, TELEGRAM)).home == DISCORD
    assert [len((await _memory(home, one)).past) for one in (TELEGRAM, DISCORD, THIRD)] == [1, 1, 1]


async def test_a_daily_question_of_the_one_does_not_come_again_to_the_two(home: World) -> None:
    await _set_up(home, TELEGRAM, "13:00")
    await _link(home, TELEGRAM, DISCORD)
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    assert await _daily(home) == ["discord"]
    await _says(home, TELEGRAM, "/unlink")
    await _says(home, TELEGRAM, "/daily 15:00")
    await _says(home, DISCORD, "/daily 15:00")
    home.clock.at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    assert await _daily(home) == []
    home.clock.at = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    assert sorted(await _daily(home)) == ["discord", "telegram"]


async def test_a_daily_question_that_is_owed_when_one_becomes_two_comes_where_it_was_to_go(home: World) -> None:
    await _set_up(home, TELEGRAM, "13:00")
    await _link(home, TELEGRAM, DISCORD)
    home.clock.at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    await home.coach.deliver_due(["telegram", "discord"])
    await _says(home, DISCORD, "/unlink")

    assert await _daily(home) == ["discord"]
    assert (await _memory(home, DISCORD)).open is not None
    assert (await _memory(home, TELEGRAM)).open is None


# ---------------------------------------------------------------------------------------------- at the same moment


class Slow:
    """A grader that waits until it is told, and says how many replies it has in hand."""

    name = "slow"

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.count = 0

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        self.count += 1
        self.begun.set()
        await self.go.wait()
        return PlainGrader().judge(rubric, reply)


async def test_two_chats_of_one_learner_reply_at_the_same_moment_and_nothing_is_doubled(library: Library, database: Path) -> None:
    slow = Slow()
    async with world(library, database, grader=slow) as home:
        await _link(home, TELEGRAM, DISCORD)
        await _says(home, TELEGRAM, "/next precision")
        home.clock.move(minutes=1)
        turns = [
            asyncio.create_task(home.coach.handle(Message(f"same-{address.platform}", address, GOOD, home.clock())))
            for address in (TELEGRAM, DISCORD)
        ]
        await slow.begun.wait()
        bob = Address("console", "bob", "bob")
        await home.says("/help", address=bob)  # nobody else waits for them
        slow.go.set()
        said = [replies[0].text for replies in await asyncio.wait_for(asyncio.gather(*turns), 60)]

        assert slow.count == 1
        assert sorted("/100" in text for text in said) == [False, True]
        assert any("not counted" in text for text in said)
        memory = await _memory(home, TELEGRAM)
        assert (len(memory.past), len(memory.practised)) == (1, 1)


@pytest.mark.parametrize(("maker", "other"), [(TELEGRAM, DISCORD), (DISCORD, TELEGRAM)], ids=["by the other", "by the same"])
async def test_a_reply_in_hand_is_not_lost_when_its_learner_is_linked_meanwhile(
    library: Library, database: Path, maker: Address, other: Address
) -> None:
    """Linking waits for the turn of either side."""
    slow = Slow()
    async with world(library, database, grader=slow) as home:
        code = await _code(home, maker)
        await _says(home, TELEGRAM, "/next precision")
        home.clock.move(minutes=1)
        replying = asyncio.create_task(home.coach.handle(Message("r", TELEGRAM, GOOD, home.clock())))
        await slow.begun.wait()
        linking = asyncio.create_task(home.coach.handle(Message("l", other, f"/link {code}", home.clock())))
        slow.go.set()
        await asyncio.wait_for(asyncio.gather(replying, linking), 60)

        memory = await _memory(home, DISCORD)
        assert len(memory.past) == 1
        assert memory.open is None
        assert memory == await _memory(home, TELEGRAM)


async def test_two_that_link_each_other_at_the_same_moment_end_as_one(home: World, database: Path) -> None:
    """Each sends the other's code; neither waits for ever."""
    one, two = await _code(home, TELEGRAM), await _code(home, DISCORD)
    turns = [
        home.coach.handle(Message("x", TELEGRAM, f"/link {two}", home.clock())),
        home.coach.handle(Message("y", DISCORD, f"/link {one}", home.clock())),
    ]
    said = [replies[0].text for replies in await asyncio.wait_for(asyncio.gather(*turns), 60)]

    assert sum("Linked." in text for text in said) == 1
    assert await home.store.whose(TELEGRAM) == await home.store.whose(DISCORD)
    assert _rows(database, "SELECT count(*) FROM learner") == [(1,)]


async def test_many_chats_link_and_talk_at_once_and_all_come_to_an_end(home: World, database: Path) -> None:
    chats = [Address("telegram", str(number), str(number)) for number in range(6)]
    codes = [await _code(home, chat) for chat in chats]
    texts = [(chat, text) for number, chat in enumerate(chats) for text in (f"/link {codes[number - 1]}", "/next precision", "/streak")]
    Random(4).shuffle(texts)
    turns = [home.coach.handle(Message(f"k{number}", chat, text, home.clock())) for number, (chat, text) in enumerate(texts)]
    await asyncio.wait_for(asyncio.gather(*turns), 60)

    ids = {await home.store.whose(chat) for chat in chats}
    assert {row[0] for row in _rows(database, "SELECT id FROM learner")} == ids
    for id in ids:
        assert len(_rows(database, f"SELECT 1 FROM asked WHERE fate = 'open' AND learner = '{id}'")) <= 1
    assert _rows(database, "PRAGMA foreign_key_check") == []


async def test_a_crash_in_the_middle_of_linking_leaves_two_as_they_were(library: Library, database: Path) -> None:
    """All of it is one transaction: what is refused at its end undoes it all."""
    async with world(library, database) as home:
        await _says(home, TELEGRAM, "/next precision", GOOD)
        await _says(home, DISCORD, "/next recall", "recall is TP / (TP + FN)")
        code = await _code(home, TELEGRAM)
        key = "link:discord:boom:telegram:7"
        await sql(home.store, f"UPDATE outbox SET key = '{key}' WHERE seq = 1")
        with pytest.raises(Exception, match="refused a row"):
            await home.says(f"/link {code}", address=DISCORD, key="boom")

        assert await home.store.whose(TELEGRAM) != await home.store.whose(DISCORD)
        assert [len((await _memory(home, one)).past) for one in (TELEGRAM, DISCORD)] == [1, 1]
        await sql(home.store, "UPDATE outbox SET key = 'elsewhere' WHERE seq = 1")
        assert "Linked." in await _says(home, DISCORD, f"/link {code}")


async def test_a_database_of_before_is_brought_up_to_date_with_its_rows(library: Library, database: Path) -> None:
    from alembic import command
    from sqlalchemy import create_engine

    from bot import migrations

    async with world(library, database) as home:
        await _says(home, TELEGRAM, "/next precision", GOOD)
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        command.downgrade(migrations._config(connection), "0001")
    assert _rows(database, "SELECT name FROM sqlite_master WHERE name IN ('appeal', 'flag', 'link_code', 'link_try')") == []
    engine.dispose()
    async with world(library, database) as again:
        again.keys = iter(range(100, 200)).__next__
        assert len((await _memory(again, TELEGRAM)).past) == 1
        assert "Linked." in await _link(again, TELEGRAM, DISCORD)


# ---------------------------------------------------------------------------------------------- through real platforms


async def test_a_telegram_account_and_a_discord_account_are_one_learner(library: Library, database: Path) -> None:
    """Through both loopback platforms and one courier: linked by code, a question asked here and answered there, parted again."""
    async with world(library, database) as home, AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(
            BotApiServer(contract=telegram_contract(), now=lambda: home.clock().timestamp())
        )  # fmt: skip
        discord = await stack.enter_async_context(DiscordServer(contract=discord_contract(), now=lambda: home.clock().timestamp()))
        one = Telegram(home.coach, TOKEN, api=telegram.url.removesuffix("/bot"), pace=FAST, now=home.clock)
        two = Discord(home.coach, DISCORD_TOKEN, api=discord.api, pace=FAST, now=home.clock)
        courier = await stack.enter_async_context(couriers(home, [one, two]))
        running = []
        for adapter in (one, two):
            await adapter.start()
            running.append(asyncio.create_task(adapter.run()))
        await discord.connected()
        try:
            here, there = AtTelegram(telegram, home, courier), AtDiscord(discord, home, courier)
            assert "/100" in await _talk(here, "/next precision", GOOD)
            found = re.search(r"/link ([A-Z]{4}-[A-Z]{4})", await here.says("/link"))
            assert found
            heard = await there.says(f"/link {found.group(1)}")
            assert "Linked." in heard
            assert "in your other chat (Telegram) counts together" in heard
            assert "linked with your chat on Discord now" in await here._hears()
            assert "1 day in a row" in await there.says("/streak")
            assert "Question · Model evaluation" in await here.says("/next recall")
            assert "/100 · Recall" in await there.says("recall is TP / (TP + FN), the share of true fraud that we caught")
            assert "2 replies graded" in await here.says("/progress")
            assert "This chat has a copy" in await there.says("/unlink")
            assert "is on its own now" in await here._hears()
            assert "2 replies graded" in await there.says("/progress")
            assert "2 replies graded" in await here.says("/progress")
        finally:
            for adapter in (one, two):
                await adapter.stop()
            await asyncio.gather(*running)
        assert telegram.violations == discord.violations == []
        assert {"link", "unlink", "appeal", "flag"} <= {one["name"] for one in definitions()}
        options = {one["name"]: [option["name"] for option in one["options"]] for one in definitions()}
        assert (options["link"], options["unlink"], options["appeal"], options["flag"]) == (["code"], [], ["words"], ["reason"])


async def _talk(player: Player, *texts: str) -> str:
    heard = ""
    for text in texts:
        heard = await player.says(text)
    return heard
