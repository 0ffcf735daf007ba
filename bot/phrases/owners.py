"""What the coach says to whoever runs it: numbers, and nobody's words but those that were sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from bot.content import Library
from bot.messages import Choice, Reply, Span, Style, bold, quote, say
from bot.model import Appealed, Flag
from bot.owners import LONGEST, Broadcast, Day, Process, Progress, Vitals, worries
from bot.phrases import Parts, shorten

MOST_APPEALS = 12
"""Points that are listed."""

MOST_FLAGS = 12

WAYS = [[Choice("Learners", "/admin learners"), Choice("Appeals", "/admin appeals"), Choice("Flags", "/admin flags")]]


def health(vitals: Vitals, process: Process, now: datetime) -> Reply:
    """The whole of it on one screen, what to look at first."""
    found = worries(vitals, process, now)
    head = "All is well." if not found else f"Look at this: {'; '.join(found)}."
    lines = [
        f"Learners: {vitals.learners:,} ({vitals.new:,} today)",
        f"Replies today: {vitals.replies:,}",
        f"Due now: {vitals.due:,}",
        f"Waiting: {_count(vitals.updates, 'update')}, {_count(vitals.waiting, 'reply', 'replies')}, {vitals.bulk:,} of my own; "
        f"later: {vitals.later:,}",
        f"Given up: {vitals.dead:,}",
        f"Last tick: {_ago(now - process.ticked) if process.ticked else 'none yet'}",
        f"Grader: {process.grader}",
        f"Database: {vitals.kind}, {_bytes(vitals.bytes)}, schema {vitals.schema}",
        *([f"Disk: {_bytes(vitals.room)} free"] if vitals.room is not None else []),
        f"Version {process.version}, up {_span(process.uptime)}",
    ]
    return say(bold(head), "\n\n", "\n".join(lines)).with_choices(*WAYS)


def learners(days: Sequence[Day]) -> Reply:
    """Learners and replies per day, today first."""
    rows = [f"{one.day:%d %b}  {one.joined:>4}  {one.active:>6}  {one.replies:>7}" for one in days]
    total = f"{'all':<6}  {sum(one.joined for one in days):>4}  {'':>6}  {sum(one.replies for one in days):>7}"
    table = "\n".join(["day      new  active  replies", *rows, total])
    return say(bold(f"The last {len(days)} days"), " (by UTC)\n\n", Span(table, Style.BLOCK))


def appeals(found: Sequence[Appealed], library: Library) -> Reply:
    if not found:
        return say("Nobody has appealed yet.")
    parts: Parts = [bold(f"Appeals: {sum(one.appeals for one in found):,} about {_count(len(found), 'point')}"), "\n"]
    for one in found[:MOST_APPEALS]:
        question = library.questions.get(one.question)
        rubric = question.followup(one.followup) if question is not None and one.followup else question
        point = rubric.point(one.point) if rubric else None
        place = f"{one.question}/{one.followup}" if one.followup else one.question
        parts.append(f"\n{one.appeals} ({one.raised} raised) · {place}: {shorten(point.statement, 90) if point else one.point}")
    if len(found) > MOST_APPEALS:
        parts.append(f"\n\nAnd {len(found) - MOST_APPEALS} more: coach appeals, at the command line, lists all.")
    return say(*parts)


def flags(found: Sequence[Flag], library: Library) -> Reply:
    """By question, each with the reasons that its learners gave; the latest flagged question first."""
    if not found:
        return say("Nobody has flagged anything yet.")
    parts: Parts = [bold(_count(len(found), "flag")), "\n"]
    latest = sorted(found, key=lambda one: one.at, reverse=True)[:MOST_FLAGS]
    order = list(dict.fromkeys(one.question for one in latest))
    for id, group in groupby(sorted(latest, key=lambda one: order.index(one.question)), key=lambda one: one.question):
        question = library.questions.get(id)
        parts += ["\n", bold(f"{id} · {question.title}" if question else f"{id} (gone)")]
        for one in group:
            about = "grade" if one.attempt else "question"
            parts += [f"\n{one.at:%d %b}, the {about}: ", quote(shorten(one.reason, 160) or "no reason")]
        parts.append("\n")
    if len(found) > MOST_FLAGS:
        parts.append(f"\nAnd {len(found) - MOST_FLAGS} more: coach flags, at the command line, lists all.")
    return say(*parts)


# ---------------------------------------------------------------------------------------------- to everybody


def preview(broadcast: Broadcast, those: int, others: int) -> Reply:
    left_out = f"\n{_count(others, 'learner')} who paused, stopped or can't be reached will not get it." if others else ""
    return say(
        bold(f"This goes to {_count(those, 'learner')}:"), "\n\n", *to_all(broadcast).spans, "\n\n",
        f"It goes out as fast as the platforms allow, and waits where it is night.{left_out}",
    ).with_choices(
        [Choice(f"Send to {those:,}", f"/admin send {broadcast.id}"), Choice("Don't send", f"/admin drop {broadcast.id}")]
    )  # fmt: skip


def to_all(broadcast: Broadcast) -> Reply:
    """The message as learners get it."""
    return say(bold("A word from whoever runs this coach"), "\n\n", broadcast.text)


def nobody() -> Reply:
    return say("There is nobody to send it to: no learner, or all of them paused, stopped or out of reach.")


def too_long(length: int) -> Reply:
    return say(f"That is {length:,} characters; {LONGEST:,} are the most that I send to everybody.")


def on_its_way(id: str, those: int) -> Reply:
    return say(f"On its way to {_count(those, 'learner')}. /admin broadcast shows how far it is.").with_choices(
        [Choice("How far?", "/admin broadcast"), Choice("Stop it", f"/admin stop {id}")]
    )


def sent_before() -> Reply:
    return say("That was sent already, and goes to nobody twice. /admin broadcast shows how far it is.")


def dropped() -> Reply:
    return say("It is sent to nobody.")


def stopped() -> Reply:
    return say("Stopped: who has not got it yet will not.")


def no_draft() -> Reply:
    return say("I don't have that message. /admin broadcast and the text shows you a new preview.")


def how_far(found: Sequence[Progress], now: datetime) -> Reply:
    parts: Parts = ["/admin broadcast and a text shows you the message first; then a button sends it to every learner who has not stopped."]
    for one in found:
        state = "stopped" if one.broadcast.stage == "stopped" else "sent"
        parts += [
            "\n\n", bold(f"{one.broadcast.at:%d %b %H:%M} UTC, {state}: "),
            f"{one.sent:,} of {one.owed:,} got it, {one.waiting:,} wait, {one.failed:,} don't get it.\n", shorten(one.broadcast.text, 80),
        ]  # fmt: skip
    return say(*parts)


def usage() -> Reply:
    return say(
        bold("For you alone"),
        "\n/admin - how the coach is, on one screen\n/admin learners - learners and replies per day\n/admin appeals - which points are"
        " appealed about\n/admin flags - what was flagged\n/admin broadcast TEXT - a message to everybody, with a preview",
    ).with_choices([Choice("Health", "/admin"), *WAYS[0]])


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def _ago(span: timedelta) -> str:
    return "just now" if span < timedelta(seconds=2) else f"{_span(span)} ago"


def _span(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
