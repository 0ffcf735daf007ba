"""The sockets, on one page: what the engine asks of a database, a grader and a platform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.content import Rubric
from bot.messages import Address, Reply
from bot.model import (
    Appeal,
    Appealed,
    Asked,
    Attempt,
    Card,
    Changes,
    Dictation,
    Flag,
    Grade,
    Held,
    Interview,
    Investigation,
    LinkCode,
    Mark,
    Memory,
    Sure,
)
from bot.outbox import Dead, Lane, Owed, Pace
from bot.owners import Broadcast, Day, Progress, Vitals
from bot.rounds import Entry, Round, Setup, Total

grading_for: ContextVar[str] = ContextVar("grading_for", default="")
"""The learner whose reply is being graded; a grader that has a budget for each counts by it."""


class Grader(Protocol):
    """A way of judging a reply."""

    @property
    def name(self) -> str:
        """Engine and version, as it stands in `Grade.graded_by`."""

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        """The grade of `reply`. Never raises for anything that a learner can write; the same reply, the same grade."""


class AppealStore(Protocol):
    """Appeals and flags; they are written through `Changes.also`."""

    async def appeals(self, attempt: str) -> tuple[Appeal, ...]:
        """The appeals about an attempt, in order."""

    async def appealed(self) -> tuple[Appealed, ...]:
        """How often each point was appealed, those with most appeals first."""

    async def flag(self, learner: str, id: str) -> Flag | None: ...

    async def flags_since(self, learner: str, since: datetime) -> int:
        """How many flags this learner has raised after `since`."""

    async def flags(self) -> tuple[Flag, ...]:
        """Every flag, gathered by question, in order."""


class LinkStore(Protocol):
    """Addresses, and the codes that link them; codes, tries, joining and parting are written through `Changes.also`."""

    async def whose(self, address: Address) -> str:
        """The id of the learner at `address`, or ""."""

    async def addresses(self, learner: str) -> tuple[Address, ...]:
        """Where this learner has written from."""

    async def link_code(self, fingerprint: str) -> LinkCode | None:
        """The code with this fingerprint, expired or not; None where there is none, or it was used."""

    async def link_tries(self, learner: str, address: Address, since: datetime) -> list[datetime]:
        """When wrong codes were sent by this learner, or from this address, after `since`."""


class CardStore(Protocol):
    """Cards; they are written through `Changes.also`."""

    async def cards(self, learner: str) -> tuple[dict[str, Card], list[Attempt]]:
        """The learner's cards by question, and the attempts that are in none of them yet, in order."""


class WholeStore(Protocol):
    """All of one learner; forgetting is written through `Changes.also`."""

    async def everything(self, learner: str) -> dict[str, list[dict[str, Any]]]:
        """Every row that is kept of a learner, by table, as JSON knows values."""


class OwnerStore(Protocol):
    """What the owner sees, and messages to everybody; they are written, and sent out, through `Changes.also`."""

    async def vitals(self, since: datetime, now: datetime) -> Vitals:
        """How the coach is; what is counted by the day is counted since then."""

    async def per_day(self, now: datetime, many: int) -> list[Day]:
        """So many days by UTC, today first."""

    async def audience(self, now: datetime) -> tuple[int, int]:
        """How many learners get what goes to everybody, and how many don't."""

    async def broadcast(self, id: str) -> Broadcast | None: ...

    async def broadcasts(self, most: int) -> list[Progress]:
        """The latest that were sent, with what became of them."""


class DictationStore(Protocol):
    """What was heard of voice notes; it is written through `Changes.also`."""

    async def dictation(self, learner: str) -> Dictation | None:
        """What was heard of the learner's latest voice note."""


