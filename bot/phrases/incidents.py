"""What is said while an incident is investigated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot import investigations
from bot.content import Rubric
from bot.incidents import Clue, Incident
from bot.messages import Choice, Reply, Span, bold, italic, markup, quote, say
from bot.model import Asked, Finding, Investigation
from bot.phrases import MARKS, NEXT, cannot_tell, shorten

Parts = list[str | Span | Iterable[Span]]

FOUND = ("You look, and find:", "Here is what it shows:", "You get this:", "This is what comes back:")
STAGES = {"conclusion": "The cause", "actions": "What to do", "summary": "For the business"}
PARTS = {
    "checked": "What you checked",
    "order": "In which order",
    "conclusion": "The cause",
    "actions": "Now, later, never again",
    "summary": "Told to the business",
}


def choose(incidents: Mapping[str, Incident]) -> Reply:
    if not incidents:
        return say("I have no incidents. /next asks you a question.").with_choices([NEXT])
    rows = [[Choice(shorten(one.title, 60), f"/incident {one.id}")] for one in incidents.values()]
    return say(
        bold("Incidents"), "\nSomething went wrong. You say what you would look at, and I tell you what you find. Which one?"
    ).with_choices(*rows)


def no_such(asked: str, incidents: Mapping[str, Incident]) -> Reply:
    return say("I have no incident ", quote(shorten(asked, 40)), ". These are mine:").with_choices(*choose(incidents).choices)


def opening(asked: Asked, one: Incident, head: str = "Incident") -> Reply:
    return say(
        bold(f"{head} · {one.title} · level {one.level}"), "\n\n", markup(one.opening), "\n\n", markup(one.manager),
        "\n\n", italic("Write what you would check, one or two things at a time. Say when you know the cause."),
    ).with_choices(*looking_choices(asked)).read_aloud(one.opening, one.manager)  # fmt: skip


def looking_choices(asked: Asked) -> list[list[Choice]]:
    return [[Choice("Hint", f"/hint {asked.id}"), Choice("I know the cause", f"/conclude {asked.id}")]]


def found(asked: Asked, course: Investigation, looked: investigations.Looked) -> Reply:
    """What a message brought."""
    parts: Parts = []
    if looked.fresh:
        parts.append(FOUND[len(course.looks) % len(FOUND)])
        parts += [part for clue in looked.fresh for part in ("\n\n🔎 ", markup(clue.finds))]
        if looked.more:
            parts.append("\n\nThe rest can wait: in the light of this, what next?")
    elif looked.early:
        parts.append("That can't be told yet. Find out first where to look.")
    elif looked.again:
        parts.append("You have looked at that already. What else?")
    elif course.idle >= investigations.PATIENCE:
        parts.append("I still can't look that up. Name one thing: a number, a chart, a log, a person to ask. Or take a hint.")
    else:
        parts.append("More specific, please: which data, which comparison, which log, whom would you ask?")
    return say(*parts).with_choices(*looking_choices(asked))


def nudge(asked: Asked, clue: Clue | None) -> Reply:
    if clue is None:
        return say("You have found all there is. What is the cause?").with_choices([Choice("I know the cause", f"/conclude {asked.id}")])
    return say(bold("Hint: "), markup(clue.nudge)).with_choices(*looking_choices(asked))


def nothing_found() -> Reply:
    return say("You have not looked at anything yet. What would you check first?")


def stage(name: str, rubric: Rubric, asked: Asked) -> Reply:
    asks = say(bold(STAGES[name]), "\n\n", markup(rubric.prompt)).read_aloud(rubric.prompt)
    return asks.with_choices([Choice("Stop and show me", f"/answer {asked.id}")])


def staged(name: str, rubric: Rubric, course: Investigation, pace: str = "") -> Reply:
    """The grade of one of the last questions, in short."""
    grade = course.staged[-1].grade
    if grade.score is None:
        return say(cannot_tell(grade))
    parts: Parts = [bold(f"{STAGES[name]}: {grade.score}/100"), "\n"]
    for point in rubric.points:
        verdict = grade.verdict(point.id)
        if verdict is not None:
            parts += [f"\n{MARKS[verdict.finding]} ", markup(shorten(point.statement, 130))]
            if verdict.quote and verdict.finding is not Finding.MISSING:
                parts += ["\n      ", quote(f"“{shorten(verdict.quote, 90)}”")]
    if name == "summary" and (words := investigations.jargon(course.staged[-1].text)):
        parts += ["\n\n", f"Somebody from the business would ask what this means: {', '.join(words[:4])}."]
    if pace:
        parts += ["\n\n", italic(pace)]
    return say(*parts)


def result(one: Incident, course: Investigation) -> Reply:
    """The end: what it earned, part by part, what was not looked at, and what it really was."""
    marks = investigations.marks(one, course)
    parts: Parts = [bold(f"{marks.score}/100 · {one.title}"), "\n"]
    for name, part in marks.parts().items():
        parts.append(f"\n{PARTS[name]}: {'not judged' if part is None else f'{part:.0f}'}")
    left = [clue for clue in one.true if clue.id not in course.found]
    if left:
        parts += ["\n\n", bold("Not looked at: "), markup(shorten(left[0].finds, 220))]
        parts += [f" And {len(left) - 1} more." if len(left) > 1 else ""]
    first = min(one.true, key=lambda clue: clue.rank)
    if marks.order is not None and marks.order < 70:
        parts += ["\n\n", bold("Order: "), "what is cheap and likely comes first. ", markup(first.nudge)]
    herrings = [clue for clue in one.clues if clue.herring and clue.id in course.found]
    if herrings:
        parts += ["\n\n", f"Red herrings: {len(herrings)}. Ruling something out is no mistake; say that you did."]
    parts += ["\n\n", bold("What it was: "), markup(one.resolution)]
    return say(*parts)


def over(one: Incident, course: Investigation) -> Reply:
    return result(one, course).with_choices([Choice("Another incident", "/incident"), NEXT])


def closed() -> Reply:
    return say("That incident is over. /incident begins another one.").with_choices([Choice("Incidents", "/incident")])
