"""Every sentence that the coach says. Short, kind, and never longer than a phone."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from bot.commands import COMMANDS
from bot.content import Followup, Library, Question, Rubric
from bot.days import clock, local_day, zone_of
from bot.interviews import Chosen, Reason
from bot.messages import Choice, Reply, Span, bold, italic, markup, quote, say
from bot.model import Asked, Attempt, Finding, Grade, Learner, Mistaken, Occasion, Sure, Verdict

SIZES = ((130, 90, 400), (100, 70, 220), (70, 50, 130), (60, 40, 90))
"""Characters of a point, of the learner's words and of a correction, tried in this order until a grade fits a phone."""

GRADE_LIMIT = 2400
"""Characters of a grade."""

MARKS = {
    Finding.COVERED: "✅",
    Finding.PARTLY: "🟡",
    Finding.MISSING: "⚪",
    Finding.CONTRADICTED: "❌",
    Finding.CANNOT_TELL: "❔",
}

NOTES = {
    "cut": "Your reply was long: I read its first part only.",
    "instructions": "What you wrote to the grader earns nothing, so I left it out.",
    "keywords": "Terms alone earn nothing: say what you mean by them.",
    "memorised": "These are the model answer's own words. An interviewer hears that: say it your way, with a case of your own.",
    "neighbour": "That reads like the answer to another question of this topic.",
    "off-topic": "That seems to be about something else than the question.",
    "offline": "The language model could not be asked; this is my own grade.",
}
"""What is said of an unusual grade."""

NEXT = Choice("Next question", "/next")
LEVELS = {1: "Junior", 2: "Regular", 3: "Senior", 4: "Staff", 5: "Principal"}


# ---------------------------------------------------------------------------------------------- set-up


def welcome(zones: Sequence[str]) -> Reply:
    return say(
        bold("Hello, I am your interview coach."),
        "\nOne good machine-learning question a day; I grade your reply point by point and show you why.",
        "\nThree taps and we begin. ",
        "Where are you? Tap, or type your city.",
    ).with_choices(*_rows([Choice(zone_label(zone), f"/zone {zone}") for zone in zones], 2))


def pick_zone(zones: Sequence[str], asked: str) -> Reply:
    if not zones:
        return say(
            "I know no place like ", quote(shorten(asked, 40)), ". Send a city, a zone such as Europe/Berlin, or an offset such as UTC+2."
        )
    words = "Which one do you mean?" if asked else "Where are you? Tap, or type your city."
    return say(words).with_choices(*_rows([Choice(zone_label(zone), f"/zone {zone}") for zone in zones], 2))


def ask_time(learner: Learner, now: datetime) -> Reply:
    there = now.astimezone(zone_of(learner.zone))
    times = [
        Choice("09:00", "/daily 09:00"),
        *(Choice(text, f"/daily {text}") for text in ("07:30", "12:30", "18:00", "21:00")),
        Choice("No daily question", "/daily off"),
    ]
    return say(
        f"{zone_label(learner.zone)}, where it is {there:%H:%M}. When shall the daily question come? Tap, or type a time."
    ).with_choices(*_rows(times, 3))


def ask_tracks(library: Library) -> Reply:
    everything = Choice("Everything, senior level: start", "/track all 3")
    tracks = [Choice(title.removesuffix(" interview"), f"/track {id}") for id, title in library.syllabus.tracks.items()]
    return say("What are you preparing for?").with_choices([everything], *_rows(tracks, 2))


def ask_level() -> Reply:
    return say("And at which level?").with_choices(*_rows([Choice(name, f"/level {n}") for n, name in LEVELS.items()], 3))


def zone_set(learner: Learner, now: datetime) -> Reply:
    return say(f"Your zone is {zone_label(learner.zone)}; it is {now.astimezone(zone_of(learner.zone)):%H:%M} there now.")


