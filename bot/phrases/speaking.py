"""What the coach says of voice notes: what it heard, what becomes of it, and whether questions are read aloud."""

from __future__ import annotations

from bot.messages import Choice, Reply, bold, italic, quote, say
from bot.model import Dictation, Learner
from bot.phrases import NEXT, hearing


def waiting(before: int) -> Reply:
    return hearing.waiting(before)


def confirm(said: Dictation, *, draft: bool, looking: bool) -> Reply:
    """The transcript, before anything is graded. looking: where it is a step of an investigation, which earns no grade yet."""
    note = hearing.draft() if draft else "Is that what you said?"
    buttons = [
        Choice("Send it" if looking else "Grade it", f"/heard grade {said.id}"),
        Choice("Edit", f"/heard edit {said.id}"),
        Choice("Say again", f"/heard again {said.id}"),
    ]
    return say(bold("I heard"), "\n\n", quote(said.text), "\n\n", italic(note)).with_choices(buttons)


def heard(text: str) -> Reply:
    return say(bold("I heard"), "\n\n", quote(text))


def edit(text: str) -> Reply:
    return say("Send me the text as it should be; this is what I have:\n\n", quote(text))


def again() -> Reply:
    return say("Thrown away. Say it again whenever you like, or type it.")


def done() -> Reply:
    return say("I am done with that voice note. Send another one, or type.")


def newer() -> Reply:
    return say("I keep your latest voice note only. Use the buttons under that one, or say it again.")


def closed(text: str) -> Reply:
    return say("The question that this was for is closed, so I did not grade it. I heard:\n\n", quote(text)).with_choices([NEXT])


def nothing_open() -> Reply:
    return say("No question was open, so I did not listen to that. /next asks you one; then say your reply.").with_choices([NEXT])


def no_ear() -> Reply:
    return say("I can't hear voice notes here yet. Please type your reply.")


def lost() -> Reply:
    return say("I could not get that recording. Please send it again, or type your reply; your question is still open.")


# ---------------------------------------------------------------------------------------------- /voice


def voice(learner: Learner, *, speaks: bool, hears: bool) -> Reply:
    aloud = Choice("In text only", "/voice off") if learner.aloud else Choice("Read them aloud", "/voice on")
    grading = Choice("Show me first", "/voice first") if learner.at_once else Choice("Grade at once", "/voice at once")
    return say(
        bold("Voice"),
        "\nQuestions: ", "in text, and I read them aloud" if learner.aloud else "in text", "" if speaks else " (I have no voice here)",
        "\nYour voice notes: ", "graded at once" if learner.at_once else "I show you what I heard, you say when to grade it",
        "" if hears else " (I can't hear here yet)",
        ".",
    ).with_choices([aloud, grading])  # fmt: skip


def aloud() -> Reply:
    text = "From now on I read questions aloud."
    return say(text, " The text stays beside it; /voice off ends it.").read_aloud(text)


def silent() -> Reply:
    return say("Questions come in text only. /voice on brings the voice back.")


def first() -> Reply:
    return say("I show you what I heard, and you say when to grade it.")


def at_once(*, draft: bool) -> Reply:
    if draft:
        return say("Noted. What I hear with at the moment gives a rough draft only, so for now I still show it to you first.")
    return say("I grade your voice notes at once, and show what I heard above the grade.")


def no_voice() -> Reply:
    return say("I have no voice here: questions stay in text. Who runs this coach can give me one.")
