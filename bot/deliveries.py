"""What is owed gets sent: claim, send at the platform's pace, record. One courier serves every platform of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta

import structlog

from bot.coach import Coach
from bot.errors import AddressGone, NotAllowed, SendLater, SendRefused, SendUnclear, StoreError
from bot.lanes import Health, Pacing
from bot.outbox import Lane, Owed, PutOff
from bot.ports import Adapter, Sender, Store
from bot.timing import CHOSEN
from bot.watching import LATE, timed

MOST_TRIES = 5
BACKOFF = (1.0, 4.0, 15.0, 60.0, 240.0)
"""Seconds before the second, third, fourth, fifth and any further try where the platform names no time."""

LONGEST = timedelta(days=3)
"""For how long a message is tried while its platform is away. A daily question is excused long before."""

LONGEST_REST = 1.0
"""Seconds after which the outbox is looked at again even when nobody said that there is something new."""

SHORTEST_REST = 0.01
"""Seconds before it is looked at again where something is due and nothing could be claimed."""

PATIENCE = 2.0
"""Seconds that a claimed message waits for its turn; a longer wait goes back to the outbox."""

PINGS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between two questions whether a platform that is away is back; the last one for ever."""

log = structlog.get_logger("deliveries")


class Courier:
    """Sends what the outbox holds for its adapters, until stopped. `wake` tells it that something new is there.

    Each platform has a line of its own, so that one that is slow or away holds up no other."""

    def __init__(self, store: Store, coach: Coach, adapters: Mapping[str, Adapter], *, now: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._stopping = asyncio.Event()
        self._lines = [_Line(store, coach, adapter, now or (lambda: datetime.now(UTC))) for adapter in adapters.values()]

    @property
    def sending(self) -> list[str]:
        """The keys of the messages that this process has in hand."""
        return [key for line in self._lines for key in line.running]

    def share(self, processes: int) -> None:
        """So many processes send with the same tokens: each takes its part of what a platform allows in all."""
        for line in self._lines:
            line.pacing.share(processes)

    def wake(self) -> None:
        """Something new may be there."""
        for line in self._lines:
            line.wake()

    def sender(self, platform: str) -> Sender | None:
        """Who sends to a platform, if anybody here does."""
        return next((line for line in self._lines if line.platform == platform), None)

    async def drained(self) -> None:
        """Returns when nothing waits to be sent and nothing is being sent."""
        while not all(line.idle.is_set() for line in self._lines):
            for line in self._lines:
                await line.idle.wait()

    async def run(self) -> None:
        """Claims and sends until `stop`. A database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                await self._store.released([line.platform for line in self._lines])
                break
            except StoreError as error:
                log.warning("outbox unreadable", reason=str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LONGEST_REST)
        await asyncio.gather(*(line.run() for line in self._lines))

    def winds_down(self) -> None:
        """Claims replies only from now on: what the coach sends on its own waits for the next start."""
        for line in self._lines:
            line.lanes = (Lane.REPLY,)

    async def finish(self, longest: float) -> None:
        """Sends the replies that are ready and claims nothing after them; returns after so many seconds at the latest."""
        self.winds_down()
        for line in self._lines:
            line.finish()
        waiting = [asyncio.ensure_future(line.ended.wait()) for line in self._lines]
        await asyncio.wait(waiting, timeout=longest)
        for one in waiting:
            one.cancel()

    async def stop(self) -> None:
        """Claims nothing new and waits for what is being sent."""
        self._stopping.set()
        for line in self._lines:
            line.stop()
        running = {task for line in self._lines for task in line.running.values()}
        if running:
            await asyncio.wait(running, timeout=10)


class _Line:
    """What goes to one platform."""

    def __init__(self, store: Store, coach: Coach, adapter: Adapter, now: Callable[[], datetime]) -> None:
        self.platform = adapter.platform
        self.pacing = Pacing(adapter.pace)
        self.running: dict[str, asyncio.Task[None]] = {}
        self.idle = asyncio.Event()
        self.ended = asyncio.Event()
        self.lanes: tuple[Lane, ...] = tuple(Lane)
        self._store = store
        self._coach = coach
        self._adapter = adapter
        self._now = now
        self._health = Health()
        self._away = False
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._finishing = False
        self._open = False
        self._room = {Lane.REPLY: adapter.pace.in_flight * 2, Lane.BULK: adapter.pace.in_flight}
        self._lanes: dict[str, Lane] = {}
        self._heads = {lane: asyncio.Lock() for lane in Lane}
        # One place is kept for replies: while the platform thinks about a fan-out they need not wait.
        self._gate = asyncio.Semaphore(adapter.pace.in_flight)
        self._bulk_gate = asyncio.Semaphore(max(1, adapter.pace.in_flight - 1))

    def wake(self) -> None:
        self.idle.clear()
        self._wake.set()

    def expects(self, key: str) -> bool:
        closed = self.pacing.closed(Lane.REPLY, asyncio.get_running_loop().time())
        if not self._open or self._away or self._finishing or self._stopping.is_set() or closed or self._free(Lane.REPLY) <= 0:
            return False
        self._lanes[key] = Lane.REPLY
        return True

    def begin(self, owed: Owed) -> None:
        self.idle.clear()
        self._lanes[owed.key] = owed.lane
        self.running[owed.key] = asyncio.create_task(self._one(owed))

    def begun(self, key: str) -> bool:
        came = key in self.running or key not in self._lanes
        if not came:
            del self._lanes[key]
        return came

    def _free(self, lane: Lane) -> int:
        """Messages of a lane that may be taken on, beside those that are."""
        return self._room[lane] - list(self._lanes.values()).count(lane)

    def finish(self) -> None:
        self._finishing = True
        self._wake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        self._open = True
        try:
            await self._run()
        finally:
            self._open = False
            self.ended.set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if self._away:
                if self._finishing and not self.running:
                    return
                await self._until_back()
                continue
            claimed = await self._claim()
            for owed in claimed:
                self.begin(owed)
            if not claimed:
                if self._finishing and not self.running:
                    return
                await self._rest()

    async def _claim(self) -> list[Owed]:
        """Takes on what there is room for: of the bulk lane as much as it can send, and replies whatever that lane does."""
        clock = asyncio.get_running_loop().time()
        room = {lane: self._free(lane) for lane in self._room}
        lanes = [lane for lane in self.lanes if room[lane] > 0 and self.pacing.closed(lane, clock) < PATIENCE]
        if not lanes:
            return []
        try:
            return await self._store.claim([self.platform], self._now(), min(room[lane] for lane in lanes), list(self.running), lanes)
        except StoreError as error:
            log.warning("outbox unreadable", reason=str(error))
            return []

    async def _rest(self) -> None:
        """Returns when something may be there to be claimed, and soon in any case: what another process left in the middle of being
        sent is seen by a claim alone."""
        clock = asyncio.get_running_loop().time
        until, woken = clock() + LONGEST_REST, False
        while (longest := until - clock()) > 0:
            pause, due = longest, None
            with suppress(StoreError):
                due = await self._store.next_at([self.platform])
                if due is None and not self.running and not self._wake.is_set():
                    self.idle.set()
                if due is not None:
                    pause = min(pause, max(0.0, (due - self._now()).total_seconds()))
            # Where something is ready but its chat or its lane is busy, that one's own task wakes us when it is done.
            full = self.running or self.pacing.closed(Lane.BULK, clock())
            if pause <= 0 and woken:
                return
            try:
                await asyncio.wait_for(self._wake.wait(), pause or (longest if full else SHORTEST_REST))
            except TimeoutError:
                return
            if due is not None or self._away or self._finishing or self._stopping.is_set():
                return
            # Nothing waited: whether something does now is seen sooner than it is claimed.
            self._wake.clear()
            woken = True

    async def _until_back(self) -> None:
        """Waits until the platform answers again; where it can't be asked, the next message shows."""
        ping = getattr(self._adapter, "ping", None)
        for number in range(1 << 30):
            if ping is None or self._finishing or self._stopping.is_set() or await ping():
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PINGS[min(number, len(PINGS) - 1)])
        self._away = False

    async def _one(self, owed: Owed) -> None:
        try:
            async with AsyncExitStack() as places:
                if wait := await self._turn(owed, places):
                    await self._store.put_back(owed, self._now() + timedelta(seconds=wait))
                else:
                    await self._begin(owed)
        except StoreError as error:
            log.warning("not recorded", key=owed.key, reason=str(error))
        except Exception as error:  # one message must never stop the courier: it stays claimed until its lease runs out
            log.error("courier failed", key=owed.key, kind=type(error).__name__)
        finally:
            del self.running[owed.key], self._lanes[owed.key]
            self._wake.set()

    async def _turn(self, owed: Owed, places: AsyncExitStack) -> float:
        """Waits until this message may leave, and takes its place and one of the requests at one time; or returns after how many
        seconds it is to be claimed again."""
        clock = asyncio.get_running_loop().time
        while (wait := self.pacing.chat(owed, clock())) and not self._stopping.is_set():
            if wait > PATIENCE:
                return wait
            await self._pause(wait)
        async with self._heads[owed.lane]:
            held = False
            while not self._stopping.is_set():
                wait = self.pacing.lane(owed.lane, clock())
                if wait > PATIENCE:
                    return wait
                if wait:
                    await self._pause(wait)
                elif held:
                    break
                else:  # the platform may be thinking: only what leaves at once takes a place of its second, so it is asked for again
                    for gate in (self._bulk_gate, self._gate) if owed.lane is Lane.BULK else (self._gate,):
                        await places.enter_async_context(gate)
                    held = True
            self.pacing.leaves(owed, clock())
        return 0.0

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _begin(self, owed: Owed) -> None:
        """Sends, unless it became clear meanwhile that nothing is to be sent now."""
        closed = self.pacing.closed(owed.lane, asyncio.get_running_loop().time())
        if self._away or self._stopping.is_set() or owed.lane not in self.lanes or closed:
            await self._store.put_back(owed, self._now() + timedelta(seconds=closed))
        else:
            await self._send(owed)

    async def _send(self, owed: Owed) -> None:
        try:
            with timed(self._coach.watcher, "word"):
                reply = owed.reply if owed.reply is not None and owed.lane is Lane.REPLY else await self._coach.compose(owed)
        except StoreError:
            raise
        except Exception as error:
            log.error("not composed", key=owed.key, kind=type(error).__name__)
            await self._try_again(owed, "a fault of our own")
            return
        if isinstance(reply, PutOff):
            await self._store.put_back(owed, reply.until)
            return
        if reply is None:
            return
        if owed.until is not None and owed.until <= self._now() and not await self._store.holds(owed, self._now()):
            log.info("message is in other hands", key=owed.key)
            return
        try:
            # An earlier try may have arrived: a platform that can find out is told since when to look.
            looking = {"since": owed.due_at} if owed.unsure and owed.due_at is not None else {}
            with timed(self._coach.watcher, "send"):
                message = await self._adapter.send(owed.address, reply, owed.key, **looking)
        except AddressGone:
            self._tell(owed, "gone")
            await self._store.settle(owed, "gone", self._now())
            await self._store.unreachable(owed.address, self._now())
            log.info("address gone", platform=self.platform, learner=owed.learner)
        except SendRefused as error:
            self._coach.watcher.trouble(self.platform, "refused")
            await self._give_up(owed, str(error), allowed=not isinstance(error, NotAllowed))
        except SendLater as error:
            self._coach.watcher.trouble(self.platform, "flood limit" if error.flood else "away")
            await self._later(owed, error)
        except SendUnclear as error:
            self._coach.watcher.trouble(self.platform, "unclear")
            await self._unclear(owed, str(error))
        except StoreError:
            raise
        except Exception as error:  # an adapter that breaks its word: the message may be out already
            self._coach.watcher.trouble(self.platform, "fault of our own")
            log.error("not sent", key=owed.key, kind=type(error).__name__)
            await self._unclear(owed, "a fault of our own")
        else:
            after = (self._now() - owed.due_at).total_seconds() if owed.due_at is not None else 0.0
            self._tell(owed, "late" if owed.kind in CHOSEN and after >= LATE else "sent", max(0.0, after))
            self._health.arrived(owed.key)
            self.pacing.passed(owed, asyncio.get_running_loop().time())
            await self._store.settle(owed, "sent", self._now(), message=message)

    async def _later(self, owed: Owed, error: SendLater) -> None:
        """A flood limit, or a fault of the platform: neither costs a try, unless everything else arrives."""
        now, seconds = self._now(), error.seconds
        if error.flood:
            seconds = self.pacing.flood(owed, seconds, asyncio.get_running_loop().time())
            self._tell(owed, "retried")
            log.info("flood limit", platform=self.platform, seconds=seconds, bulk_rate=round(self.pacing.bulk_rate, 1))
            await self._store.settle(owed, "retry", now, again_at=now + timedelta(seconds=seconds), untried=True)
            return
        times, own = self._health.failed(owed.key)
        self._away = True
        if (own and owed.tries >= MOST_TRIES) or (owed.due_at is not None and now - owed.due_at > LONGEST):
            await self._give_up(owed, str(error))
            return
        self._tell(owed, "retried")
        pause = seconds if seconds is not None else BACKOFF[min(times, len(BACKOFF)) - 1]
        await self._store.settle(owed, "retry", now, again_at=now + timedelta(seconds=pause), untried=not own, unsure=error.maybe)

    async def _unclear(self, owed: Owed, reason: str) -> None:
        """Nobody can say whether it arrived, and the platform can't be asked: it is sent once more, when it is there, and not for ever:
        a learner rather reads a message twice than never, but not five times. What is given up then is shown as dead."""
        self._health.failed(owed.key)
        self._away = True
        if owed.unsure:
            await self._give_up(owed, reason)
        else:
            await self._try_again(owed, reason, unsure=True)

    async def _try_again(self, owed: Owed, reason: str, *, unsure: bool = False) -> None:
        if owed.tries >= MOST_TRIES:
            await self._give_up(owed, reason)
            return
        self._tell(owed, "retried")
        again = self._now() + timedelta(seconds=BACKOFF[min(owed.tries, len(BACKOFF)) - 1])
        await self._store.settle(owed, "retry", self._now(), again_at=again, unsure=unsure)

    async def _give_up(self, owed: Owed, reason: str, *, allowed: bool = True) -> None:
        self._tell(owed, "failed")
        self._health.forget(owed.key)
        await self._coach.undelivered(owed, allowed=allowed)
        await self._store.settle(owed, "dead", self._now(), reason=reason)
        log.error("message given up", key=owed.key, tries=owed.tries, reason=reason)

    def _tell(self, owed: Owed, outcome: str, seconds: float = 0.0) -> None:
        self._coach.watcher.delivery(self.platform, owed.kind, outcome, seconds)