def daily_set(learner: Learner, now: datetime) -> Reply:
    if learner.minute is None:
        return say("No daily question any more. /next asks you one whenever you like, /daily 09:00 brings it back.")
    when = f"Your question comes every day at {clock(learner.minute)}, {zone_label(learner.zone)} time"
    if learner.next_due_at is None:
        return say(f"{when}, once you /resume.")
    due = learner.next_due_at.astimezone(zone_of(learner.zone))
    today = now.astimezone(zone_of(learner.zone)).date()
    return say(f"{when}. The next one: {_day(due.date(), today)} at {due:%H:%M}.")


def daily_unclear() -> Reply:
    return say("Give me a time, and a place if you moved: /daily 09:00, /daily 7:30 pm Berlin, or /daily off.")


def tracks_set(learner: Learner, library: Library) -> Reply:
    names = [library.syllabus.tracks[id] for id in library.syllabus.tracks if id in learner.tracks] or ["everything"]
    return say("I ask about: " + ", ".join(names) + ".")


def level_set(learner: Learner) -> Reply:
    return say(f"Level {learner.level} of 5, {LEVELS[learner.level].lower()}.")


def level_unclear() -> Reply:
    return say("A level is a number from 1 (junior) to 5 (principal).").with_choices(
        *_rows([Choice(name, f"/level {n}") for n, name in LEVELS.items()], 3)
    )


def settings(learner: Learner, library: Library, now: datetime) -> Reply:
    names = [library.syllabus.tracks[id] for id in library.syllabus.tracks if id in learner.tracks] or ["everything"]
    lines = [
        f"\nZone: {zone_label(learner.zone)} ({now.astimezone(zone_of(learner.zone)):%H:%M} now)",
        f"\nDaily question: {clock(learner.minute) if learner.minute is not None else 'off'}{_paused(learner)}",
        f"\nWeekly message: {_weekly(learner)}",
        *([f"\nRest days: {', '.join(day_names(learner.rest))}"] if learner.rest else []),
        f"\nInterviews: {', '.join(names)}",
        f"\nLevel: {learner.level} of 5, {LEVELS[learner.level].lower()}",
        f"\nVoice: questions {'in text and spoken' if learner.aloud else 'in text'}, ",
        f"voice notes {'graded at once' if learner.at_once else 'shown to you before they are graded'}",
        *(
            [f"\nYour interview: {learner.interview_on.day} {learner.interview_on:%B %Y}"]
            if learner.interview_on and learner.interview_on >= local_day(now, learner.zone)
            else []
        ),
    ]
    return say(bold("Your settings"), *lines).with_choices(
        [Choice("Zone", "/zone"), Choice("Time", "/daily"), Choice("Interviews", "/track"), Choice("Level", "/level")],
        [Choice("Voice", "/voice")],
    )


# ---------------------------------------------------------------------------------------------- asking


def question(asked: Asked, one: Question, library: Library) -> Reply:
    head = "Question of the day" if asked.occasion is Occasion.DAILY else "Question"
    words = one.wording(asked.wording)
    asks = say(bold(f"{head} · {library.syllabus.sections[one.section]} · level {one.level}"), "\n\n", markup(words)).read_aloud(words)
    return asks.with_choices(
        [Choice("Hint", f"/hint {asked.id}"), Choice("Skip", f"/skip {asked.id}"), Choice("Show answer", f"/answer {asked.id}")],
        sure(asked),
    )


LEADS = {
    Reason.MISCONCEPTION: " Think that through once more. ",
    Reason.CORE: " One thing is still open. ",
    Reason.UNSUPPORTED: " ",
    Reason.STRONG: " One level deeper. ",
    Reason.POINT: " And beyond that? ",
}


def taken_up(chosen: Chosen | None) -> list[str | Span]:
    """The learner's own words that a follow-up begins from."""
    if chosen is None or not chosen.quote:
        return []
    words = shorten(chosen.quote.rstrip(" .;,:"), 120)
    return ["You said ", quote(f"“{words}”"), ".", LEADS[chosen.reason]]


SURE = {Sure.SURE: "Sure", Sure.THINK_SO: "Think so", Sure.GUESSING: "Guessing"}


def sure(asked: Asked) -> list[Choice]:
    """How sure are you? The buttons under a question."""
    return [Choice(label, f"/sure {asked.id} {level.value}") for level, label in SURE.items()]


