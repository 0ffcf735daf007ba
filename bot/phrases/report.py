"""The report of a mock interview in words: the short message, and every heading of the picture and the document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from statistics import fmean

from bot.days import zone_of
from bot.messages import Choice, Reply, Span, bold, say
from bot.model import Finding, Sure
from bot.phrases import NEXT
from bot.phrases import SURE as SURE_WORDS
from bot.phrases.interviewing import FORMATS
from bot.reporting import ENOUGH, RAMBLING, SHORT, Report, Stand

Parts = list[str | Span | Iterable[Span]]

VERDICTS = {
    "ready": "Ready: you would pass most interviews of this kind.",
    "solid": "Solid: a good base, with gaps that an interviewer would find.",
    "on the way": "On the way: the ideas are there, the substance is not yet.",
    "early": "Early days: begin with the basics below.",
    "not judged": "Nothing that I could judge.",
}
FINDINGS = {
    Finding.COVERED: "said",
    Finding.PARTLY: "partly said",
    Finding.MISSING: "not said",
    Finding.CONTRADICTED: "said the opposite",
    Finding.CANNOT_TELL: "not judged",
}
PARTS = {
    "checked": "What you checked", "order": "In which order", "conclusion": "The cause", "actions": "What to do",
    "summary": "For the business",
}  # fmt: skip


def no_report(asked: str) -> Reply:
    words = f"I have no interview number {asked}." if asked else "No mock interview yet, so no report. /mock begins one."
    return say(words).with_choices([Choice("Mock interview", "/mock"), NEXT])


def unclear_number() -> Reply:
    return say("Which one? /report shows the last interview, /report 1 the first.")


def title(report: Report, zone: str) -> str:
    return f"Interview {report.number} · {FORMATS[report.format]} · {day(report.at, zone)}"


def day(at: datetime, zone: str) -> str:
    there = at.astimezone(zone_of(zone))
    return f"{there.day} {there:%B %Y}"


def verdict(report: Report) -> str:
    return VERDICTS[report.band]


def basis(report: Report) -> str:
    """What the verdict rests on."""
    asked, answered, judged = len(report.entries), len(report.answered), len(report.judged)
    words = f"{answered} of {asked} questions answered" if answered < asked else f"all {asked} questions answered"
    tail = "; unanswered counts neither way" if answered < asked else ""
    unread = f", {answered - judged} not to be judged" if judged < answered else ""
    few = " Few questions: take it as a hint." if 0 < judged < 4 else ""
    cut = " It was cancelled before its end." if report.cancelled else ""
    return f"From {words}{unread}, in {len(report.sections)} sections{tail}.{few}{cut}"


def stand(one: Stand) -> str:
    if one.mean is None:
        return f"{one.title}: not asked"
    trend = "" if one.trend is None else f", {one.trend:+.0f} against {one.before} earlier"
    return f"{one.title}: {one.mean:.0f} ({one.count}{trend})"


def course(report: Report) -> str:
    return " → ".join("–" if one.score is None else str(one.score) for one in report.entries)


def compared(report: Report) -> str:
    """The change against earlier interviews, with how many there are."""
    if report.change is None:
        return "Your first report: nothing to compare with yet." if not report.earlier else ""
    count = report.earlier
    few = f" With {count + 1} in all that says little yet: {ENOUGH} are wanted." if count + 1 < ENOUGH else ""
    return f"Against your {count} earlier {'interview' if count == 1 else 'interviews'}: {report.change:+d} points.{few}"


def habits(report: Report) -> list[str]:
    """What was seen over the whole interview, each with its count."""
    answered = report.answered
    if not answered:
        return ["You answered no question, so there is nothing to say of habits."]
    found = []
    words = [one.words for one in answered if not one.part]
    if words:
        mean = fmean(words)
        kind = (
            "short: two or three more sentences would show more"
            if mean < SHORT
            else "long: lead with the point"
            if mean > RAMBLING
            else "a good length"
        )
        found.append(f"{mean:.0f} words a reply on average: {kind}.")
    timed = [one.minutes for one in answered if one.minutes is not None]
    if timed:
        over = sum(one.over for one in answered)
        found.append(f"{fmean(timed):.1f} minutes a question on average; {over} of {len(answered)} took longer than planned.")
    if helped := sum(one.helped for one in answered):
        found.append(f"{helped} {'point' if helped == 1 else 'points'} came only when I asked: say them unasked.")
    if hints := sum(one.hints for one in answered):
        found.append(f"{hints} {'hint' if hints == 1 else 'hints'} used.")
    if recited := sum("memorised" in one.notes for one in answered):
        found.append(
            f"{recited} {'reply was' if recited == 1 else 'replies were'} the model answer word for word. An interviewer hears that."
        )
    if orders := sum("instructions" in one.notes for one in answered):
        found.append(f"In {orders} {'reply' if orders == 1 else 'replies'} you wrote to the grader. It earns nothing.")
    unsure = [one for one in answered if one.sure is Sure.SURE and one.score is not None and one.score < 50]
    if unsure:
        found.append(f"You were sure of {len(unsure)} {'reply' if len(unsure) == 1 else 'replies'} that scored under 50.")
    skipped = len(report.entries) - len(answered)
    if skipped:
        found.append(
            f"{skipped} {'question' if skipped == 1 else 'questions'} left unanswered. Half a thought out loud earns more than silence."
        )
    return found


def message(report: Report, zone: str) -> Reply:
    """The short message: verdict and basis, every number of the picture, one habit, the mistakes, what to do next."""
    score = "" if report.score is None else f"{report.score}/100 · "
    parts: Parts = [bold(title(report, zone)), "\n", bold(f"{score}{verdict(report)}"), "\n", basis(report)]
    if report.judged:
        parts += ["\n\n", bold("Competencies"), *(f"\n{stand(one)}" for one in report.competencies)]
        parts += ["\n\n", bold("Sections"), *(f"\n{stand(one)}" for one in report.sections)]
        parts += ["\n\n", bold("Course: "), course(report)]
    parts += ["\n\n", bold("Habits"), *(f"\n{one}" for one in habits(report)[:4])]
    if report.mistakes:
        parts += ["\n\n", bold("Common mistakes"), *(f"\n{one.title}. {one.evidence[0]}" for one in report.mistakes[:3])]
    parts += ["\n\n", bold("Next"), *(f"\n{number}. {what}: {command}" for number, (what, command) in enumerate(report.steps, 1))]
    if words := compared(report):
        parts += ["\n\n", words]
    buttons = [Choice(what if len(what) <= 40 else what[:39] + "…", command) for what, command in report.steps]
    return say(*parts).with_choices(*[[one] for one in buttons])


def alternative(report: Report) -> str:
    """The picture in words, for who can't see it."""
    stands = "; ".join(stand(one) for one in report.competencies)
    return f"Competencies: {stands}. Course of the interview: {course(report)}."[:1000]


def sure_word(level: Sure) -> str:
    return SURE_WORDS.get(level, "")


def nothing_said() -> Reply:
    return say("The interview is over. You answered nothing, so there is nothing to report: no reply is no verdict.").with_choices(
        [Choice("Mock interview", "/mock"), NEXT]
    )
