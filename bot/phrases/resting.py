"""What the coach says about a question that is put off, and to somebody who has not replied for a while."""

from __future__ import annotations

from bot.messages import Choice, Reply, Span, say

WHEN = (Choice("1 hour", "/snooze 1h"), Choice("2 hours", "/snooze 2h"), Choice("4 hours", "/snooze 4h"))


def snoozed(at: str, *, asked: bool) -> Reply:
    again = f"I'll ask again at {at}." if asked else f"Today's question will come at {at}."
    return say(f"Fine. {again}")


def snooze_unclear() -> Reply:
    return say("For how long? Say it like /snooze 2h or /snooze 45m, at most 12 hours.").with_choices(WHEN)


def snooze_past_midnight() -> Reply:
    return say("By then it's tomorrow, and tomorrow has a question of its own. Try a shorter time, or /skip this one.")


def nothing_to_snooze() -> Reply:
    return say("Nothing is waiting for you now, so there's nothing to put off.").with_choices([Choice("Ask me now", "/next")])


def comes_later(at: str) -> Reply:
    return say(f"Today's question comes at {at} anyway. /daily changes the time for every day.")


def reminded(question: Reply) -> Reply:
    """The question that was put off, once more."""
    return Reply((Span("You asked me to come back to this.\n\n"), *question.spans), question.choices, question.calls, question.typed)


def asking_less(question: Reply) -> Reply:
    """The first question after so many unanswered days that fewer are asked."""
    note = "\n\nLife is busy, I see: from now on I ask on Mondays, Wednesdays and Fridays. One reply, and I'm back every day."
    return Reply((*question.spans, Span(note)), question.choices, question.calls, question.typed)


def gone_quiet() -> Reply:
    return say(
        "It's been a while, and that's all right: interviews aren't everything. I'll stop asking for now, so that you need not "
        "feel nagged. All you did is kept, and I'd be glad to go on whenever you like."
    ).with_choices([Choice("Go on every day", "/resume"), Choice("Just one question", "/next")])
