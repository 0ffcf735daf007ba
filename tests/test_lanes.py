"""How fast a platform is written to, against platforms that allow so much and no more, in a time that only these tests move."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.lanes import LONGEST_BAN, Bucket, Health, Pacing
from bot.messages import Address
from bot.outbox import Lane, Owed, Pace

TICK = 0.01


def owed(chat: str, lane: Lane = Lane.BULK) -> Owed:
    return Owed(f"k {chat}", Address("paper", chat, chat), lane, "word", None)


@dataclass
class Platform:
    """Takes `limit` messages in any second; then it refuses all for `ban` seconds, and says so."""

    limit: int
    ban: float = 2.0
    accepted: list[tuple[float, Lane]] = field(default_factory=list)
    refused: int = 0
    until: float = 0.0

    def takes(self, now: float, lane: Lane) -> float | None:
        """None where it takes this one, else how long it is to be left alone."""
        if now < self.until:
            self.refused += 1
            return self.until - now
        if len([at for at, _ in self.accepted[-self.limit :] if at > now - 1]) >= self.limit:
            self.refused += 1
            self.until = now + self.ban
            return self.ban
        self.accepted.append((now, lane))
        return None


@dataclass
class Played:
    """What came of it: the worst wait of a reply in seconds, and when the last message of a fan-out was taken."""

    worst: float = 0.0
    ended: float = 0.0


def play(platform: Platform, bulk: int, replies_every: float = 0.0, pace: Pace = Pace()) -> Played:  # noqa: B008
    """Sends a fan-out to so many chats, and a reply to another chat every so often, as a courier does."""
    pacing, now, number, played = Pacing(pace), 1000.0, 0, Played()
    waiting: dict[Lane, list[tuple[float, Owed]]] = {Lane.REPLY: [], Lane.BULK: [(now, owed(f"b{n}")) for n in range(bulk)]}
    ask_at = dict.fromkeys(Lane, now)
    next_reply = now
    while waiting[Lane.BULK]:
        if replies_every and now >= next_reply:
            waiting[Lane.REPLY].append((now, owed(f"r{number}", Lane.REPLY)))
            number, next_reply = number + 1, next_reply + replies_every
        for lane in Lane:
            if not waiting[lane] or now < ask_at[lane]:
                continue
            since, one = waiting[lane][0]
            if wait := max(pacing.chat(one, now), pacing.lane(lane, now)):
                ask_at[lane] = now + wait
                continue
            pacing.leaves(one, now)
            refused = platform.takes(now, lane)
            if refused is None:
                waiting[lane].pop(0)
                pacing.passed(one, now)
                if lane is Lane.REPLY:
                    played.worst = max(played.worst, now - since)
            else:
                pacing.flood(one, refused, now)
        now += TICK
    played.ended = now - 1000.0
    return played


def test_a_fan_out_takes_25_of_the_30_a_second_and_leaves_5_for_replies() -> None:
    platform = Platform(30)

    played = play(platform, 1000, replies_every=0.2)

    assert platform.refused == 0
    assert len(platform.accepted) / played.ended >= 0.95 * 30
    assert played.worst < 0.15


def test_a_fan_out_alone_takes_what_is_not_kept_for_replies() -> None:
    platform = Platform(30)

    played = play(platform, 1000)

    assert platform.refused == 0
    assert 1000 / played.ended == pytest.approx(25, rel=0.02)


def test_a_place_goes_to_the_reply_that_waits_for_it() -> None:
    pacing = Pacing(Pace())
    for n in range(30):
        pacing.leaves(owed(f"r{n}", Lane.REPLY), 100.0)
    wait = pacing.lane(Lane.REPLY, 100.5)
    free = 100.5 + wait

    assert 0.5 < wait < 0.6
    assert pacing.lane(Lane.BULK, free) > 0.0
    assert pacing.lane(Lane.REPLY, free) == 0.0
    pacing.leaves(owed("r", Lane.REPLY), free)
    assert pacing.lane(Lane.BULK, free) == 0.0


def test_replies_that_need_more_than_their_part_take_it_from_the_fan_out() -> None:
    platform = Platform(30)

    played = play(platform, 300, replies_every=0.05)

    assert platform.refused == 0
    assert played.worst < 0.6
    assert 300 / played.ended == pytest.approx(10, rel=0.4)


@pytest.mark.parametrize(("limit", "ban"), [(10, 2.0), (20, 2.0), (20, 30.0), (27, 5.0)])
def test_where_a_platform_allows_less_hardly_a_request_goes_into_a_ban(limit: int, ban: float) -> None:
    """At most one of a hundred, once the right speed is found, and three before that; and it is used for the most part."""
    platform = Platform(limit, ban)

    played = play(platform, 3000, replies_every=1.0)

    assert platform.refused <= 4 + len(platform.accepted) / 100
    assert len(platform.accepted) / played.ended > 0.5 * min(limit, 25)


def test_a_ban_that_met_one_chat_stops_only_the_fan_out_and_that_chat() -> None:
    pacing = Pacing(Pace())
    pacing.flood(owed("ann"), 8.0, 100.0)

    assert pacing.closed(Lane.BULK, 101.0) == pytest.approx(7.0)
    assert pacing.lane(Lane.REPLY, 101.0) == 0.0
    assert pacing.closed(Lane.BULK, 108.0) == 0.0
    assert pacing.bulk_rate == 12.5


def test_replies_stop_too_once_it_is_plain_that_a_ban_is_for_all() -> None:
    pacing = Pacing(Pace())
    pacing.flood(owed("ann", Lane.REPLY), 4.0, 100.0)
    assert pacing.closed(Lane.REPLY, 100.1) == 0.0

    pacing.flood(owed("bob", Lane.REPLY), 4.0, 100.1)

    assert pacing.closed(Lane.REPLY, 100.2) == pytest.approx(3.9)


def test_an_absurd_ban_is_tried_with_another_chat_and_was_that_chats_alone() -> None:
    pacing = Pacing(Pace())
    assert pacing.flood(owed("ann"), 1e9, 100.0) == LONGEST_BAN
    assert 0 < pacing.closed(Lane.BULK, 100.0) <= 5.0

    assert pacing.lane(Lane.BULK, 106.0) == 0.0
    pacing.passed(owed("bob"), 106.0)

    assert pacing.closed(Lane.BULK, 106.1) == 0.0


def test_an_absurd_ban_that_meets_another_chat_too_is_obeyed() -> None:
    pacing = Pacing(Pace())
    pacing.flood(owed("ann"), 1800.0, 100.0)
    pacing.flood(owed("bob"), 1794.0, 106.0)

    assert pacing.closed(Lane.BULK, 107.0) == pytest.approx(1793.0)


def test_a_ban_without_its_length_grows_until_something_passes() -> None:
    pacing = Pacing(Pace())

    assert [pacing.flood(owed("ann"), None, 100.0 * n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    pacing.passed(owed("ann"), 900.0)
    assert pacing.flood(owed("ann"), None, 1000.0) == 1


def test_one_chat_gets_one_a_second_after_a_burst() -> None:
    pacing = Pacing(Pace())

    to_ann, left = owed("ann", Lane.REPLY), []
    for n in range(500):
        now = 100.0 + n / 100
        if not pacing.chat(to_ann, now) and not pacing.lane(Lane.REPLY, now):
            pacing.leaves(to_ann, now)
            left.append(now)

    assert left == pytest.approx([100.0, 100.01, 100.02, 101.0, 102.0, 103.0, 104.0], abs=0.03)
    assert pacing.chat(owed("bob", Lane.REPLY), 100.0) == 0.0


def test_processes_that_share_a_token_share_its_speed() -> None:
    pacing = Pacing(Pace())
    pacing.share(5)
    assert pacing.bulk_rate == 5.0
    pacing.share(1)
    assert pacing.bulk_rate == 25.0


def test_a_fault_of_the_platform_is_nobodys_and_one_that_meets_a_single_message_is_its_own() -> None:
    away, well = Health(), Health()
    for n in range(8):
        well.arrived(f"k{n}")

    assert [away.failed("k") for _ in range(3)] == [(1, False), (2, False), (3, False)]
    assert well.failed("k") == (1, True)
    assert well.failed("k") == (2, False)  # nothing else was sent meanwhile
    well.arrived("other")
    assert well.failed("k") == (3, True)
    for n in range(9):
        well.failed(f"f{n}")
    well.arrived("other")
    assert well.failed("k") == (4, False)  # by now it is not well at all


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=1.0, burst=3)

    for _ in range(3):
        assert bucket.wait(100.0) == 0.0
        bucket.take(100.0)
    assert bucket.wait(100.0) == 1.0
    assert bucket.wait(100.4) == pytest.approx(0.6)
    bucket.take(101.0)
    assert bucket.wait(101.0) == pytest.approx(1.0)
