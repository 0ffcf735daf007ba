"""What the coach says of a week."""

from __future__ import annotations

from bot.content import Library
from bot.days import clock
from bot.messages import Choice, Reply, bold, markup, quote, say
from bot.model import Learner
from bot.phrases import NEXT, Parts, day_names, shorten
from bot.phrases.progress import sure
from bot.phrases.streaks import in_a_row
from bot.progress import Sure
from bot.weeks import FULL, Count, Week

ONE = Choice("One question", "/next")


def week(told: Week, streak: int, library: Library) -> Reply:
    """The weekly message, in the form that fits the week."""
    if told.now.replies == 0:
        return empty()
    titles = library.syllabus.sections
    parts: Parts = [*_head(told, streak)]
    if told.now.replies >= FULL:
        if told.risen:
            parts += ["\n\n", bold("Better: "), "; ".join(f"{titles[id]} {then:.0f} → {now:.0f}" for id, then, now in told.risen)]
        if told.quote is not None:
            missed = markup(shorten(told.quote.statement, 110))
            parts += ["\n" if told.risen else "\n\n", f"{told.quote.title}. You used to leave this out: ", missed]
            parts += ["\nThis week you said ", quote(f"“{shorten(told.quote.words, 120)}”")]
    parts += ["\n\n", bold("Weakest" if len(told.weakest) > 1 else "So far"), ": "]
    parts.append("; ".join(f"{titles[one.id]} {one.level:.0f}{'' if one.sure is Sure.SURE else f' ({sure(one)})'}" for one in told.weakest))
    parts += ["\n", bold("Why: "), _cause(told, library)]
    parts += ["\n", bold("Do this: "), f"three questions on {titles[told.begin]}, one a day."]
    return say(*parts).with_choices([Choice(f"Start: {titles[told.begin]}"[:40], f"/next {told.begin}")])


def _head(told: Week, streak: int) -> Parts:
    this, before = told.now, told.before
    if before is None:
        return [bold("Your first week"), f"\n{_replies(this)}{_mean(this)}. ", f"{in_a_row(streak)}." if streak else "A good start."]
    title = "Your week" if this.replies >= FULL else "A small week"
    gone = f"the week before {before.replies or 'none'}"
    if before.mean is not None and this.mean is not None:
        gone = f"the week before {_replies(before)}{_mean(before)}"
    return [bold(title), f"\n{_replies(this)}{_mean(this)}; {gone}.", f"\n{in_a_row(streak).capitalize()}." if streak else ""]


def _replies(count: Count) -> str:
    return f"{count.replies} {'reply' if count.replies == 1 else 'replies'} on {count.days} {'day' if count.days == 1 else 'days'}"


def _mean(count: Count) -> str:
    return f", {count.mean:.0f} of 100 {'' if count.replies == 1 else 'on average'}".rstrip() if count.mean is not None else ""


def _cause(told: Week, library: Library) -> str:
    if told.cause in library.syllabus.mistakes:
        return f"{library.syllabus.mistakes[told.cause]}: {told.explains} of the points you missed."
    return {
        "core": f"the core was missing in {told.explains} of your replies. Say the main thing first.",
        "false": f"{told.explains} of your replies said something false. Read the corrections once more.",
    }.get(told.cause, "nothing stands out; it is practice that counts.")


def empty() -> Reply:
    return say(
        bold("A quiet week"), "\nNo replies, and nothing is lost: what is due waits, and never more than a few a day. Two minutes now?"
    ).with_choices([ONE, Choice("Rest from it", "/pause")])


def nothing_yet() -> Reply:
    return say("There is no week to look back on yet. One reply begins it.").with_choices([NEXT])


def settings(learner: Learner) -> Reply:
    if learner.week_day is None:
        return say("No weekly message any more. /week shows your week whenever you like, /week sunday 18:00 brings it back.")
    return say(f"Your week comes every {day_names([learner.week_day])[0]} at {clock(learner.week_minute)}.")


def unclear() -> Reply:
    return say("When shall it come? /week sunday 18:00, or /week off.")
