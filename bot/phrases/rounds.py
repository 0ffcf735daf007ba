"""What is said in a quiz: by everybody's eyes in the channel, and to one member alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.content import Library, Misconception, Point, Question
from bot.days import clock
from bot.messages import Choice, Reply, Span, Style, bold, markup, moment, say
from bot.model import Attempt
from bot.phrases import LEVELS, NEXT, graded, shorten, zone_label
from bot.rounds import LONGEST, SHORTEST, WEEK, Entry, Hidden, Round, Setup, Total

SHOWN = 10
"""Members that a ranking or a board names."""

MEDALS = {1: "🥇", 2: "🥈", 3: "🥉"}
NAMELESS = "a member"


def _alone(*parts: str | Span | Sequence[Span]) -> Reply:
    """For one member's eyes, and nothing to be typed in answer."""
    return replace(say(*parts), typed=False)


def _called(name: str, hidden: bool) -> str:
    return NAMELESS if hidden or not name else name


def _people(count: int) -> str:
    return f"{count} {'reply' if count == 1 else 'replies'}"


# ---------------------------------------------------------------------------------------------- in the channel


def opened(one: Round, question: Question, library: Library, *, daily: bool, calls: str = "") -> Reply:
    head = "Question of the day" if daily else "Quiz"
    reply = say(
        bold(f"{head} · {library.syllabus.sections[question.section]} · level {question.level}"), "\n\n",
        markup(question.wording(one.wording)), "\n\nCloses ", moment(one.closes_at),
        ". Nobody sees your reply; a second one replaces the first.",
    )  # fmt: skip
    return replace(reply.with_choices([Choice("Answer", f"/quiz reply {one.id}", asks=True)]), calls=calls)


def reveal(
    one: Round,
    question: Question,
    standing: Sequence[tuple[int | None, Entry]],
    hidden: frozenset[str],
    missed: tuple[Point, int] | None,
    mistake: tuple[Misconception, int] | None,
) -> Reply:
    """The one message that ends a round. `standing`: ranks and entries, the best first."""
    parts: list[str | Span | Sequence[Span]] = [bold(f"The answer · {question.title}"), "\n\n", markup(question.answer)]
    if not standing:
        return say(*parts, "\n\nNobody replied this time.")
    parts += ["\n\n", bold(f"Ranking · {_people(len(standing))}")]
    parts += [f"\n{_line(rank, entry, hidden)}" for rank, entry in standing[:SHOWN]]
    if len(standing) > SHOWN:
        parts.append(f"\nand {len(standing) - SHOWN} more: My feedback tells you your own rank")
    if missed is not None:
        point, count = missed
        parts += ["\n\n", bold(f"Missed most · by {count} of {len(standing)}"), "\n", markup(shorten(point.statement, 300))]
    if mistake is not None:
        wrong, count = mistake
        parts += ["\n\n", bold(f"The most common mistake · {count} of {len(standing)}"), "\n❌ ", markup(shorten(wrong.statement, 300))]
        parts += ["\n✅ ", markup(shorten(wrong.correction, 400))]
    return say(*parts).with_choices([Choice("My feedback", f"/quiz feedback {one.id}")])


def reveal_without(one: Round, standing: Sequence[tuple[int | None, Entry]], hidden: frozenset[str]) -> Reply:
    """Where the question is no longer in the packs."""
    lines = [f"\n{_line(rank, entry, hidden)}" for rank, entry in standing[:SHOWN]]
    return say(bold("The round is over"), "\n\nIts question was taken out of my packs meanwhile.", *lines)


def _line(rank: int | None, entry: Entry, hidden: frozenset[str]) -> str:
    name = _called(entry.name, entry.member in hidden)
    if rank is None:
        return f"❔ {name} · not graded"
    return f"{MEDALS.get(rank) or f'{rank}.'} {name} · {entry.score}"


# ---------------------------------------------------------------------------------------------- to one member


def not_here() -> Reply:
    return _alone("A quiz belongs in a server that I was added to: there, many answer one question. Here it is you and me.").with_choices(
        [NEXT]
    )


