"""The desks that a message is brought to, each for one kind of business, and what they all work with.

A desk reads, decides and says what is to be written and said; the coach alone writes and sends.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Protocol

from bot.content import Library
from bot.incidents import Incident
from bot.messages import Message, Reply
from bot.model import Asked, Attempt, Changes, Dictation, Fate, Learner, Memory, Occasion, Practised
from bot.outbox import Owed
from bot.ports import Grader, Store, Venue
from bot.reports import Studio
from bot.speech import Listener
from bot.voices.speaker import Speaker


@dataclass(frozen=True, slots=True)
class Turn:
    """One message with everything that is needed to decide about it."""

    message: Message
    learner: Learner
    memory: Memory
    argument: str
    now: datetime
    new: bool
    spoken: Dictation | None = None
    """The voice note that a reply was said in."""

    @property
    def pace(self) -> str:
        """The line that says how a reply was spoken; "" where it was typed."""
        return self.spoken.pace if self.spoken is not None else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn decided: what to say and what to write."""

    replies: tuple[Reply, ...]
    learner: Learner | None = None
    asked: tuple[Asked, ...] = ()
    attempt: Attempt | None = None
    practised: Practised | None = None
    also: tuple[object, ...] = ()
    owed: tuple[Owed, ...] = ()
    """Messages to others, or for later, beside the replies."""


class Handler(Protocol):
    def __call__(self, turn: Turn) -> Awaitable[Outcome]: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What every desk works with. now: the time, UTC; rng: chance; new_id: a fresh id.

    venues: what each platform knows of its servers. owing: called whenever messages were written outside a turn."""

    store: Store
    library: Library
    grader: Grader
    now: Callable[[], datetime]
    rng: Random
    new_id: Callable[[], str]
    draw: Callable[[str], str] = secrets.choice
    """One letter of those given, by chance that nobody can guess."""
    venues: Mapping[str, Venue] = field(default_factory=dict)
    owing: Callable[[], None] = lambda: None
    studio: Studio = field(default_factory=Studio)
    """Where pictures are drawn."""
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    speaker: Speaker | None = None
    """What reads questions aloud."""
    listener: Listener | None = None
    """What hears voice notes."""


class Composer(Protocol):
    """Words a delivery just before it is sent: None and no changes where it is no longer wanted."""

    def __call__(self, owed: Owed, memory: Memory, now: datetime) -> Awaitable[tuple[Reply | None, Changes]]: ...


class Desk:
    """One kind of business.

    handlers: what it does, by command. expects: the values of `Learner.expecting` under which a typed text is brought to
    `typed`; what it is about may follow after a space. composes: the kinds of delivery that it words."""

    expects: frozenset[str] = frozenset()

    def __init__(self, tools: Tools) -> None:
        self.store, self.library, self.grader = tools.store, tools.library, tools.grader
        self.now, self.rng, self.new_id, self.draw = tools.now, tools.rng, tools.new_id, tools.draw
        self.venues, self.owing, self.studio = tools.venues, tools.owing, tools.studio
        self.speaker, self.listener = tools.speaker, tools.listener

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {}

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {}

    @property
    def involves(self) -> Mapping[str, Callable[[str], Awaitable[str]]]:
        """For commands that change another learner too: whose id follows from the argument, or "". That learner has no turn
        meanwhile."""
        return {}

    @property
    def while_open(self) -> Mapping[Occasion, Mapping[str, Handler]]:
        """What the commands mean instead while something asked on such an occasion is open; a reply to it goes to `reply`."""
        return {}

    async def reply(self, turn: Turn, text: str) -> Outcome:
        """A reply to what was asked on an occasion of `while_open`."""
        raise NotImplementedError

    async def typed(self, turn: Turn, text: str) -> Outcome | None:
        """What a text typed under `expects` means here; None where it is a reply to the open question after all."""
        raise NotImplementedError


def closing(memory: Memory, fate: Fate) -> tuple[Asked, ...]:
    """The open question, if there is one, with what became of it."""
    return (replace(memory.open, fate=fate),) if memory.open is not None else ()
