"""Whoever runs the coach: who that is, what they see of it - numbers - and the messages that they send to everybody."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from bot.messages import Address
from bot.model import Learner

LONGEST = 3000
"""Characters of a message to everybody."""

STILL = timedelta(seconds=60)
"""How old the last tick may be; one comes each second."""

CROWDED = 100
"""Messages that are due now and not sent yet from which on something may be wrong."""

LEAST_ROOM = 200_000_000
"""Bytes that a disk should have left."""


def owners(text: str) -> frozenset[tuple[str, str]]:
    """The owners that a list such as "telegram:123, discord:456" names, each as a platform and a chat or user there. Raises
    ValueError where it is no such list."""
    found = set()
    for one in re.split(r"[,\s]+", text.strip()):
        if one:
            match = re.fullmatch(r"([a-z]+):([^:\s]+)", one)
            if match is None:
                raise ValueError("is a list such as telegram:123,discord:456")
            found.add((match[1], match[2]))
    return frozenset(found)


def owns(address: Address, private: bool, known: Collection[tuple[str, str]]) -> bool:
    """Whether somebody is an owner where they speak: in private only, as others read along in a group."""
    return private and any((address.platform, id) in known for id in (address.user, address.chat))


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the coach is, in numbers.

    learners: all of them; new: since the beginning of the day; replies: since then. due: learners whose question's time has come.
    updates: taken and not handled yet. waiting: replies due and not sent yet; bulk: the same of what the coach sends on its own;
    later: messages owed for later. dead: given up. bytes: size of the database; room: bytes left on its disk, None where that
    is not here. schema: the revision. kind: of database."""

    learners: int
    new: int
    replies: int
    due: int
    updates: int
    waiting: int
    bulk: int
    later: int
    dead: int
    bytes: int
    room: int | None
    schema: str
    kind: str


@dataclass(frozen=True, slots=True)
class Process:
    """What only the process itself knows. uptime: since its start; ticked: when the last tick ended, None for none yet."""

    version: str
    grader: str
    uptime: timedelta
    ticked: datetime | None


@dataclass(frozen=True, slots=True)
class Day:
    """One day, by UTC: who joined, how many learners replied, and how often."""

    day: date
    joined: int
    active: int
    replies: int


class Stage(StrEnum):
    """How far a message to everybody is."""

    DRAFT = "draft"
    SENT = "sent"
    STOPPED = "stopped"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to every learner who has not stopped. at: when it was written, and from then on when it was sent."""

    id: str
    text: str
    at: datetime
    stage: Stage = Stage.DRAFT


@dataclass(frozen=True, slots=True)
class SendOut:
    """In `Changes.also`: a draft goes to everybody, once, however often that is said. at: now."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of a message to everybody: how many learners it was owed to, and of these."""

    broadcast: Broadcast
    owed: int
    sent: int
    waiting: int
    failed: int


def gets(learner: Learner, today: date) -> bool:
    """Whether a learner gets what goes to everybody: not who can't be reached, rests, or wants nothing from the coach's own side."""
    resting = learner.paused_until is not None and learner.paused_until > today
    silent = learner.minute is None and learner.week_day is None
    return learner.reachable and bool(learner.home.chat) and not resting and not silent


def worries(vitals: Vitals, process: Process, now: datetime) -> list[str]:
    """What somebody should look at, in a few words each."""
    found = []
    if process.ticked is None or now - process.ticked > STILL:
        found.append("the clock stands still")
    if vitals.dead:
        found.append(f"{vitals.dead} message{'s' * (vitals.dead != 1)} given up")
    if vitals.waiting + vitals.bulk + vitals.updates >= CROWDED:
        found.append("much waits to be sent")
    if vitals.room is not None and vitals.room < LEAST_ROOM:
        found.append("the disk is nearly full")
    return found