def how() -> Reply:
    return _alone(
        bold("The quiz"), "\n/quiz start [topic] - ask everybody here a question",
        "\n/quiz status - how many have replied", "\n/quiz close - end a round early",
        "\n/quiz board [week, month or all] - who is where", "\n/quiz hide - be “a member”, on no board; again to be back",
        "\n/quiz setup - the daily question of this server",
    )  # fmt: skip


def started(one: Round) -> Reply:
    return _alone("The question is on its way. It closes ", moment(one.closes_at), "; /quiz close ends it early.")


def open_already(one: Round) -> Reply:
    return _alone("A question is open in this channel already. It closes ", moment(one.closes_at), ".")


def minutes_unclear() -> Reply:
    return _alone(
        f"A round is open for {SHORTEST} minute to {LONGEST // (24 * 60)} days: minutes is a number from {SHORTEST} to {LONGEST}."
    )


def no_question(topic: str) -> Reply:
    about = f" on {shorten(topic, 40)}" if topic else ""
    return _alone(f"I have no question{about}. /topics shows what I ask about.")


def kept(one: Round, *, again: bool) -> Reply:
    head = "Your new reply replaces the first." if again else "Your reply is in, and nobody else sees it."
    return _alone(head, " The answer and the ranking come ", moment(one.closes_at), "; until then you can press Answer again.")


def no_words() -> Reply:
    return _alone("I need words to grade. Press Answer and say it roughly: a part earns its part.")


def late() -> Reply:
    return _alone("This round closed before your reply came, so it can't count any more. Thank you for trying; the next one is yours.")


def called_off() -> Reply:
    return _alone("This round was called off.")


def unknown_round() -> Reply:
    return _alone("I don't know that round any more.")


def status(rounds: Sequence[tuple[Round, int, bool]]) -> Reply:
    """`rounds`: each open round with how many replied, and whether this member did."""
    if not rounds:
        return _alone("No question is open in this server. /quiz start asks one.")
    parts: list[str | Span | Sequence[Span]] = []
    for one, count, mine in rounds[:SHOWN]:
        parts += ["\n" if parts else "", Span(one.channel, Style.CHANNEL), f": {_people(count)}", ", yours among them" if mine else ""]
        parts += [", closes ", moment(one.closes_at)]
    return _alone(*parts)


def none_to_close() -> Reply:
    return _alone("No question is open in this channel.")


def not_yours_to_close() -> Reply:
    return _alone("Only whoever started it and the moderators can end a round early.")


def closing(count: int) -> Reply:
    return _alone(f"Closed with {_people(count)}. The answer follows in a moment.")


def no_feedback() -> Reply:
    return _alone("You did not reply in this round, so there is nothing to tell. The next one?")


def not_yet() -> Reply:
    return _alone("Your feedback comes when the round is over and graded.")


def feedback(attempt: Attempt, question: Question, rank: int | None, count: int) -> Reply:
    """A member's own full grade, with their place among `count`."""
    reply = graded(attempt, question, question.title, deeper=False)
    place = f"You came {_ordinal(rank)} of {count}.\n\n" if rank is not None and count > 1 else ""
    return replace(reply, spans=say(place, reply.spans).spans, choices=(), typed=False)


def feedback_without(score: int | None) -> Reply:
    found = f"You had {score}/100." if score is not None else "Your reply had no score."
    return _alone(f"The question was taken out of my packs meanwhile. {found}")


def hidden(one: Hidden) -> Reply:
    if one.hidden:
        return _alone("You are on no board now, and shown as “a member” from here on. /quiz hide again brings you back.")
    return _alone("You are back on the boards, with your name. /quiz hide takes you off again.")


def board(period: str, ranked: Sequence[tuple[int, Total]], mine: tuple[int, Total] | None) -> Reply:
    """`ranked`: the first of the board; `mine`: the asker's own line where it is not among them."""
    title = {"week": "This week", "month": "This month"}.get(period, "Of all time")
    if not ranked:
        return _alone(bold(f"Board · {title}"), "\n\nNobody yet. A round counts once two have replied.")
    lines = [f"\n{_total(rank, total)}" for rank, total in ranked]
    own = [f"\n\nYou: {_total(*mine)}"] if mine is not None else []
    return _alone(bold(f"Board · {title}"), "\n", *lines, *own, "\n\nPoints are the scores of all rounds with two replies or more.")


