"""What the coach says of the choice of a question and of the plan towards an interview."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bot.content import Followup, Library, Point, Question
from bot.messages import Choice, Reply, Span, bold, italic, markup, say
from bot.model import Asked, Occasion
from bot.phrases import NEXT, shorten
from bot.plans import DAILY, LIGHT, Plan

WEAK, NEW = Choice("Something weak", "/next weak"), Choice("Something new", "/next new")


def one_point(asked: Asked, question: Question, followup: Followup, library: Library) -> Reply:
    """A question that comes back for the one point that was missing."""
    head = "Question of the day" if asked.occasion is Occasion.DAILY else "Question"
    return (
        say(
            bold(f"{head} · {library.syllabus.sections[question.section]} · {question.title}"),
            "\nOne point was missing here last time. Just that one:\n\n",
            markup(followup.prompt),
        )
        .read_aloud(followup.prompt)
        .with_choices([Choice("Skip", f"/skip {asked.id}"), Choice("Show answer", f"/answer {asked.id}")])
    )


def cue(point: Point) -> tuple[Span, ...]:
    """The beginning of the point that is wanted this time: enough to look for it, not enough to read it off."""
    words = point.statement.split()
    return say("\n\n", italic(f"Last time a point was missing that begins: “{' '.join(words[: max(2, min(5, len(words) // 3))])} …”")).spans


def countdown(plan: Plan, due: int) -> tuple[Span, ...]:
    """One line above a question of the day."""
    if plan.left == 0:
        return say(italic("Your interview is today. One warm-up, and off you go."), "\n\n").spans
    work = f"today {_count(plan.today, 'new question')} and {due} due" if plan.today else f"{due} due today"
    if plan.last_day:
        work = "a light day: only what you know"
    return say(italic(f"{_in(plan)}: {work}."), "\n\n").spans


def asked_all() -> Reply:
    return say("You have had every question of your interviews in the last 20 hours. Rest, or name one: /next precision.")


def enough() -> Reply:
    return say(f"{LIGHT} are enough on the eve of an interview. Sleep well; you are prepared. /next and a topic asks all the same.")


def nothing_weak() -> tuple[Span, ...]:
    return say(italic("I know of nothing weak yet, so here is another one."), "\n\n").spans


def nothing_new() -> tuple[Span, ...]:
    return say(italic("You have seen every question of your interviews. This one is worth another look."), "\n\n").spans


# ---------------------------------------------------------------------------------------------- the plan


def plan(one: Plan, due: int, owed: int) -> Reply:
    """due: how many questions are due; owed: how many of those belong to today."""
    lines = [f"\n{one.core - len(one.new) - len(one.left_out)} of {one.core} core questions are behind you."]
    if one.new:
        rate = f"{_count(one.today, 'new question')} a day"
        lines.append(
            f"\n{_count(len(one.new), 'is', 'are')} still new: {rate} {'covers' if one.today == 1 else 'cover'} all of it in time."
        )
    elif not one.left_out:
        lines.append("\nNothing is left uncovered; from here on I keep it fresh.")
    if one.left_out:
        lines.append(_too_few(one.left_out, one))
    more = f", the other {due - owed} wait" if due > owed else ""
    lines.append(f"\nDue for another look today: {owed}{more}.")
    if not one.last_day:
        lines.append("\nI bring things back sooner as the day comes, and the day before is light.")
    return say(bold(f"Your interview: {one.on:%A} {one.on.day} {one.on:%B}, {_in(one)[:1].lower()}{_in(one)[1:]}"), *lines).with_choices(
        [NEXT, Choice("No interview", "/interview off")]
    )


def _too_few(left_out: Sequence[Question], one: Plan) -> str:
    names = ", ".join(question.title for question in left_out[:3])
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    if one.last_day:
        return f"\nToo late for something new; left out: {shorten(names, 120)}{more}."
    return (
        f"\nHonestly, the days are too few for everything: at {DAILY} new questions a day I leave out {_count(len(left_out), 'question')}, "
        f"those farthest from your level: {shorten(names, 120)}{more}."
    )


def _in(one: Plan) -> str:
    return {0: "Today", 1: "Tomorrow"}.get(one.left, f"In {one.left} days")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def no_interview() -> Reply:
    return say("When is your interview? /interview 2027-01-15, and I plan the days until then.")


def no_interview_any_more() -> Reply:
    return say("No interview ahead. I go on as before.").with_choices([NEXT])


def interview_unclear() -> Reply:
    return say("Which day? /interview 2027-01-15, /interview 15 January, /interview in 3 weeks, or /interview off.")


def interview_past(day: date) -> Reply:
    return say(f"{day.day} {day:%B %Y} has passed. Which day is it? /interview 2027-01-15.")


def interview_far() -> Reply:
    return say("That is more than two years ahead. Tell me when it is nearer.")
