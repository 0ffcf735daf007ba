"""What an interviewer says: short, and never the same line twice in a row."""

from __future__ import annotations

from collections.abc import Sequence

from bot.content import Followup, Library, Question
from bot.course import length
from bot.interviews import Chosen
from bot.messages import Choice, Reply, bold, italic, markup, quote, say
from bot.model import Asked, Format, Interview, Sure
from bot.phrases import NEXT, SURE, shorten, sure, taken_up

FORMATS = {Format.SCREENING: "screening", Format.DEEP: "deep interview", Format.DESIGN: "system design interview"}

ON = (
    "Noted. Something else.",
    "All right. Next.",
    "Let us move on.",
    "Good, I have that. Another one.",
    "Thank you. On to the next.",
    "Understood. Let me ask you this.",
    "Moving on.",
    "I have written that down.",
)
OPENINGS = ("Let us begin.", "Take a breath; here we go.", "Ready when you are. The first one.", "We start simply.")
NUDGES = (
    "Time for this one is nearly up. Say what you have; a reply that comes late still counts.",
    "A look at the clock: finish this thought when you can. I still take your reply.",
    "We should move on soon. Your main point is enough, and it counts whenever it comes.",
)
RETURNS = ("We were here:", "Back to where we stopped:", "You left off at this one:")


def line(lines: Sequence[str], seed: str, number: int) -> str:
    """One of `lines`: another one than for the number before, and another beginning for each interview."""
    return lines[(sum(map(ord, seed)) + number) % len(lines)]


def begun(one: Interview, library: Library) -> Reply:
    """The first message."""
    track = library.syllabus.tracks.get(one.track, "all interviews")
    count = length(one.minutes, one.format)
    mode = "You hear nothing about your replies until the end." if one.real else "After each reply you see its grade."
    other = Choice("Practice mode" if one.real else "Real mode", f"/mock {_again(one, real=not one.real)}")
    return say(
        bold(f"Mock interview · {FORMATS[one.format]} · {one.minutes} minutes"),
        f"\n{track}, level {one.level}, {count} questions. {mode} /pause rests it, /cancel ends it.\n",
        line(OPENINGS, one.id, 0),
    ).with_choices([other])


def _again(one: Interview, *, real: bool) -> str:
    return " ".join(
        part for part in (one.track, str(one.minutes), f"level{one.level}", one.format.value, "real" if real else "practice") if part
    )


def unclear(asked: str, library: Library) -> Reply:
    tracks = ", ".join(library.syllabus.tracks)
    return say(
        "I don't know what ",
        quote(shorten(asked, 40)),
        f" means here. Tracks: {tracks}. Minutes: 10 to 120. Level: 1 to 5. ",
        "Kinds: screening, deep, system-design. Add “real” for no feedback until the end.",
    ).with_choices(
        [Choice("Screening", "/mock 15 screening"), Choice("Deep", "/mock 30 deep"), Choice("System design", "/mock 45 system-design")]
    )


def nothing_to_ask() -> Reply:
    return say("I have no questions for that interview. /mock alone takes them from everything.").with_choices(
        [Choice("Mock interview", "/mock")]
    )


def question(interview: Interview, asked: Asked, one: Question, number: int, library: Library) -> Reply:
    total = max(number, length(interview.minutes, interview.format))
    head = bold(f"Question {number} of {total} · {library.syllabus.sections[one.section]}")
    words = one.wording(asked.wording)
    return say(head, "\n\n", markup(words)).with_choices(*choices(interview, asked, help=True)).read_aloud(words)


def follow_up(interview: Interview, asked: Asked, one: Followup, chosen: Chosen | None) -> Reply:
    asks = say(bold("Follow-up"), "\n\n", *taken_up(chosen), markup(one.prompt)).read_aloud(one.prompt)
    return asks.with_choices(*choices(interview, asked, help=False))


def choices(interview: Interview, asked: Asked, *, help: bool) -> list[list[Choice]]:
    rows = [[Choice("Skip", f"/skip {asked.id}"), Choice("Pause", "/pause")], sure(asked)]
    if help and not interview.real:
        rows[0].insert(0, Choice("Hint", f"/hint {asked.id}"))
    return rows


def sure_noted(level: Sure) -> Reply:
    return say(f"Noted: {SURE[level].lower()}. I compare it with the grade.")


def too_late_for_sure() -> Reply:
    return say("You know the grade of that one already, so it says nothing any more how sure you are.")


def returned(one: Interview, number: int) -> Reply:
    return say(line(RETURNS, one.id, number))


def only_english() -> Reply:
    return say("I can only follow English here. The question stays open: say it in English, or /skip.")


def asks_you() -> Reply:
    return say("That is what I am asking you. Say what you think, even half of it; or /skip. The report says what a strong reply has.")


def after_the_interview() -> Reply:
    return say("Not during an interview. The report at the end has it; /skip leaves this question.")


def no_hint() -> Reply:
    return say("No hints in real mode. Say what you have, or /skip.")


def in_an_interview() -> Reply:
    return say("You are in a mock interview. /pause rests it, /cancel ends it; then I am yours.").with_choices(
        [Choice("Pause", "/pause"), Choice("End it", "/cancel")]
    )


def paused() -> Reply:
    return say("Paused. /mock goes on at this very question, whenever you like.").with_choices([Choice("Go on", "/mock")])


def waits() -> Reply:
    return say("Your mock interview is waiting at the question where you left it.").with_choices(
        [Choice("Go on", "/mock"), Choice("End it", "/cancel")]
    )


def cancelled(replies: int) -> Reply:
    if not replies:
        return say("The interview is cancelled.").with_choices([NEXT])
    return say("The interview is cancelled. What you replied is kept, and its report too.").with_choices([Choice("Report", "/report")])


def nudge(one: Interview, number: int) -> Reply:
    return say(italic(line(NUDGES, one.id, number)))


def next_line(one: Interview, number: int) -> str:
    return line(ON, one.id, number)


def skipped() -> str:
    return "Skipped: it counts as unanswered, not as wrong."