class Weeks(Protocol):
    """Weekly messages."""

    async def claim_weeks(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the weekly message to up to `limit` learners whose time has come, and who practised lately enough, and moves each
        to their next time, in one query for all of them. Returns how many were due."""

    async def looked_back(self, learner: str, since: datetime, until: datetime) -> list[Attempt]:
        """The attempts up to `until` of the week from `since` on and of the one before it, and all earlier ones at the questions
        of that week, in order."""


class Rounds(Protocol):
    """What is remembered of rounds."""

    async def round(self, id: str) -> Round | None: ...

    async def rounds_open(self, platform: str, server: str) -> list[Round]:
        """The rounds of a server that are open, the one that closes next first."""

    async def entry(self, round: str, member: str) -> Entry | None: ...

    async def entries(self, round: str) -> list[Entry]: ...

    async def replied(self, round: str) -> int:
        """How many entries a round has."""

    async def setup(self, platform: str, server: str) -> Setup | None: ...

    async def asked_there(self, platform: str, server: str) -> dict[str, datetime]:
        """When each question was last asked in a server."""

    async def hidden(self, platform: str, members: Collection[str]) -> frozenset[str]:
        """Those of `members` who are shown without a name."""

    async def totals(self, platform: str, server: str, since: datetime | None) -> list[Total]:
        """What members who are not hidden earned in the rounds of a server that closed since then and had replies enough."""

    async def setups_due(self, platforms: Sequence[str], now: datetime, limit: int) -> list[Setup]:
        """The servers whose daily question's time has come."""

    async def begin(self, was_due: datetime, setup: Setup, opened: Round | None, owed: Owed | None, now: datetime) -> bool:
        """Moves a server on to its next time and opens its daily round, once: False where its due time is another one now."""

    async def boards_due(self, platforms: Sequence[str], now: datetime, limit: int) -> list[Setup]:
        """The servers whose weekly board's time has come."""

    async def owe_board(self, was_due: datetime, setup: Setup, owed: Owed | None, now: datetime) -> bool:
        """Moves a server on to its next board and owes this one, once: False where its time is another one now."""

    async def close_rounds(self, platforms: Sequence[str], now: datetime) -> int:
        """Closes the rounds whose time is over; returns how many."""

    async def ungraded(self, platforms: Sequence[str], limit: int) -> list[tuple[Entry, str, str]]:
        """Entries without a grade, each with its question and its learner ("" where unknown), in the order of the closes."""

    async def mark(self, entry: Entry, grade: Grade) -> None:
        """Keeps the grade of an entry, unless it was replaced meanwhile."""

    async def closing(self, platforms: Sequence[str], now: datetime) -> list[str]:
        """The closed rounds of which every entry is graded and whose reveal is due."""

    async def owe_reveal(self, id: str, now: datetime) -> bool:
        """Owes the reveal of a closed round, once, and counts its entries as attempts; False where it is not to be owed (yet)."""

    async def unposted(self, changed: Round, setup: Setup | None, notice: Owed | None, now: datetime) -> None:
        """Keeps what follows from a post that failed; a notice that was owed before is not owed again."""


class InterviewStore(Protocol):
    """Mock interviews and investigations; they are written through `Changes.also`."""

    async def interview(self, learner: str) -> Interview | None:
        """The interview that this learner is in, or has paused."""

    async def interviews(self, learner: str) -> tuple[Interview, ...]:
        """Those that are over, the first one first."""

    async def held(self, interviews: Sequence[str]) -> dict[str, tuple[Held, ...]]:
        """What was asked in each of these interviews, in order, with the replies."""

    async def investigation(self, learner: str, asked: str) -> Investigation | None: ...

    async def sure(self, learner: str) -> list[tuple[Sure, int]]:
        """How sure the learner said they were, and the score (0..100) of that reply, in order."""

    async def owe_nudges(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the reminders of the time whose time has come, each once; returns how many."""


class Venue(Protocol):
    """What a platform knows of the servers that the coach is a member of."""

    async def lacking(self, server: str, channel: str, calls: str) -> tuple[str, ...] | None:
        """The permissions that the coach needs in a channel, to call this group too, and lacks: as the platform names them.

        () where it lacks none, None where nobody can say: the channel is gone, say."""

    async def present(self, server: str, members: Sequence[str]) -> frozenset[str]:
        """Those of `members` who are still there, or of whom nobody can say."""


class Store(AppealStore, CardStore, DictationStore, LinkStore, InterviewStore, OwnerStore, Rounds, Weeks, WholeStore, Protocol):
    """What the coach remembers. Every time is UTC; every method is one transaction; safe for concurrent tasks.

    Raises StoreError, and StoreBusy where trying again may help.
    """

    shared: bool
    """Whether other processes may work on the same database."""

    lease: timedelta
    """How long work stays with a process that is not heard of any more."""

    async def take(
        self, platform: str, updates: Sequence[tuple[str, str]], now: datetime, whose: Mapping[str, str] | None = None,
        room: int = 1 << 30, read: Mapping[str, tuple[str, str]] | None = None,
    ) -> list[str]:  # fmt: skip
        """Keeps (key, raw) updates of a platform until they are done; returns the keys that were new.

        read: what this says of how far private chats were read, as in `chats`; it is kept in the same transaction.

        whose: the person behind each key; one person's updates are handled one after the other, whichever processes do so.
        room: how many of them this process has time for; the others wait for whoever picks them up."""

    async def chats(self, platform: str, most: int) -> dict[str, tuple[str, str]]:
        """The private chats that are known, those used last at the end: who to (chat, the last message that was read)."""

    async def pick_up(self, platform: str, now: datetime, most: int, but: Collection[str] = ()) -> list[tuple[str, str]]:
        """The oldest (key, raw) update of each person that no living process is at work on; this process is, from now on.

        but: people whose updates are left where they are."""

    async def ours(self, platform: str, key: str) -> bool:
        """Whether the message with this key is to be handled here and now: not done, in no other hands, and none of the same
        person's before it. A message that was never taken is."""

    async def ahead(self, platform: str, key: str) -> int | None:
        """How many updates of the same person were taken before this one and are not done; None where it does not wait here."""

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

    async def marks(self, learner: str) -> tuple[Mark, ...]:
        """What bears on the learner's streak beside practice, in order."""

    async def last_attempt(self, learner: str) -> Attempt | None:
        """The latest attempt at a question or at a follow-up."""

    async def record(
        self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime,
        begin: Callable[[Owed], None] | None = None,
    ) -> bool:  # fmt: skip
        """Writes one turn whole: the changes, the messages owed for it and that it is done. False where it already was, or
        where another process has it in hand by now. Raises StoreStale where another turn of the learner came in between.

        begin: who sends the first of the messages at once. It is written as being sent and then handed over, unless something
        else goes first in its chat."""

    async def claim_due(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the daily question to up to `limit` learners whose time has come; returns how many were due."""

    async def reschedule(self, now: datetime) -> int:
        """After the clock was set back: brings back what was put into a future that is none. Returns how many learners had been."""

    async def excuse(self, mark: Mark) -> None:
        """Keeps that the coach failed a learner on a day. Raises StoreRefused where there is no such learner any more."""

    async def composed(self, owed: Owed, reply: Reply | None, changes: Changes, now: datetime) -> bool:
        """Keeps what a delivery says before it is sent; None where nothing is to be said after all.

        False, and nothing is kept, where another process has it in hand by now. Raises StoreStale as `record` does."""

    async def claim(
        self, platforms: Sequence[str], now: datetime, limit: int, held: Collection[str] = (), lanes: Collection[Lane] = tuple(Lane)
    ) -> list[Owed]:
        """Messages of these lanes ready to be sent, replies first and then oldest first, at most one a chat; they are now being sent.

        held: keys that the caller is itself still sending, however long that takes."""

    async def put_back(self, owed: Owed, again_at: datetime) -> None:
        """A claimed message was not begun: it is ready again from `again_at` on, and no try is counted."""

    async def next_at(self, platforms: Sequence[str]) -> datetime | None:
        """When the next message that waits may be sent, or None where none waits."""

    async def settle(
        self, owed: Owed, outcome: str, now: datetime, *, again_at: datetime | None = None, message: str = "", unsure: bool = False,
        untried: bool = False, reason: str = "",
    ) -> None:  # fmt: skip
        """Records what became of a message being sent: "sent" (with the platform's id), "retry" (untried: this try does not
        count), "gone" (nobody is there any more) or "dead" (given up, with the reason).

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

    async def dead(self, limit: int = 100) -> tuple[Dead, ...]:
        """Messages that were given up, the latest first."""

    async def count(self) -> dict[str, int]:
        """How many learners, attempts and messages in each state there are."""

    async def queues(self, platforms: Sequence[str], now: datetime) -> dict[tuple[str, str], int]:
        """What waits, by (queue, platform): "replies" and "deliveries" to be sent, those of both that are "due", and "updates"."""

    def listen(self, updates: Callable[[], None], messages: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Calls these, for as long as it is entered, when another process wrote updates or messages that wait."""

    async def close(self) -> None:
        """Gives back what this process has not finished, and ends the connections."""


class Sender(Protocol):
    """Who sends to one platform, as the coach sees it: a reply that is begun at once need not be looked for."""

    def expects(self, key: str) -> bool:
        """Whether it would begin to send one more reply now. If so it is expected under this key, and a place is kept for it."""

    def begin(self, owed: Owed) -> None:
        """Sends a message that was expected and is written as being sent."""

    def begun(self, key: str) -> bool:
        """Whether a message that was expected came; where it did not, its place is free again."""


class Adapter(Protocol):
    """One platform, as the engine sees it. It may have a method `ping`, which says whether the platform answers at the moment:
    after a fault that is asked before anything else is sent."""

    platform: str
    pace: Pace
    """How fast the platform may be written to."""

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        """Sends and returns the platform's id of the (last) message.

        since: where an earlier try of this message, made after that instant, may have arrived. A platform that can find out
        whether it did sends nothing twice.

        Raises SendLater, SendUnclear, SendRefused (NotAllowed where a permission is missing) or AddressGone."""
