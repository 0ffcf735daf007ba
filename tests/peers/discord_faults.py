"""What a test Discord was asked, what goes wrong on the way when a test orders it, and the rate limits."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from .discord_world import Json

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
MESSAGES = {401: "401: Unauthorized", 404: "404: Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(eq=False)
class Call:
    """One request, as it came and what became of it.

    `accepted` says that it took effect, whatever the bot was told; `status` is 0 where the connection was cut.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    files: list[tuple[str, bytes]]
    at: float
    route: str = ""
    """The pattern it matched, such as "/channels/{channel}/messages"."""
    status: int = 0
    code: int = 0
    errors: Json | None = None
    accepted: bool = False
    done: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Cut(Exception):
    """The connection ends here without an answer."""


@dataclass(eq=False)
class Fault:
    """Something that goes wrong with the next calls that match; `reached` is set when the first one meets it."""

    pattern: str
    times: int | None
    skip: int
    when: Literal["before", "after", "middle"]
    status: int
    code: int
    message: str
    retry_after: float | None
    everywhere: bool
    via: bool
    cut: bool
    malformed: bool
    hold: asyncio.Event | None
    hits: list[Call] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def cancel(self) -> None:
        """Let everything pass from now on."""
        self.times = 0

    def takes(self, call: Call) -> bool:
        """Whether this call meets the fault; uses up one of its times if so."""
        if self.times == 0 or not fnmatch(call.name, self.pattern):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.hits.append(call)
        self.reached.set()
        return True


def limited(retry_after: float, everywhere: bool, via: bool, bucket: str = "") -> tuple[Json, dict[str, str]]:
    """The body and the headers of a 429. One without Via is Cloudflare's, which discord.py takes for a ban."""
    headers = {"Retry-After": str(max(1, round(retry_after))), "X-RateLimit-Scope": "global" if everywhere else "user"}
    if via:
        headers["Via"] = "1.1 google"
    if everywhere:
        headers["X-RateLimit-Global"] = "true"
    else:
        headers |= {"X-RateLimit-Bucket": bucket, "X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0"}
        headers["X-RateLimit-Reset-After"] = str(retry_after)
    return {"message": "You are being rate limited.", "retry_after": retry_after, "global": everywhere}, headers


class Limits:
    """The limits that are counted: so many requests a second in all, and so many messages a channel in some seconds.

    Source: "Rate Limits" in the API documentation; answers to interactions don't count towards the first.
    """

    def __init__(self, everywhere: int | None, channel: tuple[int, float] | None) -> None:
        self.everywhere, self.channel = everywhere, channel
        self.recent: deque[float] = deque()
        self.posted: dict[str, deque[float]] = defaultdict(deque)

    def overall(self, call: Call, now: float) -> float:
        """How many seconds the bot must wait because of all it does; 0 lets the call pass and counts it."""
        if self.everywhere is None or call.path.startswith(("/interactions/", "/webhooks/")):
            return 0.0
        return _full(self.recent, self.everywhere, 1.0, now)

    def here(self, call: Call, now: float) -> tuple[float, dict[str, str]]:
        """The same for messages to one channel, with the headers that tell how many are left."""
        bucket = f"{zlib.crc32(f'{call.method} {call.route}'.encode()):08x}"
        headers = {"X-RateLimit-Bucket": bucket}
        if self.channel is None or call.method != "POST" or call.route != "/channels/{channel}/messages":
            return 0.0, headers | _left(50, 49, 1.0, now)
        most, seconds = self.channel
        posted = self.posted[call.path]
        wait = _full(posted, most, seconds, now)
        return wait, headers | _left(most, most - len(posted), posted[0] + seconds - now, now)


def _left(most: int, left: int, seconds: float, now: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(most), "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset-After": f"{seconds:.3f}",
        "X-RateLimit-Reset": f"{now + seconds:.3f}",
    }  # fmt: skip


def _full(recent: deque[float], most: int, seconds: float, now: float) -> float:
    """How long until there is room in the window; 0 where there is, and then it is taken."""
    while recent and recent[0] <= now - seconds:
        recent.popleft()
    if len(recent) >= most:
        return round(recent[0] + seconds - now, 3) + 0.001
    recent.append(now)
    return 0.0
