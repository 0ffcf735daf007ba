"""What the coach says where a recording is of no use, has to wait, or was spoken at some pace."""

from __future__ import annotations

from bot.messages import Reply, say
from bot.speech.pace import USUAL, Pace
from bot.speech.sound import Reason

AGAIN = "Say it again, or type it; your question is still open."

WHY = {
    Reason.EMPTY: "There is nothing in that recording.",
    Reason.TOO_BIG: "That file is too large: I take up to 20 MB.",
    Reason.TOO_LONG: "That is longer than I can listen to: five minutes at most.",
    Reason.TOO_SHORT: "That was too short for me to understand.",
    Reason.NOT_AUDIO: "I can't play that file: send a voice note, or OGG, MP3, M4A or WAV.",
    Reason.BROKEN: "That recording is damaged, or was cut off.",
    Reason.CHANNELS: "That recording has more channels than I can listen to.",
    Reason.TOO_SLOW: "I could not finish listening to that in time.",
    Reason.NEEDS_EXTRA: "I can't play that kind of file here: send a voice note, or OGG, MP3 or WAV.",
    Reason.SILENCE: "I heard nothing.",
    Reason.NOISE: "I heard noise and no words that I could make out.",
    Reason.MUSIC: "I heard music and no words that I could make out.",
    Reason.LANGUAGE: "That did not sound like English, and English is all I understand.",
    Reason.UNSURE: "I did not understand enough of that to grade it fairly.",
    Reason.BUSY: "Too many voice notes are waiting at the moment.",
    Reason.AWAY: "I can't listen at the moment.",
}


def unusable(reason: Reason) -> Reply:
    """Nothing is graded and nothing is lost."""
    return say(f"{WHY[reason]} {AGAIN}")


def waiting(before: int) -> Reply:
    """before: how many recordings are listened to first."""
    number = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(before, str(before))
    return say(f"I have your voice note; {number} before you.")


def draft() -> str:
    return "This is a rough draft: I often mishear. Correct it before I grade it."


def pace(one: Pace) -> str:
    """How a reply was spoken, in a line; it is no part of a score."""
    low, high = USUAL
    parts = [f"{one.per_minute} words a minute (usual: {low} to {high}, Tauroza and Allison 1990)"] if one.per_minute is not None else []
    parts += [f"{one.fillers} filler{'' if one.fillers == 1 else 's'}"]
    parts += [f"longest pause {one.longest_pause:.1f} s", f"{_clock(one.seconds)} in all"]
    return f"Spoken: {', '.join(parts)}. Not part of the score."


def _clock(seconds: float) -> str:
    return f"{int(seconds)} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
