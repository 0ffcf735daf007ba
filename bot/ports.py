"""The sockets, on one page: what the engine asks of a database, a grader and a platform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Protocol

from bot.content import Rubric
from bot.messages import Address, Reply
from bot.model import Asked, Attempt, Changes, Grade, Memory
from bot.outbox import Owed, Pace

grading_for: ContextVar[str] = ContextVar("grading_for", default="")
"""The learner whose reply is being graded; a grader that has a budget for each counts by it."""


class Grader(Protocol):
    """A way of judging a reply."""

    @property
    def name(self) -> str:
        """Engine and version, as it stands in `Grade.graded_by`."""

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        """The grade of `reply`. Never raises for anything that a learner can write; the same reply, the same grade."""


class Store(Protocol):
    """What the coach remembers. Every time is UTC; every method is one transaction; safe for concurrent tasks.

    Raises StoreError, and StoreBusy where trying again may help.
    """

    shared: bool
    """Whether other processes may work on the same database."""

    lease: timedelta
    """How long work stays with a process that is not heard of any more."""

    async def take(
        self, platform: str, updates: Sequence[tuple[str, str]], now: datetime, whose: Mapping[str, str] | None = None, room: int = 1 << 30
    ) -> list[str]:
        """Keeps (key, raw) updates of a platform until they are done; returns the keys that were new.

        whose: the person behind each key; one person's updates are handled one after the other, whichever processes do so.
        room: how many of them this process has time for; the others wait for whoever picks them up."""

    async def pick_up(self, platform: str, now: datetime, most: int) -> list[tuple[str, str]]:
        """The oldest (key, raw) update of each person that no living process is at work on; this process is, from now on."""

    async def ours(self, platform: str, key: str) -> bool:
        """Whether the message with this key is to be handled here and now: not done, in no other hands, and none of the same
        person's before it. A message that was never taken is."""

    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        """The (key, raw) updates taken and not yet done, oldest first."""

    async def drop(self, platform: str, key: str) -> None:
        """Marks an update done that needs no answer."""

    async def done(self, platform: str, key: str) -> bool:
        """Whether the message with this key was handled before."""

    async def recall(self, address: Address) -> Memory:
        """What is known of the learner at `address`; a Memory without learner where it is nobody's."""

    async def asked(self, learner: str, id: str) -> Asked | None: ...

    async def attempt(self, learner: str, id: str) -> Attempt | None: ...

    async def follow_ups_asked(self, attempt: str) -> frozenset[str]:
        """The ids of the follow-ups that were asked to an attempt."""

    async def recall_learner(self, id: str) -> Memory: ...

    async def last_attempt(self, learner: str) -> Attempt | None:
        """The latest attempt at a question or at a follow-up."""

    async def record(self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime) -> bool:
        """Writes one turn whole: the changes, the messages owed for it and that it is done. False where it already was, or
        where another process has it in hand by now. Raises StoreStale where another turn of the learner came in between."""

    async def claim_due(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the daily question to up to `limit` learners whose time has come; returns how many were due."""

    async def composed(self, owed: Owed, reply: Reply | None, changes: Changes, now: datetime) -> bool:
        """Keeps what a delivery says before it is sent; None where nothing is to be said after all.

        False, and nothing is kept, where another process has it in hand by now. Raises StoreStale as `record` does."""

    async def claim(self, platforms: Sequence[str], now: datetime, limit: int, held: Collection[str] = ()) -> list[Owed]:
        """Messages ready to be sent, replies first and then oldest first, at most one a chat; they are now being sent.

        held: keys that the caller is itself still sending, however long that takes."""

    async def put_back(self, owed: Owed, again_at: datetime) -> None:
        """A claimed message was not begun: it is ready again from `again_at` on, and no try is counted."""

    async def next_at(self, platforms: Sequence[str]) -> datetime | None:
        """When the next message that waits may be sent, or None where none waits."""

    async def settle(
        self, owed: Owed, outcome: str, now: datetime, *, again_at: datetime | None = None, message: str = "", unsure: bool = False
    ) -> None:
        """Records what became of a message being sent: "sent" (with the platform's id), "retry" or "dead".

        Changes nothing where another process has it in hand by now. Waits for a database that is away."""

    async def released(self, platforms: Sequence[str]) -> None:
        """After a restart: what the last process was in the middle of sending is tried again. Where processes share the
        database that is found out by the leases alone."""

    async def hold(self, platforms: Sequence[str], updates: Collection[tuple[str, str]], messages: Collection[str], now: datetime) -> int:
        """Renews the leases of what this process is at work on - updates by (platform, key), messages by key - and says that it
        lives. Returns how many living processes send for the busiest of `platforms`, this one included."""

    async def holds(self, owed: Owed, now: datetime) -> bool:
        """Whether a claimed message is still in this process's hands; if so its lease begins anew."""

    async def unreachable(self, address: Address, now: datetime) -> None:
        """Stops deliveries to the learner at `address` until they write again."""

    async def tidy(self, now: datetime) -> None:
        """Forgets handled keys and sent messages that nobody can ask about any more."""

    async def count(self) -> dict[str, int]:
        """How many learners, attempts and messages in each state there are."""

    def listen(self, updates: Callable[[], None], messages: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Calls these, for as long as it is entered, when another process wrote updates or messages that wait."""

    async def close(self) -> None:
        """Gives back what this process has not finished, and ends the connections."""


class Adapter(Protocol):
    """One platform, as the engine sees it."""

    platform: str
    pace: Pace
    """How fast the platform may be written to."""

    async def send(self, address: Address, reply: Reply, key: str) -> str:
        """Sends and returns the platform's id of the (last) message.

        Raises SendLater, SendUnclear, SendRefused or AddressGone."""
