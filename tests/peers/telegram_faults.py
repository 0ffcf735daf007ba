"""What can go wrong on the way to Telegram: the faults that a test orders, and the flood limits."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Literal

from .telegram_methods import Call
from .telegram_world import Account, Json

PER_SECOND, CHAT_BURST, GROUP_PER_MINUTE = 30, 3, 20
CONFLICT = "Conflict: "
POLLED_TWICE = "terminated by other getUpdates request; make sure that only one bot instance is running"
POLLED_BY_WEBHOOK = "terminated by setWebhook request"
DESCRIPTIONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: CONFLICT + POLLED_TWICE,
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(eq=False)
class Fault:
    """Something that goes wrong with the next calls that match; `reached` is set when the first one meets it."""

    method: str
    chat: int | None
    times: int | None
    skip: int
    when: Literal["before", "after", "middle"]
    status: int
    description: str
    parameters: Json
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
        name = self.method.lower()
        if not fnmatch(call.method.lower(), name) or (call.method == "getUpdates" and name.startswith("*")):
            return False
        if (self.chat is not None and call.number("chat_id") != self.chat) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.hits.append(call)
        self.reached.set()
        return True


class Cut(Exception):
    """The connection ends here without an answer."""


class Floods:
    """Telegram's approximate limits: 30 a second in all, 1 a second to a chat after a burst, 20 a minute to a group.

    times: how many times as many in all are let pass."""

    def __init__(self, times: int = 1) -> None:
        self.per_second = PER_SECOND * times
        self.recent: dict[Account, deque[float]] = defaultdict(deque)
        self.minute: dict[int, deque[float]] = defaultdict(deque)
        self.level: dict[tuple[Account, int], tuple[float, float]] = {}

    def wait(self, call: Call, now: float) -> int:
        """How many seconds the bot must wait before this call; 0 lets it pass and counts it."""
        chat = call.number("chat_id")
        recent, minute = self.recent[call.bot], self.minute[chat]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        while minute and minute[0] <= now - 60:
            minute.popleft()
        if len(recent) >= self.per_second:
            return max(1, math.ceil(recent[0] + 1 - now))
        if chat < 0 and len(minute) >= GROUP_PER_MINUTE:
            return max(1, math.ceil(minute[0] + 60 - now))
        left, then = self.level.get((call.bot, chat), (float(CHAT_BURST), now))
        left = min(float(CHAT_BURST), left + (now - then))
        if chat > 0 and left < 1:
            return max(1, math.ceil(1 - left))
        self.level[call.bot, chat] = (left - 1, now)
        recent.append(now)
        minute.append(now)
        return 0
