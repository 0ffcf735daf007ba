"""The process's one HTTP port, for whatever is asked of it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from bot.errors import SettingsError

LARGEST = 1024 * 1024
"""Bytes of a request's body that are read."""


@asynccontextmanager
async def serve_web(port: int, routes: Sequence[web.RouteDef], host: str = "") -> AsyncIterator[int]:
    """Listens on `port` for as long as it is entered, and not at all without routes; gives the port (useful where 0 asked for a
    free one). host: an address of this machine, all of them by default.

    Raises SettingsError where the port is taken."""
    if not routes:
        yield 0
        return
    application = web.Application(client_max_size=LARGEST)
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        listening = _listen(port, host)
        await web.SockSite(runner, listening).start()
        yield int(listening.getsockname()[1])
    finally:
        await runner.cleanup()


def _listen(port: int, host: str) -> socket.socket:
    # One socket for both kinds of address: two would be given two different free ports.
    both = socket.has_dualstack_ipv6() and not host
    try:
        if host:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
        return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both, backlog=128)
    except OSError as error:
        raise SettingsError(f"COACH_PORT {port} can't be used: {error.strerror or error}") from error