def follow_up(asked: Asked, one: Followup, chosen: Chosen | None = None) -> Reply:
    return (
        say(bold("Follow-up"), "\n\n", *taken_up(chosen), markup(one.prompt))
        .read_aloud(one.prompt)
        .with_choices([Choice("Skip", f"/skip {asked.id}"), Choice("Show answer", f"/answer {asked.id}")])
    )


def hint(number: int, text: str, asked: Asked) -> Reply:
    more = [Choice("Another hint", f"/hint {asked.id}")] if number == 1 else []
    return say(bold(f"Hint {number}: "), markup(text)).with_choices([*more, Choice("Show answer", f"/answer {asked.id}")])


def no_more_hints(asked: Asked) -> Reply:
    return say("That was the last hint. Say what you have: a part earns its part.").with_choices(
        [Choice("Show answer", f"/answer {asked.id}")]
    )


def no_hint_for_follow_up() -> Reply:
    return say("There is no hint for a follow-up. A few words are enough, or /skip.")


def skipped() -> Reply:
    return say("Skipped. It will come back another day.").with_choices([NEXT])


def model_answer(rubric: Rubric) -> Reply:
    return say(bold("Model answer"), "\n\n", markup(rubric.answer)).with_choices([NEXT])


def nothing_open() -> Reply:
    return say("No question is open right now. /next asks you one.").with_choices([NEXT])


def already_asked() -> Reply:
    return say("Your question is just above: type your reply, or tap Hint.")


def closed() -> Reply:
    return say("That question is closed already.").with_choices([NEXT])


def too_soon() -> Reply:
    return say("I had graded your first message when this one came. If it was meant for the follow-up, send it again.")


def no_such_topic(asked: str, library: Library) -> Reply:
    return say("I have nothing on ", quote(shorten(asked, 40)), ". These are my topics:").with_choices(*_topic_rows(library))


def topics(library: Library, learner: Learner | None) -> Reply:
    lines = [f"\n{library.syllabus.sections[id]}: {len(library.about(id))}" for id in library.sections()]
    return say(bold("What I ask about"), *lines, "\n\nTap one, or name anything: /next precision").with_choices(*_topic_rows(library))


def _topic_rows(library: Library) -> list[list[Choice]]:
    return _rows([Choice(library.syllabus.sections[id], f"/next {id}") for id in library.sections()], 2)


# ---------------------------------------------------------------------------------------------- grading


def graded(
    attempt: Attempt, rubric: Rubric, title: str, *, deeper: bool, first: Attempt | None = None, raised: bool = False, pace: str = ""
) -> Reply:
    """The grade as a learner reads it: score, a line per point with its evidence, what was wrong, what to add.

    first: the attempt at the question itself, where this is one at a follow-up; raised: that this one raised it. pace: how it was
    spoken, in a line."""
    grade = attempt.grade
    buttons = [Choice("Model answer", f"/answer {attempt.asked}"), NEXT]
    if deeper:
        buttons.insert(0, Choice("Go deeper", f"/deeper {first.id if first else attempt.id}"))
    if grade.score is None:
        return say(cannot_tell(grade)).with_choices(buttons)
    spoken: Parts = ["\n\n", italic(pace)] if pace else []
    wanting = any(verdict.finding is not Finding.COVERED for verdict in grade.verdicts)
    appeal = [[Choice("I did say that", f"/appeal {attempt.id}")]] if wanting else []
    for sizes in SIZES:
        helped: Parts = ["\n\n", italic(f"With this, your first reply counts {first.grade.score}/100.")] if first and raised else []
        reply = say(*_grade(attempt, rubric, title, *sizes), *helped, *spoken)
        if len(reply.text) <= GRADE_LIMIT:
            break
    return reply.with_choices(buttons, *appeal)


Parts = list[str | Span | Iterable[Span]]


