"""Serving: platforms run over one house until a signal, one that fails leaves the others alone, and all is undone in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from adapters.house import House, house
from bot.errors import CoachError, SettingsError

if TYPE_CHECKING:
    from adapters.discord import Discord
    from adapters.metrics import Metrics
    from adapters.telegram import Telegram
    from bot.clock import Clock
    from bot.coach import Coach
    from bot.config import Settings
    from bot.deliveries import Courier
    from bot.ports import Adapter
    from bot.watching import Watcher

OK, FAILED = 0, 1
"""Exit statuses."""

SWITCH = 0.001
"""Seconds after which the grader's thread lets the conversation go on, where the interpreter's own are 0.005: a conversation takes
many short steps, and each would wait that long."""


WEBHOOKS = 8080
"""The port where updates come by webhook and none is named."""

LOOK = 1.0
"""Seconds between two looks whether what runs beneath the platforms still does."""

REPLIES = 10.0
"""Seconds that the replies of the last turns have to be sent."""

GOODBYE = 20.0
"""Seconds beyond `Settings.grace` after which a stop is over, whatever is still in hand: it is done after the next start."""

AGAIN = (1.0, 300.0)
"""Seconds before a platform that failed is started again, twice as many each time, and the most of them."""

STEADY = 600.0
"""Seconds after which a platform that fails counts as one that had been well."""

log = structlog.get_logger("serving")


class Stopped(CoachError):
    """The process can't go on: whoever runs it is to start it again."""


