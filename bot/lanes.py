"""How fast a platform may be written to at this moment: two lanes, chats, bans and what the platform lets pass. No clock is read.

Replies may use all that a platform allows; what the coach sends on its own has a lane of its own, which leaves room for them and
gives way when the platform says that it is too much: half as fast at once, then faster bit by bit.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from bot.outbox import Lane, Owed, Pace

LONGEST_BAN = 3600.0
"""Seconds that a platform's flood limit is believed; more is asked for by mistake."""

UNTOLD_BAN = 1.0
"""Seconds of a ban whose length the platform does not name; twice as many each time in a row, up to a minute."""

CAREFUL = 0.8
"""The part of the speed that was too much up to which it grows quickly again."""

QUICK, SLOW = 1.0, 0.03
"""By how many messages a second the bulk lane grows each second: below and above that part."""

SLOWEST = 1.0
"""Messages a second below which the bulk lane never falls."""

DOUBTED, PROBE = 10.0, 5.0
"""A ban longer than so many seconds may be one chat's alone: after so many another chat is tried, once."""

MARGIN = 1.03
"""Seconds that count as one: what leaves here within a second may arrive a little closer."""

LATE = 0.08
"""Seconds of its speed that the bulk lane makes up for when it was held up."""

YIELD = 0.05
"""Seconds beyond its time for which a place is kept free for a reply that waits for it."""

KNOWN_CHATS = 10_000

OUTCOMES = 20
"""The last messages by which one judges whether a platform is well."""

WELL = 0.9
"""The part of them that arrived where it is."""


