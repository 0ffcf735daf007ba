"""What the coach says of streaks and rest days."""

from __future__ import annotations

from datetime import date, timedelta

from bot.messages import Choice, Reply, bold, say
from bot.model import Learner
from bot.phrases import NEXT, day_names
from bot.streaks import MOST_HELD, Day, Streak, Why

SHOWN = 14
"""Days that /streak why explains."""

WHY = Choice("Why?", "/streak why")

MARKS = {
    Why.PRACTISED: "✅",
    Why.DOUBLED: "✅",
    Why.MADE_UP: "🔧",
    Why.REST: "🌴",
    Why.PAUSED: "⏸",
    Why.EXCUSED: "🤝",
    Why.FLOWN: "✈️",
    Why.FROZEN: "❄️",
    Why.MISSED: "⚪",
    Why.OPEN: "…",
    Why.BEFORE: "·",
}


def in_a_row(count: int) -> str:
    return f"{count} {'day' if count == 1 else 'days'} in a row"


def streak(told: Streak, today: date) -> Reply:
    """Where the streak stands, and what keeps it or brings it back."""
    if told.lost and not (told.count > told.lost):
        return say(
            bold(f"Your {_long(told.lost)} streak broke"),
            f", but you can have it back: answer two questions on one day, by {_by(told.until, today)}.",
            f" As it is: {in_a_row(told.count)}." if told.count else "",
        ).with_choices([NEXT, WHY])
    if told.count == 0:
        best = f" Your longest was {told.longest}." if told.longest else ""
        return say(f"No streak yet: one reply today begins it.{best}").with_choices([NEXT])
    open_today = any(one.day == today and one.why is Why.OPEN for one in told.days)
    tail = " Today counts already." if told.done else " Reply once today to keep it." if open_today else " Today it rests."
    best = f" Your longest was {told.longest}." if told.longest > told.count else ""
    return say(bold(in_a_row(told.count)), ".", tail, best, _held(told.held)).with_choices([WHY] if told.done else [NEXT, WHY])


def why(told: Streak, today: date) -> Reply:
    """The last 14 days, each with what it did."""
    known = {one.day: one for one in told.days}
    lines = []
    for back in range(SHOWN - 1, -1, -1):
        day = today - timedelta(days=back)
        one = known.get(day, Day(day, Why.BEFORE, 0, 0, 0))
        lines.append(f"\n{MARKS[one.why]} {day:%a} {day.day} {day:%b}: {_what(one)}{f' → {one.count}' if one.count else ''}")
    ahead = [
        f"\n{MARKS[one.why]} {one.day:%a} {one.day.day} {one.day:%b}: {_what(one)} → {one.count}" for one in told.days if one.day > today
    ]
    head = in_a_row(told.count) if told.count else "No streak right now"
    mend = f"\nTwo questions on one day by {_by(told.until, today)} bring your {told.lost} back." if told.lost > told.count else ""
    return say(bold(head), "\n", *lines, *ahead, "\n", mend, "\n" + _held(told.held).strip() if told.held else "")


def _what(one: Day) -> str:
    replies = f"{one.replies} {'reply' if one.replies == 1 else 'replies'}"
    return {
        Why.PRACTISED: replies,
        Why.DOUBLED: f"{replies}, double: your streak is back",
        Why.MADE_UP: "missed, made up by doing double",
        Why.REST: "rest day",
        Why.PAUSED: "paused",
        Why.EXCUSED: "my fault, not yours: it costs nothing",
        Why.FLOWN: "you travelled: hardly a day",
        Why.FROZEN: "missed, a freeze kept your streak",
        Why.MISSED: "missed",
        Why.OPEN: "still open",
        Why.BEFORE: "no streak",
    }[one.why]


def _held(held: int) -> str:
    if not held:
        return ""
    full = ", the most there can be" if held == MOST_HELD else ""
    return f" {held} {'freeze' if held == 1 else 'freezes'} in store{full}: {'it covers' if held == 1 else 'each covers'} a missed day."


def _long(count: int) -> str:
    return f"{count}-day"


def _by(until: date | None, today: date) -> str:
    if until is None or until == today:
        return "tonight"
    return "tomorrow" if until == today + timedelta(days=1) else f"{until:%A}"


# ---------------------------------------------------------------------------------------------- rest days


def resting(learner: Learner) -> Reply:
    if not learner.rest:
        return say("You have no rest days: /rest sat sun makes some. They break no streak.").with_choices(
            [Choice("Rest at weekends", "/rest sat sun"), Choice("Rest on Sundays", "/rest sun")]
        )
    names = " and ".join([", ".join(f"{day}s" for day in day_names(learner.rest)[:-1]), f"{day_names(learner.rest)[-1]}s"]).removeprefix(
        " and "
    )
    return say(f"You rest on {names}: no question comes, and your streak is safe. /next works all the same.").with_choices(
        [Choice("No rest days", "/rest off")]
    )


def rest_unclear() -> Reply:
    return say("Which days? /rest sat sun, /rest fri-sun, or /rest off.")


def rest_always() -> Reply:
    return say("That is every day. /pause stops the questions until you /resume, and keeps your streak.")
