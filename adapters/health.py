"""What whoever runs the coach asks of its port: /healthz (the process), /readyz (what it stands on) and /metrics (Prometheus)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.errors import StoreError

if TYPE_CHECKING:
    from adapters.discord import Discord
    from adapters.metrics import Metrics
    from adapters.telegram import Telegram
    from bot.clock import Clock
    from bot.database import Database

OLDEST = 10.0
"""Seconds since the last tick after which the coach is not ready: it ticks once a second."""

PATIENCE = 2.0
"""Seconds that the database has to answer."""

FROM_OUTSIDE = ("X-Forwarded-For", "Forwarded", "Fly-Client-IP")
"""Headers of a proxy that hands on what comes from the internet: such a request is shown no figures."""


class Health:
    """The three routes. They say how things are in words and numbers, and nothing of any learner."""

    def __init__(
        self,
        store: Database,
        platforms: Sequence[Telegram | Discord],
        clock: Clock,
        metrics: Metrics | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._clock = clock
        self._metrics = metrics
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self._alive), web.get("/readyz", self._ready), web.get("/metrics", self._figures)]

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, _: web.Request) -> web.Response:
        database, age = await self._database() is not None, self._tick_age()
        platforms = {platform.platform: standing(platform) for platform in self._platforms}
        ready = database and age is not None and age <= OLDEST and "away" not in platforms.values()
        told: dict[str, Any] = {
            "ready": ready, "database": "answers" if database else "away", "platforms": platforms,
            "last_tick_seconds": None if age is None else round(age, 1),
        }  # fmt: skip
        return web.json_response(told, status=200 if ready else 503)

    async def _figures(self, request: web.Request) -> web.Response:
        if self._metrics is None or any(name in request.headers for name in FROM_OUTSIDE):
            return web.Response(status=404)
        queues, age = await self._database(), self._tick_age()
        now: dict[str, dict[tuple[tuple[str, str], ...], float]] = {
            "database_up": {(): float(queues is not None)},
            "platform_connected": {(("platform", one.platform),): float(standing(one) != "away") for one in self._platforms},
        }
        if age is not None:
            now["tick_age_seconds"] = {(): age}
        if queues is not None:
            now["queue_length"] = {(("queue", queue), ("platform", platform)): number for (queue, platform), number in queues.items()}
        return web.Response(body=self._metrics.text(now), headers={"Content-Type": self._metrics.type})

    async def _database(self) -> dict[tuple[str, str], int] | None:
        """What waits in the database; None where it does not answer."""
        try:
            return await asyncio.wait_for(self._store.queues([one.platform for one in self._platforms], self._now()), PATIENCE)
        except (StoreError, TimeoutError):
            return None

    def _tick_age(self) -> float | None:
        last = self._clock.last_tick
        return None if last is None else max(0.0, (self._now() - last).total_seconds())


def standing(platform: Telegram | Discord) -> str:
    """How a platform is: "connected", "standing by" where another process of ours listens, or "away"."""
    return "connected" if platform.connected else "away" if platform.turn.is_set() else "standing by"