def _grade(attempt: Attempt, rubric: Rubric, title: str, said: int, quoted: int, corrected: int) -> Parts:
    grade = attempt.grade
    parts: Parts = [bold(f"{grade.score}/100"), f" · {title}{' · spoken' if attempt.spoken else ''}\n"]
    for point in rubric.points:
        verdict = grade.verdict(point.id)
        if verdict is not None:
            parts += [f"\n{MARKS[verdict.finding]} ", markup(shorten(point.statement, said)), *_evidence(verdict, attempt, rubric, quoted)]
    wrong = _wrong(attempt, rubric, quoted, corrected)
    if wrong:
        parts += ["\n", *wrong]
    parts += ["\n\n", bold("Next time: "), *_advice(grade, rubric)]
    for note in grade.note.split():
        if note in NOTES:
            parts += ["\n\n", italic(NOTES[note])]
    return parts


def _evidence(verdict: Verdict, attempt: Attempt, rubric: Rubric, quoted: int) -> Parts:
    """The learner's words for one point; those that a correction quotes below are not shown twice."""
    doubt = "\n      I may have misread this: it sounded to me like the opposite too" if verdict.doubted else ""
    lead = {Finding.COVERED: "", Finding.PARTLY: "partly: ", Finding.CONTRADICTED: "but you said "}.get(verdict.finding)
    stated = {one.misconception for one in attempt.grade.misconceptions}
    if lead is None or (
        verdict.finding is Finding.CONTRADICTED and any(one.reverses == verdict.point and one.id in stated for one in rubric.misconceptions)
    ):
        return [doubt]
    return ["\n      ", lead, _own_words(attempt.text, verdict, quoted), " (with help)" if verdict.helped else "", doubt]


def _wrong(attempt: Attempt, rubric: Rubric, quoted: int, corrected: int) -> Parts:
    parts: Parts = []
    for mistaken in attempt.grade.misconceptions:
        one = rubric.misconception(mistaken.misconception)
        if one is not None:
            parts += ["\n❌ You said ", _own_words(attempt.text, mistaken, quoted)]
            parts += ["\n      ", markup(shorten(one.correction, corrected))]
    return parts


def _own_words(text: str, place: Verdict | Mistaken, quoted: int) -> Span:
    """The quote as it is shown: with the bracket that closes one in it, where it stands just behind."""
    words = place.quote
    helped = isinstance(place, Verdict) and place.helped  # then the words are those of another reply
    if place.end is not None and not helped and words.count("(") > words.count(")") and text[place.end : place.end + 1] == ")":
        words += ")"
    return quote(f"“{shorten(words, quoted)}”")


_LEADS = {
    Finding.MISSING: "add one thing. ",
    Finding.PARTLY: "say this one in full. ",
    Finding.CONTRADICTED: "turn this one round. ",
}


def _advice(grade: Grade, rubric: Rubric) -> Parts:
    """One thing to add: the heaviest point that is not there yet, core ones first."""
    wanting = [(point, verdict.finding) for point in rubric.points if (verdict := grade.verdict(point.id)) and verdict.finding in _LEADS]
    if not wanting:
        return ["nothing to add. Say it as calmly on the day."]
    point, finding = max(wanting, key=lambda one: (one[0].core, one[0].weight))
    lead = "begin with the core. " if point.core and finding is Finding.MISSING else _LEADS[finding]
    return [lead, markup(shorten(point.statement, 220))]


def cannot_tell(grade: Grade) -> str:
    if "language" in grade.note.split():
        return "I read English only, so I can't judge this reply. It costs you nothing: your streak is safe. Try it in English?"
    if grade.note == "failed":
        return "My grading failed, so there is no score this time. Your reply is kept and your streak is safe; try it again later."
    return "I can't tell how good this reply is, so I give it no score. Your streak is safe."


def no_words() -> Reply:
    return say("I need words to grade. Type your reply, even a rough one.")


def give_up(asked: Asked) -> Reply:
    return say("Fair enough. A hint, or the answer?").with_choices(
        [Choice("Hint", f"/hint {asked.id}"), Choice("Show answer", f"/answer {asked.id}"), Choice("Skip", f"/skip {asked.id}")]
    )


def no_follow_up() -> Reply:
    return say("I have no further question on that one.").with_choices([NEXT])


def two_messages(again: str) -> Reply:
    """`again`: the question's id, or "" where it was a follow-up."""
    choices = [Choice("Take it again", f"/redo {again}"), NEXT] if again else [NEXT]
    tail = " To say it all in one message, take the question again." if again else ""
    return say(f"I had graded your first message when this one came, so it is not counted.{tail}").with_choices(choices)