@dataclass(frozen=True)
class Beneath:
    """What runs beneath the platforms."""

    clock: Clock
    courier: Courier
    running: Sequence[asyncio.Task[None]]

    async def failed(self, patience: float) -> str:
        """Returns when what must run for ever has ended, or when no tick came through for so many seconds: why, in a sentence.

        Only seconds in which this process was awake itself count, so that a machine that slept is not taken for a dead clock."""
        silent, seen = 0.0, self.clock.last_tick
        while True:
            ended, _ = await asyncio.wait(self.running, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            if ended:
                error = ended.pop().exception()
                return f"what sends and receives has ended: {error if isinstance(error, CoachError) else type(error).__name__}"
            silent, seen = (silent + LOOK if self.clock.last_tick == seen else 0.0), self.clock.last_tick
            if silent >= patience:
                if self.clock.trouble:
                    return f"the database has been away for {patience:.0f} s: {self.clock.trouble}"
                return f"the clock has stood still for {patience:.0f} s" + (", waiting for the database" if self.clock.under_way else "")

    async def wind_down(self) -> None:
        """Begins nothing new: no tick, and of what is owed replies only."""
        self.courier.winds_down()
        await self.clock.stop()


@asynccontextmanager
async def serving(
    home: House, adapters: Sequence[Adapter], inboxes: Sequence[Callable[[], Awaitable[None]]] = ()
) -> AsyncIterator[Beneath]:
    """The courier, the clock and what other processes need, for as long as the platforms run.

    inboxes: what begins the updates that nobody is at work on."""
    from bot.clock import Clock
    from bot.deliveries import Courier
    from bot.sharing import Sharing

    async def pick_up() -> None:
        for inbox in inboxes:
            await inbox()

    platforms = [adapter.platform for adapter in adapters]
    courier = Courier(home.store, home.coach, {adapter.platform: adapter for adapter in adapters})
    home.coach.on_owed, home.coach.sender = courier.wake, courier.sender
    clock = Clock(home.coach, home.store, platforms)
    sharing = Sharing(home.store, home.coach, courier, platforms, pick_up)
    running = [asyncio.create_task(courier.run()), asyncio.create_task(sharing.run())]
    clock.start()
    try:
        yield Beneath(clock, courier, running)
    finally:
        await clock.stop()
        await courier.stop()
        await sharing.stop()
        for ended in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("ended early", kind=type(ended).__name__)


async def serve_platforms(known: Settings, *, receiving: bool = True) -> int:
    """Serves every platform that has a token until SIGTERM or SIGINT; one that fails leaves the others running."""
    from adapters.metrics import Metrics
    from bot.database import sqlite_file
    from bot.logs import configure

    if not receiving and sqlite_file(known.database) is not None:
        raise SettingsError("a worker shares its database with other processes: set COACH_DATABASE to a PostgreSQL URL")
    configure(known.log, json=known.log_json if known.log_json is not None else not sys.stderr.isatty())
    sys.setswitchinterval(SWITCH)
    metrics = Metrics()
    async with house(known, metrics) as home:
        platforms = list(_platforms(known, home.coach, receiving=receiving))
        where = sqlite_file(known.database) or "the configured database"
        names = " and ".join(platform.platform.capitalize() for platform in platforms)
        how = "The coach serves" if receiving else "This worker sends for"
        print(f"{how} {names}; its data is in {where}. Ctrl-C or SIGTERM stops it.", flush=True)
        return await serve(home, platforms, receiving=receiving, metrics=metrics)


async def serve(home: House, platforms: Sequence[Telegram | Discord], *, receiving: bool = True, metrics: Metrics | None = None) -> int:
    """Runs these platforms until SIGTERM or SIGINT. Raises Stopped where what they stand on is gone."""
    from adapters.health import Health
    from adapters.web import serve_web

    stopping = asyncio.Event()
    routes = [route for one in platforms for route in one.routes()]
    inboxes = [one.pick_up for one in platforms]
    port = home.settings.port
    if port is None:
        port = WEBHOOKS if routes else None
    async with AsyncExitStack() as open_:
        beneath = await open_.enter_async_context(serving(home, platforms, inboxes))
        if port is not None:
            routes += Health(home.store, platforms, beneath.clock, metrics).routes()
            log.info("listening", port=await open_.enter_async_context(serve_web(port, routes, home.settings.host)))
        for platform in platforms if receiving else ():
            await open_.enter_async_context(home.store.place(platform.place, platform.turn))
        with _signals(stopping):
            running = asyncio.gather(*(supervise(platform, stopping, home.coach.watcher) for platform in platforms))
            asked, failed = asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(beneath.failed(home.settings.patience))
            together: set[asyncio.Future[Any]] = {asked, failed, running}
            await asyncio.wait(together, return_when=asyncio.FIRST_COMPLETED)
            grace = home.settings.grace
            asyncio.get_running_loop().call_later(grace + GOODBYE, _cut_off, grace + GOODBYE)
            reason = failed.result() if failed.done() else ""
            stopping.set()
            asked.cancel()
            failed.cancel()
            if not running.done():
                log.info("stopping", reason=reason)
            await beneath.wind_down()
            await asyncio.gather(*(platform.finish(grace) for platform in platforms))
            await beneath.courier.finish(REPLIES)
            await asyncio.gather(*(platform.stop() for platform in platforms))
            results = await running
    if reason:
        raise Stopped(f"{reason}. I stop, so that whoever runs me starts me again")
    return OK if any(results) else FAILED


def _cut_off(seconds: float) -> None:
    print(f"coach: what was in hand took longer than {seconds:.0f} s; it goes on after the next start", file=sys.stderr, flush=True)
    os._exit(FAILED)


def _platforms(known: Settings, coach: Coach, *, receiving: bool) -> Iterator[Telegram | Discord]:
    if known.telegram_token:
        from adapters.telegram import Telegram

        secret = known.telegram_webhook_secret
        yield Telegram(
            coach, known.telegram_token.get_secret_value(), api=known.telegram_api, webhook_url=known.telegram_webhook_url,
            webhook_secret=secret.get_secret_value() if secret else "", receiving=receiving,
            turn=asyncio.Event(),
        )  # fmt: skip
    if known.discord_token:
        from adapters.discord import Discord

        yield Discord(
            coach, known.discord_token.get_secret_value(), api=known.discord_api, cache=known.cache, receiving=receiving,
            turn=asyncio.Event(),
        )  # fmt: skip


async def supervise(platform: Telegram | Discord, stopping: asyncio.Event, watcher: Watcher, pauses: tuple[float, float] = AGAIN) -> bool:
    """Runs a platform until it is stopped, and again after a fault; False where its settings can't be used.

    pauses: the seconds before it is started again, and the most of them."""
    loop = asyncio.get_running_loop()
    pause, most = pauses
    while True:
        began = loop.time()
        try:
            await platform.start()
            await platform.run()
            return True
        except SettingsError as error:
            watcher.trouble(platform.platform, "refused")
            print(f"coach: {error}", file=sys.stderr, flush=True)
            return False
        except Exception as error:  # of whatever kind: a platform that fails takes no other down
            watcher.trouble(platform.platform, type(error).__name__)
            pause = pauses[0] if loop.time() - began > STEADY else pause
            log.error("platform failed", platform=platform.platform, kind=type(error).__name__, again_in=pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)
        if stopping.is_set():
            return True
        pause = min(pause * 2, most)


class _signals:
    """SIGINT and SIGTERM set `stopping`; a second one ends the process at once. What was in hand then is done after the next start,
    and a message that was on its way may come twice."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._asked = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        self._stopping.set()

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class interrupted:
    """SIGINT and SIGTERM cancel `task`, whatever it waits for."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self._task = task

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: self._task and self._task.cancel())

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
