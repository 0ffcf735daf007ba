"""What the coach remembers, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum

from bot.messages import Address


class Finding(StrEnum):
    """What a grader found of one point."""

    COVERED = "covered"
    PARTLY = "partly"
    MISSING = "missing"
    CONTRADICTED = "contradicted"
    CANNOT_TELL = "cannot tell"


DOUBT = 0.3
"""Chance of a contradiction from which it counts although the finding is another; chosen on the dev replies."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One point's finding. `start` and `end` locate the quote in the reply; both are None where there is none.

    strength: how much of the point's weight is earned, 0..1. sure: how sure the grader is of the finding, 0..1.
    helped: True where the learner only said it after a follow-up. doubt: the chance, 0..1, that the reply says the opposite
    although the finding is another one.
    """

    point: str
    finding: Finding
    quote: str = ""
    start: int | None = None
    end: int | None = None
    strength: float = 0.0
    helped: bool = False
    sure: float = 1.0
    doubt: float = 0.0

    def __post_init__(self) -> None:
        located = self.start is not None and self.end is not None and self.end > self.start and bool(self.quote)
        if self.finding in (Finding.COVERED, Finding.PARTLY, Finding.CONTRADICTED) and not located:
            raise ValueError(f"{self.finding} needs a located quote")
        if not (0.0 <= self.strength <= 1.0 and 0.0 <= self.sure <= 1.0 and 0.0 <= self.doubt <= 1.0):
            raise ValueError("strength, sure and doubt are between 0 and 1")

    @property
    def doubted(self) -> bool:
        """Whether the doubt is large enough to count."""
        return self.doubt > DOUBT


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A misconception that the reply states, with the words that state it, and how sure the grader is of it, 0..1."""

    misconception: str
    quote: str
    start: int
    end: int
    sure: float = 1.0


@dataclass(frozen=True, slots=True)
class Grade:
    """What a grader found.

    score: 0..100, or None where the grader can't tell (another language, say).
    graded_by: engine and version, such as "plain 1".
    note: a short reason for an unusual grade ("empty", "language", "instructions", "cut"), else "".
    """

    score: int | None
    verdicts: tuple[Verdict, ...]
    misconceptions: tuple[Mistaken, ...]
    graded_by: str
    note: str = ""

    def verdict(self, point: str) -> Verdict | None:
        return next((verdict for verdict in self.verdicts if verdict.point == point), None)


@dataclass(frozen=True, slots=True)
class Learner:
    """A person who practises.

    home: where the coach writes on its own; its chat is "" for somebody who is only known from a group. zone: IANA name.
    minute: the daily question's local time, minutes after midnight 0..1439, None for no daily question. tracks: syllabus ids,
    empty for all of them. level: 1..5. paused_until: first local day of practice again, None when not paused, date.max until
    they say so. expecting: the set-up step whose answer is awaited ("zone", "time", "tracks", "level"), the setting that is
    being changed by itself ("place", "hour"), "appeal" with an attempt and a point, "flag", "heard" with the id of what was
    heard, or "". reachable: False after the platform said that the person can't be written to. rest: weekdays, 0 Monday to 6
    Sunday, without a daily question, which break no streak. interview_on: the local day of the interview that they prepare for.
    aloud: whether questions are read aloud beside the text. at_once: whether a voice note is graded without being confirmed.
    week_day, week_minute: when the weekly message comes, 0 Monday to 6 Sunday and minutes after midnight; None for none.
    """

    id: str
    joined_at: datetime
    home: Address
    zone: str = "UTC"
    minute: int | None = None
    tracks: frozenset[str] = frozenset()
    level: int = 3
    paused_until: date | None = None
    expecting: str = ""
    reachable: bool = True
    next_due_at: datetime | None = None
    rest: frozenset[int] = frozenset()
    interview_on: date | None = None
    week_day: int | None = 6
    week_minute: int = 18 * 60
    next_week_at: datetime | None = None
    aloud: bool = False
    at_once: bool = False


class Occasion(StrEnum):
    """Why a question was asked."""

    DAILY = "daily"
    CHOSEN = "chosen"
    FOLLOWUP = "followup"
    ROUND = "round"
    INTERVIEW = "interview"
    INCIDENT = "incident"