class Bucket:
    """A token bucket: `rate` a second, `burst` at once after a rest. Time is an argument, in seconds."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = max(1.0, burst)
        self._left = self.burst
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until a token is there."""
        if self._at is not None:
            self._left = min(self.burst, self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        missing = 1.0 - self._left
        return missing / self.rate if missing > 1e-9 else 0.0

    def take(self, now: float) -> None:
        self.wait(now)
        self._left -= 1.0


class Window:
    """At most `limit` in any second, however they come. Time is an argument, in seconds."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._gone: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until there is a place."""
        places = max(1, int(self.limit))
        span = MARGIN * places / max(self.limit, 0.01)
        while self._gone and self._gone[0] <= now - span:
            self._gone.popleft()
        return self._gone[-places] + span - now if len(self._gone) >= places else 0.0

    def take(self, now: float) -> None:
        self._gone.append(now)


class _Speed:
    """Messages a second that are thought to be allowed: half as many after a ban, then more bit by bit."""

    def __init__(self, most: float) -> None:
        self.rate = self.most = most
        self._too_much = most / CAREFUL
        self._grown: float | None = None

    def share(self, part: float) -> None:
        self.rate, self.most, self._too_much = self.rate * part, self.most * part, self._too_much * part

    def slower(self, until: float) -> None:
        self._too_much, self.rate, self._grown = self.rate, max(SLOWEST, self.rate / 2), until

    def grow(self, now: float) -> float:
        since = 0.0 if self._grown is None else min(max(0.0, now - self._grown), 5.0)
        self._grown = now if self._grown is None else max(now, self._grown)
        if self.rate < self.most:
            self.rate = min(self.most, self.rate + (QUICK if self.rate < self._too_much * CAREFUL else SLOW) * since)
        return self.rate


class Pacing:
    """The lanes to one platform. A message waits for its `chat`, then for its `lane`, and says so when it `leaves`; `flood` where the
    platform refused one for being too many, `passed` where it took one. Nothing is planned: a place is taken by what leaves.

    `now` is in seconds of a clock that never goes back.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._part = 1
        self._speeds = {Lane.REPLY: _Speed(pace.per_second), Lane.BULK: _Speed(pace.bulk_per_second)}
        self._all = Window(pace.per_second)
        self._bulk = Bucket(pace.bulk_per_second, pace.bulk_per_second * LATE)
        self._chats: OrderedDict[str, Bucket] = OrderedDict()
        self._until = dict.fromkeys(Lane, 0.0)
        self._banned: dict[str, float] = {}
        self._doubted = False
        self._untold = 0
        self._yields_until = 0.0

    @property
    def bulk_rate(self) -> float:
        """Messages a second that the bulk lane sends at the moment."""
        return self._speeds[Lane.BULK].rate

    def share(self, processes: int) -> None:
        """So many processes send with the same token: each takes its part of what the platform allows."""
        part = max(1, processes)
        for speed in self._speeds.values():
            speed.share(self._part / part)
        self._part = part

    def closed(self, lane: Lane, now: float) -> float:
        """Seconds for which nothing of this lane may be sent."""
        until = self._until[Lane.REPLY] if lane is Lane.REPLY else max(self._until.values())
        return max(0.0, until - now)

    def chat(self, owed: Owed, now: float) -> float:
        """Seconds until this message's chat may be written to."""
        return self._chat(owed).wait(now)

    def lane(self, lane: Lane, now: float) -> float:
        """Seconds after which to ask again whether the next message of this lane may leave; 0 where it may. A reply that waits is the
        next to leave."""
        self._all.limit = self._speeds[Lane.REPLY].grow(now)
        wait = max(self.closed(lane, now), self._all.wait(now))
        if lane is Lane.REPLY:
            self._yields_until = now + wait + YIELD if wait else now
            return wait
        self._bulk.rate = self._speeds[Lane.BULK].grow(now)
        return max(wait, self._bulk.wait(now), self._yields_until - now)

    def leaves(self, owed: Owed, now: float) -> None:
        """This message is on its way."""
        for limit in (self._all, self._chat(owed), *((self._bulk,) if owed.lane is Lane.BULK else ())):
            limit.take(now)

    def flood(self, owed: Owed, seconds: float | None, now: float) -> float:
        """The platform refused this message as one too many, for so long (None: it did not say); returns how long it rests.

        The bulk lane rests and becomes slower. Replies go on, but for this chat's, until one to another chat is refused as well:
        then the ban is for all."""
        if seconds is None:
            seconds = min(UNTOLD_BAN * 2**self._untold, 60.0)
            self._untold += not any(end > now for end in self._banned.values())  # those that met the same ban count once
        seconds = min(max(seconds, 0.0), LONGEST_BAN)
        chat = owed.address.chat
        self._banned = {other: end for other, end in self._banned.items() if end > now}
        for_all, first = any(other != chat for other in self._banned), not self._banned
        self._banned[chat] = now + seconds
        self._doubted = seconds > DOUBTED and not for_all
        until = now + (PROBE if self._doubted else seconds)
        if first:
            self._speeds[Lane.BULK].slower(until)
        if owed.lane is Lane.REPLY and for_all:
            if self._until[Lane.REPLY] <= now:
                self._speeds[Lane.REPLY].slower(until)
            self._until[Lane.REPLY] = max(self._until[Lane.REPLY], until)
        self._until[Lane.BULK] = max(self._until[Lane.BULK], until)
        return seconds

    def passed(self, owed: Owed, now: float) -> None:
        """A message arrived: a ban that met another chat alone is that chat's."""
        self._untold = 0
        if self._banned and owed.address.chat not in self._banned:
            self._banned.clear()
            if self._doubted:
                self._doubted, self._until[Lane.BULK] = False, min(self._until[Lane.BULK], now)

    def _chat(self, owed: Owed) -> Bucket:
        chat = owed.address.chat
        bucket = self._chats.get(chat)
        if bucket is None:
            pace, group = self._pace, chat != owed.address.user
            bucket = Bucket(pace.group_per_minute / 60, pace.group_per_minute) if group else Bucket(pace.per_chat, pace.burst)
            self._chats[chat] = bucket
            while len(self._chats) > KNOWN_CHATS:
                self._chats.popitem(last=False)
        self._chats.move_to_end(chat)
        return bucket


class Health:
    """Whether a platform is well, by what became of the last messages: a fault of its own costs a message none of its tries."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=OUTCOMES)
        self._arrived = 0
        self._failed: dict[str, tuple[int, int]] = {}

    def arrived(self, key: str) -> None:
        self._failed.pop(key, None)
        self._recent.append(True)
        self._arrived += 1

    def failed(self, key: str) -> tuple[int, bool]:
        """This message did not arrive through no fault that one can see: how often in a row, and whether the fault is its own,
        because everything else arrives."""
        times, arrived = self._failed.get(key, (0, self._arrived - 1))
        well = len(self._recent) >= OUTCOMES / 4 and sum(self._recent) >= WELL * len(self._recent)
        own = well and self._arrived > arrived
        if not times:
            self._recent.append(False)
        self._failed[key] = (times + 1, self._arrived)
        return times + 1, own

    def forget(self, key: str) -> None:
        """This message is settled."""
        self._failed.pop(key, None)
