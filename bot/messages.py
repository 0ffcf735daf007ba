"""What crosses the border between the engine and a platform: who, what was said, and what the coach says back.

Text leaves the engine as spans, never as markup, so that a learner's words can't become formatting anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Address:
    """Where a learner is. All three are the platform's own opaque strings.

    platform: "console", "telegram" or "discord"; user: who; chat: where to write to them.
    """

    platform: str
    user: str
    chat: str


class Right(StrEnum):
    """What somebody may do in a server besides taking part."""

    MANAGE = "manage"
    """Change how the coach works there."""

    MODERATE = "moderate"
    """End what others began."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where many are together and the coach is a member: a server and a channel of it, both the platform's own opaque strings.

    rights: what the one who speaks may do there."""

    server: str
    channel: str
    rights: frozenset[Right] = frozenset()


@dataclass(frozen=True, slots=True)
class Recording:
    """A voice note or a sound file that came, as its platform describes it; what is in it is fetched later, if at all.

    reference: the platform's own opaque string, by which its adapter fetches it. size: bytes; seconds: its length; each None
    where the platform does not say. mime: its media type, or ""."""

    reference: str
    size: int | None = None
    seconds: float | None = None
    mime: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Something that a learner said, by typing or by tapping a button: the engine can't tell which, and need not.

    key: unique for ever on this platform, so that a repeated delivery is recognised.
    at: when the platform received it, UTC.
    private: False where others read along (a group).
    other: what came instead of text, in a word ("photo", "sticker", ""), when there was something else.
    language: the language that the platform reports for this person (IETF tag), or "".
    place: the server that it was said in; None in private, and where the coach is no member.
    name: what this person is called there, or "".
    given: what was filled in by name beside the text: a command's options, or what was typed after `Choice.asks` ("reply").
    recording: what was said aloud instead of a text; such a message goes to `Coach.hear`.
    """

    key: str
    address: Address
    text: str
    at: datetime
    private: bool = True
    other: str = ""
    language: str = ""
    place: Place | None = None
    name: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    recording: Recording | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is not UTC:
            raise ValueError("Message.at must be in UTC")


class Style(StrEnum):
    """How a span looks; a platform that can't draw one shows the plain text."""

    PLAIN = "plain"
    BOLD = "bold"
    ITALIC = "italic"
    QUOTE = "quote"
    CODE = "code"
    BLOCK = "block"
    MOMENT = "moment"
    """An instant as `moment` writes it, which a platform may show as the time that is left."""

    CHANNEL = "channel"
    """The id of a channel, which a platform shows by its name."""

    GROUP = "group"
    """The id of a group of people, which a platform shows by its name."""


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: `label` is read, `text` is what pressing it says (at most 64 bytes in UTF-8).

    asks: pressing it lets the person type, and what they typed is given along as "reply"."""

    label: str
    text: str
    asks: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.text.encode()) <= 64:
            raise ValueError("a choice says 1 to 64 bytes")


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as a platform hands it over.

    mime: what the platform says it is, or ""; what it really is, its first bytes tell. seconds: how long the platform says it
    is, or None where it says nothing."""

    data: bytes = field(repr=False)
    mime: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class File:
    """Something to look at or to keep, sent along with a reply.

    name: with its ending. says: in words what is in it, for who can't see it (at most 1000 characters). picture: a PNG or JPEG
    that is shown at once, and not only kept."""

    name: str
    data: bytes = field(repr=False)
    says: str
    picture: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]{1,60}", self.name) or not self.data or not 1 <= len(self.says) <= 1000:
            raise ValueError("a file has a plain name, something in it and 1 to 1000 characters that say what it is")


