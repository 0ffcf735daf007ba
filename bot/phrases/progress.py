"""What the coach says of where a learner stands."""

from __future__ import annotations

from collections.abc import Sequence

from bot.content import Library
from bot.messages import Reply, bold, markup, say
from bot.phrases import NEXT, Parts, shorten
from bot.phrases.reviews import WEAK
from bot.phrases.streaks import in_a_row
from bot.progress import Stand, Standing, Sure, Weak

POINTS = 2
"""Missed points that are shown of a weak question."""


def nothing_yet() -> Reply:
    return say("Nothing graded yet. Your first question is one tap away.").with_choices([NEXT])


def progress(standing: Stand, replies: int, streak: int, weakest: Sequence[Weak], due: tuple[int, int], library: Library) -> Reply:
    """due: how many questions are due, and how many of them belong to today."""
    parts: Parts = [bold(f"{replies} {'reply' if replies == 1 else 'replies'} graded"), f" · {in_a_row(streak)}\n"]
    parts += ["\n", bold("Sections"), " (of 100)"]
    for one in standing.sections:
        title = library.syllabus.sections[one.id]
        parts.append(f"\n{bar(one.level)} {title}: {one.level:.0f}{_month(standing.before.get(one.id))}, {sure(one)}")
    parts += ["\n\n", bold("Competencies")]
    parts += [f"\n{competency(one.id, library)}: {one.level:.0f}, {sure(one)}" for one in standing.competencies]
    if weakest:
        parts += ["\n\n", bold("Weakest")]
        for weak in weakest:
            parts += [f"\n{weak.question.title}: {weak.score}", *_missed(weak)]
    all_due, today = due
    later = f"; {all_due - today} more wait their turn" if all_due > today else ""
    parts += ["\n\n", bold("Due today: "), f"{today or 'nothing'}{later}"]
    parts += ["\n", bold("Replies a week"), f", oldest first: {_weeks(standing)}"]
    return say(*parts).with_choices([NEXT, *([WEAK] if weakest else [])])


def _missed(weak: Weak) -> Parts:
    points = [point for id in weak.points[:POINTS] if (point := weak.question.point(id)) is not None]
    parts: Parts = []
    for point in points:
        parts += ["\n  ⚪ ", markup(shorten(point.statement, 90))]
    if len(weak.points) > POINTS:
        parts.append(f"\n  and {len(weak.points) - POINTS} more")
    return parts


def seen(standing: Stand, library: Library) -> str:
    """What the picture shows, for who can't see it."""
    levels = "; ".join(
        f"{library.syllabus.sections[one.id]} {one.level:.0f}{_month(standing.before.get(one.id))}" for one in standing.sections
    )
    return f"Levels of 100: {levels}. Replies in each of the last 12 weeks, oldest first: {_weeks(standing)}."


def _weeks(standing: Stand) -> str:
    return ", ".join(str(count) for count in standing.by_week)


def competency(id: str, library: Library) -> str:
    """A competency's name without the question that explains it."""
    return library.syllabus.competencies[id].partition(" - ")[0]


def sure(one: Standing) -> str:
    """ "a guess from 2 questions", "sure"."""
    if one.sure is Sure.GUESS:
        return f"a guess from {one.questions} {'question' if one.questions == 1 else 'questions'}"
    return one.sure.value


def _month(level: float | None) -> str:
    return f" (a month ago {level:.0f})" if level is not None else ""


def bar(level: float) -> str:
    full = round(level / 20)
    return "▰" * full + "▱" * (5 - full)