def weekly_board(ranked: Sequence[tuple[int, Total]], members: int) -> Reply:
    """For the channel, at the end of a week."""
    lines = [f"\n{_total(rank, total)}" for rank, total in ranked]
    more = f"\nand {members - len(ranked)} more" if members > len(ranked) else ""
    return say(bold("The week on this server"), "\n", *lines, more, "\n\nPoints are the scores of all rounds with two replies or more.")


def _total(rank: int, total: Total) -> str:
    rounds = f"{total.rounds} {'round' if total.rounds == 1 else 'rounds'}"
    return f"{MEDALS.get(rank) or f'{rank}.'} {_called(total.name, False)} · {total.points} in {rounds}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# ---------------------------------------------------------------------------------------------- the set-up


def managers_only() -> Reply:
    return _alone("Setting up the quiz needs the Manage Server permission.")


def unclear(field: str) -> Reply:
    """What is said of an option that can't be understood."""
    return _alone(
        {
            "days": "Which days? Such as daily, weekdays, mon-fri, or mon, wed, fri.",
            "time": "At what time? Such as 09:00, 7:30 pm, or off for no daily question.",
            "weekly": "When shall the board come? Such as sunday 18:00, or off.",
            "zone": "I need one city or time zone, such as Berlin or Europe/Berlin.",
            "topics": "I have no such topic. /topics shows them; part several with commas, or say all.",
            "level": "A level is a number from 1 (junior) to 5 (principal), or any.",
        }[field]
    )


def setup(one: Setup, library: Library, lacking: Sequence[str]) -> Reply:
    """What holds for a server now, and each permission that is missing."""
    parts: list[str | Span | Sequence[Span]] = [bold("The quiz of this server")]
    if one.minute is None:
        parts.append("\nDaily question: off. /quiz setup with a time switches it on.")
    else:
        parts += [f"\nDaily question: {_days(one.days)} at {clock(one.minute)}, {zone_label(one.zone)} time, in "]
        parts.append(Span(one.channel, Style.CHANNEL))
    if one.next_due_at is not None:
        parts += ["\nThe next one: ", moment(one.next_due_at)]
    if one.board_day is not None:
        parts.append(f"\nWeekly board: {_NAMES[one.board_day]}s at {clock(one.board_minute)}")
    titles = [library.syllabus.sections[id] for id in library.syllabus.sections if id in one.topics]
    parts += [
        f"\nTopics: {', '.join(titles) or 'all'}", f"\nLevel: {f'{one.level}, {LEVELS[one.level].lower()}' if one.level else 'any'}",
        f"\nOpen for: {one.minutes} {'minute' if one.minutes == 1 else 'minutes'}",
    ]  # fmt: skip
    parts += ["\nCalls: ", Span(one.calls, Style.GROUP)] if one.calls else []
    return _alone(*parts, *(["\n\n", *missing(one.channel, lacking)] if lacking else []))


def missing(channel: str, lacking: Sequence[str]) -> list[str | Span]:
    """Each permission by its name."""
    return ["In ", Span(channel, Style.CHANNEL), " I still need: ", *[f"\n• {name}" for name in lacking]]


def cannot_post(channel: str, lacking: Sequence[str]) -> Reply:
    """Where somebody wants to start a round."""
    return _alone("I can't post a quiz here yet. ", *missing(channel, lacking))


def shut(channel: str, lacking: Sequence[str], what: str) -> Reply:
    """To whoever set it up, once, when posting failed. what: "round" for a question, "reveal" for an answer."""
    lost = {
        "round": "The question was not asked.",
        "reveal": "I try again every ten minutes for a day to post the answer.",
    }[what]
    if not lacking:
        return _alone("I can't post the quiz in ", Span(channel, Style.CHANNEL), f" any more: it is gone, or closed to me. {lost}")
    return _alone("I can't post the quiz any more. ", *missing(channel, lacking), f"\n{lost}")


_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _days(days: frozenset[int]) -> str:
    named = {frozenset(range(7)): "every day", frozenset(range(5)): "weekdays", frozenset((5, 6)): "weekends"}
    if days in named:
        return named[days]
    chosen = [_NAMES[day] for day in sorted(days)]
    return chosen[0] + "s" if len(chosen) == 1 else ", ".join(WEEK[day].capitalize() for day in sorted(days))
