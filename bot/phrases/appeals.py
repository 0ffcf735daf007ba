"""What the coach says of appeals and flags."""

from __future__ import annotations

from collections.abc import Sequence

from bot.content import Misconception, Point
from bot.messages import Choice, Reply, bold, markup, quote, say
from bot.model import Attempt, Finding, Ruling
from bot.phrases import MARKS, NEXT, shorten

LABEL = 60
"""Characters of a button that shows a point or a sentence."""

WORDS = {
    Finding.COVERED: "covered",
    Finding.PARTLY: "partly covered",
    Finding.MISSING: "missing",
    Finding.CONTRADICTED: "contradicted",
    Finding.CANNOT_TELL: "not judged",
}


def which_point(attempt: Attempt, points: Sequence[Point], title: str, sentence: int | None = None) -> Reply:
    """`sentence`: the number of the stretch that the learner has named already."""
    tail = "" if sentence is None else f" {sentence}"
    rows = [[Choice(_label(point.statement, attempt, point), f"/appeal {attempt.id} {point.id}{tail}")] for point in points]
    ask = "Which point did you make?" if sentence is None else "And which point do these words make?"
    return say(bold(ask), f" It is about your reply on {title}.").with_choices(*rows)


def _label(statement: str, attempt: Attempt, point: Point) -> str:
    verdict = attempt.grade.verdict(point.id)
    mark = MARKS[verdict.finding] if verdict else ""
    return f"{mark} {shorten(_plain(statement), LABEL)}".strip()


def _plain(text: str) -> str:
    return "".join(span.text for span in markup(text))


def which_words(attempt: Attempt, point: Point, sentences: Sequence[tuple[int, str]]) -> Reply:
    """`sentences`: stretches of the reply that are offered, each with its number."""
    rows = [[Choice(f"“{shorten(text, LABEL)}”", f"/appeal {attempt.id} {point.id} {number}")] for number, text in sentences]
    return say(
        bold("Show me where. "), "Tap the words of your reply that say it, or paste them.\n\nThe point: ",
        markup(shorten(point.statement, 220)),
    ).with_choices(*rows)  # fmt: skip


def not_in_reply() -> Reply:
    return say("I can't find these words in that reply. Paste them as they stand there, tap a sentence above, or /cancel.")


def too_wide() -> Reply:
    return say("That is a lot of text. Show me the one sentence that makes the point.")


def raised(attempt: Attempt, old: int, point: Point, more: bool) -> Reply:
    verdict = attempt.grade.verdict(point.id)
    finding = verdict.finding if verdict else Finding.COVERED
    said = verdict.quote if verdict else ""
    return say(
        bold("You did say that. "), "I read “", quote(shorten(said, 130)), f"” again: now {MARKS[finding]} {WORDS[finding]}.",
        f"\n\n{old}/100 → ", bold(f"{attempt.grade.score}/100"),
    ).with_choices(_buttons(attempt, more))  # fmt: skip


def stands(attempt: Attempt, ruling: Ruling, point: Point, said: str, wrong: Misconception | None, struck: str, more: bool) -> Reply:
    """`wrong`: the misconception that the words state; `struck`: other words of the reply that turn the point round, or ""."""
    again = quote(f"“{shorten(said, 130)}”")
    wants = ("\n\nThe point wants: ", markup(shorten(point.statement, 220)))
    if ruling is Ruling.REFUSED:
        reply = say("I read ", again, " again. Words to me, bare terms or the question's own words can't make a point.", *wants)
    elif wrong is not None:
        reply = say("I read ", again, " again, and it says something else. ", markup(shorten(wrong.correction, 220)), *wants)
    elif struck:
        reply = say("I read ", again, " again. But you also said ", quote(f"“{shorten(struck, 130)}”"), ", which turns it round.", *wants)
    elif ruling is Ruling.CONTRARY:
        reply = say("I read ", again, " again, and to me it says the opposite, so the verdict stays.", *wants)
    else:
        reply = say("I read ", again, " again and looked for the point in it. It does not say it yet, so the verdict stays.", *wants)
    return reply.with_choices(_buttons(attempt, more))


def _buttons(attempt: Attempt, more: bool) -> list[Choice]:
    return [*([Choice("Another point", f"/appeal {attempt.id}")] if more else []), NEXT]


def nothing_graded() -> Reply:
    return say("There is no grade to talk about yet. /next asks you a question.").with_choices([NEXT])


def nothing_to_appeal() -> Reply:
    return say("There is no point left to read again in that reply.").with_choices([NEXT])


def no_score() -> Reply:
    return say("That reply got no score, so there is no verdict to read again. It costs you nothing.").with_choices([NEXT])


def once_a_point() -> Reply:
    return say("I have read that point again already: once each, so that it stays fair.").with_choices([NEXT])


def enough(most: int) -> Reply:
    return say(f"I have read {most} points of that reply again, and that is the limit. On to the next one?").with_choices([NEXT])


# ---------------------------------------------------------------------------------------------- flags


def why() -> Reply:
    return say("What is wrong with it? One sentence is enough, or /cancel.")


def nothing_to_flag() -> Reply:
    return say("There is no question and no grade to flag yet. /next asks you one.").with_choices([NEXT])


def flagged_question(title: str, flag: str, graded: str) -> Reply:
    """`graded`: what the last grade was about, where that could have been meant instead, or ""."""
    reply = say(f"Thank you: the question on {title} is flagged, and the owner of this coach will see why. It stays open.")
    return reply.with_choices([Choice(f"I meant my grade on {shorten(graded, 40)}", f"/flagged {flag}")]) if graded else reply


def flagged_grade(title: str) -> Reply:
    return say(f"Thank you: the grade on {title} is flagged, and the owner of this coach will see why.").with_choices([NEXT])


def flags_enough() -> Reply:
    return say("Thank you, that is plenty for today. Please flag the rest tomorrow.")
