"""What is owed gets sent: claim, send at the platform's pace, record. One courier serves every platform of a process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog

from bot.coach import Coach
from bot.errors import AddressGone, NotAllowed, SendLater, SendRefused, SendUnclear, StoreError
from bot.outbox import Lane, Owed, Pace
from bot.ports import Adapter, Store

MOST_TRIES = 5
BACKOFF = (1.0, 4.0, 15.0, 60.0)
"""Seconds before the second, third, fourth and fifth try where the platform names no time."""

LONGEST_REST = 1.0
"""Seconds after which the outbox is looked at again even when nobody said that there is something new."""

PATIENCE = 2.0
"""Seconds that a claimed message waits for its turn; a longer wait goes back to the outbox."""

log = structlog.get_logger("deliveries")


class Bucket:
    """A token bucket: `rate` a second, `burst` at once after a rest. Time is an argument, in seconds."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = max(1.0, burst)
        self._left = self.burst
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Takes one token and returns the seconds until it is really there (0 when it is)."""
        if self._at is not None:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        self._left -= 1.0
        return max(0.0, -self._left / self.rate)

    def give_back(self) -> None:
        """Returns a token that was taken and not used."""
        self._left += 1.0


class Courier:
    """Sends what the outbox holds for its adapters, until stopped. `wake` tells it that something new is there."""

    def __init__(self, store: Store, coach: Coach, adapters: Mapping[str, Adapter], *, now: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._coach = coach
        self._adapters = dict(adapters)
        self._now = now or (lambda: datetime.now(UTC))
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._gates = {platform: asyncio.Semaphore(adapter.pace.in_flight) for platform, adapter in self._adapters.items()}
        self._platform = {platform: Bucket(a.pace.per_second, a.pace.per_second / 5) for platform, a in self._adapters.items()}
        self._chats: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._quiet_until: dict[str, float] = {}

    @property
    def sending(self) -> list[str]:
        """The keys of the messages that this process has in hand."""
        return list(self._running)

    def share(self, processes: int) -> None:
        """So many processes send with the same tokens: each takes its part of what a platform allows in all."""
        for platform, adapter in self._adapters.items():
            self._platform[platform].rate = adapter.pace.per_second / max(1, processes)

    def wake(self) -> None:
        """Something new may be there."""
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Returns when nothing waits to be sent and nothing is being sent."""
        await self._idle.wait()

    async def run(self) -> None:
        """Claims and sends until `stop`. A database that is away is waited for."""
        platforms = list(self._adapters)
        await self._store.released(platforms)
        while not self._stopping:
            self._wake.clear()
            room = sum(adapter.pace.in_flight for adapter in self._adapters.values()) * 2 - len(self._running)
            try:
                claimed = await self._store.claim(platforms, self._now(), room, list(self._running)) if room > 0 else []
            except StoreError as error:
                log.warning("outbox unreadable", reason=str(error))
                claimed = []
            for owed in claimed:
                self._running[owed.key] = asyncio.create_task(self._one(owed))
            if not claimed:
                await self._rest(platforms)

    async def stop(self) -> None:
        """Claims nothing new and waits for what is being sent."""
        self._stopping = True
        self._wake.set()
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=10)

    async def _rest(self, platforms: list[str]) -> None:
        pause = LONGEST_REST
        with suppress(StoreError):
            due = await self._store.next_at(platforms)
            if due is None and not self._running and not self._wake.is_set():
                self._idle.set()
            if due is not None:
                pause = min(pause, max(0.0, (due - self._now()).total_seconds()))
        with suppress(TimeoutError):
            # Where something is ready but its chat is busy, the chat's own task wakes us when it is done.
            await asyncio.wait_for(self._wake.wait(), pause if pause > 0 or not self._running else LONGEST_REST)

    async def _one(self, owed: Owed) -> None:
        adapter = self._adapters[owed.address.platform]
        try:
            wait = self._wait(owed, adapter.pace)
            if wait > PATIENCE:
                await self._store.put_back(owed, self._now() + timedelta(seconds=wait))
                return
            await asyncio.sleep(wait)
            async with self._gates[owed.address.platform]:
                await self._send(owed, adapter)
        except StoreError as error:
            log.warning("not recorded", key=owed.key, reason=str(error))
        except Exception as error:  # one message must never stop the courier: it stays claimed until its lease runs out
            log.error("courier failed", key=owed.key, kind=type(error).__name__)
        finally:
            del self._running[owed.key]
            self._wake.set()

    def _wait(self, owed: Owed, pace: Pace) -> float:
        """Seconds until this message may go, by the platform's limits."""
        now = asyncio.get_running_loop().time()
        if owed.lane is Lane.BULK and self._quiet_until.get(owed.address.platform, 0.0) > now:
            return self._quiet_until[owed.address.platform] - now + 0.01
        chat = (owed.address.platform, owed.address.chat)
        bucket = self._chats.get(chat)
        if bucket is None:
            group = owed.address.chat != owed.address.user
            bucket = Bucket(pace.group_per_minute / 60, pace.group_per_minute) if group else Bucket(pace.per_chat, pace.burst)
            self._chats[chat] = bucket
            while len(self._chats) > 10_000:
                self._chats.popitem(last=False)
        self._chats.move_to_end(chat)
        wait = max(bucket.wait(now), platform_wait := self._platform[owed.address.platform].wait(now))
        if wait > PATIENCE:
            bucket.give_back()
            self._platform[owed.address.platform].give_back()
        return max(wait, platform_wait)

    async def _send(self, owed: Owed, adapter: Adapter) -> None:
        try:
            reply = owed.reply or await self._coach.compose(owed)
        except StoreError:
            raise
        except Exception as error:
            log.error("not composed", key=owed.key, kind=type(error).__name__)
            await self._later(owed, SendLater("a fault of our own"))
            return
        if reply is None:
            return
        if owed.until is not None and owed.until <= self._now() and not await self._store.holds(owed, self._now()):
            log.info("message is in other hands", key=owed.key)
            return
        try:
            message = await adapter.send(owed.address, reply, owed.key)
        except AddressGone:
            await self._store.settle(owed, "dead", self._now())
            await self._store.unreachable(owed.address, self._now())
            log.info("address gone", platform=owed.address.platform, learner=owed.learner)
        except SendRefused as error:
            await self._coach.undelivered(owed, allowed=not isinstance(error, NotAllowed))
            await self._store.settle(owed, "dead", self._now())
            log.error("message refused", key=owed.key, reason=str(error))
        except (SendLater, SendUnclear) as error:
            await self._later(owed, error)
        except StoreError:
            raise
        except Exception as error:  # an adapter that breaks its word: the message may be out already
            log.error("not sent", key=owed.key, kind=type(error).__name__)
            await self._later(owed, SendUnclear("a fault of our own"))
        else:
            await self._store.settle(owed, "sent", self._now(), message=message)

    async def _later(self, owed: Owed, error: SendLater | SendUnclear) -> None:
        unclear = isinstance(error, SendUnclear)
        # Where nobody can say whether it arrived it is sent once more, not for ever: a learner rather reads a
        # message twice than never, but not five times.
        if owed.tries >= MOST_TRIES or (unclear and owed.unsure):
            await self._coach.undelivered(owed)
            await self._store.settle(owed, "dead", self._now())
            log.error("message given up", key=owed.key, tries=owed.tries)
            return
        seconds = getattr(error, "seconds", None)
        if isinstance(error, SendLater) and error.flood:
            until = asyncio.get_running_loop().time() + (seconds or BACKOFF[0])
            self._quiet_until[owed.address.platform] = max(until, self._quiet_until.get(owed.address.platform, 0.0))
        pause = seconds if seconds is not None else BACKOFF[min(owed.tries, len(BACKOFF)) - 1]
        await self._store.settle(owed, "retry", self._now(), again_at=self._now() + timedelta(seconds=pause), unsure=unclear)