class Fate(StrEnum):
    """What became of a question that was asked."""

    OPEN = "open"
    ANSWERED = "answered"
    SKIPPED = "skipped"
    SHOWN = "shown"
    REPLACED = "replaced"
    CANCELLED = "cancelled"


class Sure(IntEnum):
    """How sure a learner is of a reply."""

    UNSAID = 0
    GUESSING = 1
    THINK_SO = 2
    SURE = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A question put to a learner. At most one of a learner's is open.

    wording: 0 the prompt, 1 and 2 the other wordings. followup: its id where this is a follow-up to `attempt`, or, without
    one, where a question came back for one point. reason: why it was chosen, or "" where it was asked for by name. focus: the
    point that it came back for, or "".
    interview: the mock interview that it belongs to, or "". sure: how sure the learner says they are, before a grade is shown.
    """

    id: str
    learner: str
    question: str
    occasion: Occasion
    at: datetime
    wording: int = 0
    followup: str = ""
    attempt: str = ""
    hints: int = 0
    fate: Fate = Fate.OPEN
    reason: str = ""
    focus: str = ""
    interview: str = ""
    sure: Sure = Sure.UNSAID


class Reason(StrEnum):
    """Why the coach chose a question."""

    DUE = "due"
    WEAK = "weak"
    NEW = "new"
    EARLY = "early"
    """Nothing else was left: the one that is known least surely."""


@dataclass(frozen=True, slots=True)
class Lately:
    """What choosing needs of a question that was asked: `followup` and `reason` as in `Asked`."""

    question: str
    at: datetime
    wording: int = 0
    followup: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PointRecord:
    """How a learner fared with one point of a question: so often asked for, so often missed, and what was found last."""

    point: str
    asked: int
    missed: int
    last: Finding


@dataclass(frozen=True, slots=True)
class Card:
    """A question as one learner remembers it; due, stability (days) and difficulty (1..10) as FSRS uses the words.

    reviewed_at: the last review. seen_at: the last attempt that is in it. score: the last one of the whole question, 0..100.
    lapses: reviews that had to begin again.
    """

    learner: str
    question: str
    due: datetime
    reviewed_at: datetime
    seen_at: datetime
    stability: float
    difficulty: float
    score: int
    reviews: int = 0
    lapses: int = 0
    points: tuple[PointRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reply and its grade, kept for ever. spoken: whether it was said in a voice note."""

    id: str
    learner: str
    asked: str
    question: str
    followup: str
    text: str
    at: datetime
    hints: int
    grade: Grade
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class Practised:
    """An entry of the streak ledger: that the learner practised, at which instant and in which zone.

    followup: whether it was by a follow-up, which keeps the day but is not a question of its own."""

    at: datetime
    zone: str
    followup: bool = False


class MarkKind(StrEnum):
    """What bears on a streak beside practice, each with what `Mark.about` says."""

    ZONE = "zone"
    """Another zone holds from now on; the one before."""

    REST = "rest"
    """These weekdays are for resting from now on; their digits, 0 Monday to 6 Sunday."""

    PAUSED = "paused"
    """A pause begins; the first day of practice again, or "" for until they say so."""

    RESUMED = "resumed"
    """The pause is over; ""."""

    EXCUSED = "excused"
    """The coach itself failed the learner on a day; that day."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the streak ledger that is no practice: what happened, at which instant and in which zone. Days are ISO dates."""

    learner: str
    at: datetime
    zone: str
    kind: MarkKind
    about: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What choosing and progress need of one earlier attempt."""

    question: str
    at: datetime
    score: int | None
    followup: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """All that the coach recalls of one learner to handle one message."""

    learner: Learner | None
    open: Asked | None = None
    past: tuple[Past, ...] = ()
    lately: tuple[Lately, ...] = ()
    """The latest questions and follow-ups that were asked, oldest first."""
    practised: tuple[Practised, ...] = ()
    turn: int = 0
    """How many turns of the learner had been written when this was read."""

    @property
    def asked_lately(self) -> tuple[tuple[str, datetime], ...]:
        """The questions that were asked, without follow-ups to them, each with its time."""
        return tuple((one.question, one.at) for one in self.lately if not one.followup or one.reason)

    @property
    def seen(self) -> tuple[str, int] | None:
        """What `Changes.seen` says of this memory."""
        return (self.learner.id, self.turn) if self.learner is not None else None


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one turn writes, in one transaction."""

    learner: Learner | None = None
    asked: tuple[Asked, ...] = ()
    attempt: Attempt | None = None
    practised: Practised | None = None
    also: tuple[object, ...] = ()
    """Anything else that a table keeps (see `bot.database.rows.row_of`); written over what has the same key."""
    seen: tuple[str, int] | None = None
    """The learner's id and the number of turns that this one builds on: written only where no other came in between."""


