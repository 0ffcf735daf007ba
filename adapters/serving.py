"""Serving: platforms run over one house until a signal, one that fails leaves the others alone, and all is undone in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from adapters.house import House, house
from bot.errors import SettingsError

if TYPE_CHECKING:
    from adapters.discord import Discord
    from adapters.telegram import Telegram
    from bot.coach import Coach
    from bot.config import Settings
    from bot.ports import Adapter

OK, FAILED = 0, 1
"""Exit statuses."""

SWITCH = 0.001
"""Seconds after which the grader's thread lets the conversation go on, where the interpreter's own are 0.005: a conversation takes
many short steps, and each would wait that long."""


@asynccontextmanager
async def serving(home: House, adapters: Sequence[Adapter], inboxes: Sequence[Callable[[], Awaitable[None]]] = ()) -> AsyncIterator[None]:
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
    home.coach.on_owed = courier.wake
    clock = Clock(home.coach, home.store, platforms)
    sharing = Sharing(home.store, home.coach, courier, platforms, pick_up)
    running = [asyncio.create_task(courier.run()), asyncio.create_task(sharing.run())]
    clock.start()
    try:
        yield
    finally:
        await clock.stop()
        await courier.stop()
        await sharing.stop()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*running)


async def serve_platforms(known: Settings, *, receiving: bool = True) -> int:
    """Serves every platform that has a token until SIGTERM or SIGINT; one that fails leaves the others running."""
    from bot.database import sqlite_file
    from bot.logs import configure

    if not receiving and sqlite_file(known.database) is not None:
        raise SettingsError("a worker shares its database with other processes: set COACH_DATABASE to a PostgreSQL URL")
    configure(known.log, json=known.log_json if known.log_json is not None else not sys.stderr.isatty())
    sys.setswitchinterval(SWITCH)
    async with house(known) as home:
        platforms = list(_platforms(known, home.coach, receiving=receiving))
        where = sqlite_file(known.database) or "the configured database"
        names = " and ".join(platform.platform.capitalize() for platform in platforms)
        how = "The coach serves" if receiving else "This worker sends for"
        print(f"{how} {names}; its data is in {where}. Ctrl-C or SIGTERM stops it.", flush=True)
        return await serve(home, platforms, receiving=receiving)


async def serve(home: House, platforms: Sequence[Telegram | Discord], *, receiving: bool = True) -> int:
    """Runs these platforms until SIGTERM or SIGINT."""
    from adapters.web import serve_web

    stopping = asyncio.Event()
    routes = [route for one in platforms for route in one.routes()]
    inboxes = [one.pick_up for one in platforms]
    async with AsyncExitStack() as places, serving(home, platforms, inboxes), serve_web(home.settings.port, routes):
        for platform in platforms if receiving else ():
            await places.enter_async_context(home.store.place(platform.place, platform.turn))
        with _signals(stopping):
            running = [asyncio.create_task(_supervise(platform)) for platform in platforms]
            stopped = asyncio.create_task(stopping.wait())
            everything = asyncio.gather(*running)
            both: set[asyncio.Future[Any]] = {stopped, everything}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            await asyncio.gather(*(platform.stop() for platform in platforms))
            results = await everything
    return OK if any(results) else FAILED


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


async def _supervise(platform: Telegram | Discord) -> bool:
    """Runs a platform until it is stopped; False where its settings can't be used."""
    try:
        await platform.start()
        await platform.run()
    except SettingsError as error:
        print(f"coach: {error}", file=sys.stderr, flush=True)
        return False
    return True


class _signals:
    """SIGINT and SIGTERM set `stopping`. A second SIGINT, from somebody at the keyboard, ends the process at once; a second SIGTERM
    changes nothing: cut off in the middle, a message would come twice after the next start."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set() and number == signal.SIGINT:
            os._exit(FAILED)
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
