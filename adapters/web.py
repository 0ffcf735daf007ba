"""The process's one HTTP port: the routes that its platforms need, and nothing where they need none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from bot.errors import SettingsError

LARGEST = 1024 * 1024
"""Bytes of a request's body that are read."""


@asynccontextmanager
async def serve_web(port: int, routes: Sequence[web.RouteDef]) -> AsyncIterator[int]:
    """Listens on `port` for as long as it is entered; gives the port (useful where 0 asked for a free one).

    Raises SettingsError where the port is taken."""
    if not routes:
        yield 0
        return
    application = web.Application(client_max_size=LARGEST)
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, None, port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(f"COACH_PORT {port} can't be used: {error.strerror}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