def follow_up_open() -> Reply:
    return say("The follow-up is just above: type your reply to it.")


# ---------------------------------------------------------------------------------------------- where one stands


def paused(until: date, today: date) -> Reply:
    if until == date.max:
        return say("Paused. I ask nothing on my own until you /resume.").with_choices([Choice("Resume", "/resume")])
    return say(f"Paused. Your daily question is back {_day(until, today)}.").with_choices([Choice("Resume now", "/resume")])


def pause_unclear() -> Reply:
    return say("How many days? /pause 5, at most 365, or /pause alone until you /resume.")


def resumed(learner: Learner, now: datetime) -> Reply:
    if learner.minute is None:
        return say("You are not paused, and there is no daily question. /daily 09:00 sets one.")
    return say("Welcome back. ", *daily_set(learner, now).spans).with_choices([NEXT])


# ---------------------------------------------------------------------------------------------- odds and ends


def help() -> Reply:
    lines = [
        f"\n/{command.name}{' ' + command.usage if command.usage else ''} - {command.summary}" for command in COMMANDS if command.listed
    ]
    rule = "\nWhile a question is open, whatever you type, or say in a voice note, is your reply to it.\n"
    return say(bold("How this works"), rule, *lines)


def unknown(name: str, meant: str) -> Reply:
    if meant:
        return say(f"I don't know /{name}. Did you mean /{meant}?").with_choices([Choice(f"/{meant}", f"/{meant}")])
    return say(f"I don't know /{name}. /help shows what I understand.")


def not_text(other: str) -> Reply:
    return say(f"I can't read a {other} yet. Please type your reply.")


def cancelled(what: str) -> Reply:
    return say(
        {
            "setup": "The set-up is over; /settings changes things any time.",
            "setting": "Everything stays as it was; /settings changes it any time.",
            "followup": "The follow-up is closed.",
            "appeal": "The verdict stays as it is.",
            "flag": "Nothing is flagged.",
        }.get(what, "The question is closed.")
    ).with_choices([NEXT])


def nothing_to_cancel() -> Reply:
    return say("There is nothing to cancel.")


def in_private(name: str) -> Reply:
    return say(f"/{name} is for the two of us: write to me in private.")


def slower() -> Reply:
    return say("That is more than I can take in at once. Nothing is lost: I go on with it in a minute, one after another.")


def failed() -> Reply:
    return say("Something went wrong on my side; your message is kept and nothing is lost. Please try again in a minute.")


def shorten(text: str, limit: int) -> str:
    """`text` on one line, at most `limit` characters, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    return (cut[: cut.rfind(" ")] if " " in cut[limit // 2 :] else cut).rstrip(",;:.") + "…"


def zone_label(zone: str) -> str:
    """ "New York" for America/New_York, "UTC-5" for Etc/GMT+5."""
    if zone.startswith("Etc/GMT"):
        sign = {"+": "-", "-": "+"}.get(zone[7:8], "")
        return f"UTC{sign}{zone[8:]}"
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def _rows(choices: Sequence[Choice], width: int) -> list[list[Choice]]:
    return [list(choices[start : start + width]) for start in range(0, len(choices), width)]


def _day(day: date, today: date) -> str:
    ahead = (day - today).days
    return {0: "today", 1: "tomorrow"}.get(ahead) or (f"on {day:%A}" if 0 < ahead < 7 else f"on {day.day} {day:%B}")


def day_names(weekdays: Iterable[int]) -> list[str]:
    """The names of weekdays, 0 Monday to 6 Sunday."""
    return [calendar.day_name[day] for day in sorted(weekdays)]


def _weekly(learner: Learner) -> str:
    return "off" if learner.week_day is None else f"{day_names([learner.week_day])[0]} {clock(learner.week_minute)}"


def _paused(learner: Learner) -> str:
    if learner.paused_until is None:
        return ""
    return " (paused)" if learner.paused_until == date.max else f" (paused until {learner.paused_until.day} {learner.paused_until:%B})"