@dataclass(frozen=True, slots=True)
class VoiceNote:
    """Something said aloud, as chat platforms play it: one channel of Opus in an OGG file.

    seconds: its length. waveform: how loud it is from step to step, each 0..255, at most 256 of them."""

    data: bytes = field(repr=False)
    seconds: float
    waveform: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.data.startswith(b"OggS") or self.seconds <= 0 or not 1 <= len(self.waveform) <= 256:
            raise ValueError("a voice note is an OGG file that lasts some time and has 1 to 256 steps of a waveform")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the coach says: spans in order, then rows of buttons.

    files: what comes along, for one person only: never in what is posted where others read.
    calls: the id of a group of people whom this message calls, or "". Nobody else is ever called.
    typed: whether something may be typed in answer to it; where plain text is not read, a platform offers a form for it.
    aloud: what of it may also be read aloud, as a pack has it, or "". note: a voice note, which comes without words and buttons.
    """

    spans: tuple[Span, ...]
    choices: tuple[tuple[Choice, ...], ...] = ()
    calls: str = ""
    typed: bool = True
    files: tuple[File, ...] = ()
    aloud: str = ""
    note: VoiceNote | None = None

    @property
    def text(self) -> str:
        """The words alone, as a terminal or a test reads them."""
        return "".join(span.text for span in self.spans)

    def with_choices(self, *rows: Iterable[Choice]) -> Reply:
        return replace(self, choices=tuple(tuple(row) for row in rows))

    def read_aloud(self, *texts: str) -> Reply:
        return replace(self, aloud="\n\n".join(texts))

    def with_files(self, *files: File) -> Reply:
        return replace(self, files=files)


def bold(text: str) -> Span:
    return Span(text, Style.BOLD)


def italic(text: str) -> Span:
    return Span(text, Style.ITALIC)


def quote(text: str) -> Span:
    """Somebody's own words, always shown as theirs."""
    return Span(text, Style.QUOTE)


MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def moment(at: datetime) -> Span:
    """An instant (UTC), to the second."""
    return Span(at.strftime(MOMENT), Style.MOMENT)


def instant(span: Span) -> datetime:
    """The instant that `moment` wrote."""
    return datetime.strptime(span.text, MOMENT).replace(tzinfo=UTC)


def say(*parts: str | Span | Iterable[Span]) -> Reply:
    """A reply from strings and spans, in order."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, str):
            spans.append(Span(part))
        elif isinstance(part, Span):
            spans.append(part)
        else:
            spans.extend(part)
    return Reply(tuple(span for span in spans if span.text))


_MARKUP = re.compile(r"```(?:\w*\n)?(?P<block>.*?)\n?```|`(?P<code>[^`\n]+)`|\*\*(?P<bold>[^*\n]+)\*\*", re.DOTALL)


def markup(text: str) -> tuple[Span, ...]:
    """The spans of a pack's text, in which `code`, ```blocks``` and **bold** are understood. Never for a learner's words."""
    spans: list[Span] = []
    end = 0
    for match in _MARKUP.finditer(text):
        spans.append(Span(text[end : match.start()]))
        style = Style(match.lastgroup or "plain")
        spans.append(Span(match.group(match.lastgroup or 0), style))
        end = match.end()
    spans.append(Span(text[end:]))
    return tuple(span for span in spans if span.text)


def pages(spans: Iterable[Span], limit: int) -> list[tuple[Span, ...]]:
    """`spans` as pages of at most `limit` UTF-16 units (as chat platforms count), cut where a reader would: at a
    paragraph, else a line, else a sentence or word, and mid-word only where nothing else is left. A span that is cut
    keeps its style on both sides, so no markup is ever left open."""
    done: list[tuple[Span, ...]] = []
    page: list[Span] = []
    room = limit
    for span in spans:
        text = span.text
        while units(text) > room:
            cut = _cut(text, room, may_break=not page)
            head, text = text[:cut].rstrip(), text[cut:].lstrip("\n" if span.style is Style.BLOCK else None)
            if head:
                page.append(Span(head, span.style))
            if page:
                done.append(tuple(page))
            page, room = [], limit
        if text:
            page.append(Span(text, span.style))
            room -= units(text)
    if page:
        done.append(tuple(page))
    return done


def units(text: str) -> int:
    """Length in UTF-16 code units, in which Telegram and Discord's clients count."""
    return len(text) + sum(ch > "\uffff" for ch in text)


def _cut(text: str, room: int, *, may_break: bool) -> int:
    fits = 0
    used = 0
    for ch in text:
        used += 1 + (ch > "\uffff")
        if used > room:
            break
        fits += 1
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, 0, fits + 1)
        if at > (fits // 3 if may_break else 0):
            return min(at + len(mark), fits) if mark == ". " else at
    return fits if may_break else 0