class Ruling(StrEnum):
    """How an appeal ended."""

    RAISED = "raised"
    KEPT = "kept"
    CONTRARY = "contrary"
    """The words say the opposite, or state a misconception."""
    REFUSED = "refused"
    """The words are no evidence at all: an instruction, a heap of keywords, the question said back."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """That a learner pointed at words of theirs which, they say, make a point; and what became of it.

    start, end: the place of `span` in the attempt's text. old: the grade before. copied: True in the copy of a history that
    was parted from another address, where it is counted once only.
    """

    attempt: str
    point: str
    span: str
    start: int
    end: int
    before: Finding
    after: Finding
    at: datetime
    ruling: Ruling
    old: Grade
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Appealed:
    """How often learners appealed about one point of a question or (with `followup`) of a follow-up, and how often it was raised."""

    question: str
    followup: str
    point: str
    appeals: int
    raised: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A learner says that something is wrong with a question, or with the grade of `attempt` where that is not "".

    attempt_before: the attempt that could have been meant instead, or ""."""

    id: str
    learner: str
    question: str
    followup: str
    reason: str
    at: datetime
    attempt: str = ""
    attempt_before: str = ""


@dataclass(frozen=True, slots=True)
class LinkCode:
    """That whoever sends a certain code until `expires_at` is the learner who asked for it at `address`. A learner has one."""

    fingerprint: str
    learner: str
    address: Address
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkTry:
    """That somebody sent a code that does not hold."""

    learner: str
    address: Address
    at: datetime


@dataclass(frozen=True, slots=True)
class Joined:
    """Two learners become one: all that `loser` has goes to `learner`, nothing twice, and the code is used up.

    loser: "" for somebody new. learner: as it is afterwards. at: now."""

    learner: Learner
    loser: str
    fingerprint: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Parted:
    """The person at `address` becomes a `learner` of their own, with a copy of all that `old` has.

    at: now."""

    old: str
    learner: Learner
    address: Address
    at: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Everything that is kept of a learner is deleted, at all of their addresses."""

    learner: str


class Format(StrEnum):
    """What kind of interview a company gives."""

    SCREENING = "screening"
    DEEP = "deep"
    DESIGN = "system-design"


class State(StrEnum):
    """Where a mock interview is."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Interview:
    """A mock interview. What was asked in it and replied are Asked and Attempts that name it.

    address: where it is held. track: a syllabus id, or "" for all. minutes: planned. level: the learner's, 1..5. real: no
    feedback until the end. nudge_at: when the learner is reminded of the time, once for each question; None where not.
    """

    id: str
    learner: str
    address: Address
    started_at: datetime
    track: str = ""
    minutes: int = 30
    level: int = 3
    format: Format = Format.DEEP
    real: bool = False
    state: State = State.RUNNING
    ended_at: datetime | None = None
    nudge_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """The reply to one of the questions that end an investigation, and its grade."""

    stage: str
    text: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class Investigation:
    """How far an incident has been investigated.

    asked: the Asked that it belongs to. looks: what the learner wrote while looking; found: the clues, in order. hints: how many
    were given. idle: messages in a row that found nothing. concluding: whether the looking is over. closed: it was ended early,
    or is over.
    """

    id: str
    learner: str
    asked: str
    incident: str
    at: datetime
    looks: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    hints: int = 0
    idle: int = 0
    concluding: bool = False
    staged: tuple[Staged, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that was asked in a mock interview, with the reply to it where there is one."""

    asked: Asked
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Dictation:
    """What was heard of a learner's latest voice note, until they have said what is to become of it.

    id: names it among the learner's; there is one at a time. asked: the question that it answers. text: "" once it is done with.
    at: when the voice note came. pace: the line that says how it was spoken, or ""."""

    learner: str
    id: str
    asked: str
    text: str
    at: datetime
    pace: str = ""
