"""What is taken out of a spoken reply, and what is told of how it was spoken."""

from __future__ import annotations

import numpy as np
import pytest
from spoken import speech

from bot.speech import Heard, Sound, Word, tidied
from bot.speech.pace import pace, voiced
from bot.speech.sound import RATE

TIDIED = {
    "Um, so the the precision is, you know, the share of of the flagged that, uh, are right.": (
        "So the precision is the share of the flagged that are right."
    ),
    "the preci- the precision falls": "the precision falls",
    "the mod the model overfits": "the model overfits",
    "it is it is a a matter of cost": "it is a matter of cost",
    "I I think that we we should stop early": "I think that we should stop early",
    "It is biased, um.": "It is biased.",
    "uh": "",
    "Precision, I mean, over all predicted positives.": "Precision over all predicted positives.",
}

KEPT = (
    "if you know the variance you know the error",
    "item item similarity, user user similarity, a log log plot",
    "it is not not significant, it is just small",
    "one one is eleven, zero zero is nothing",
    "The loss goes down. Down is good. It is.",
    "what I mean squared is the error",
    "no, no regularization was used, and no dropout",
    "I know that that holds; the more the better",
    "we add more and more and more trees",
)


@pytest.mark.parametrize("said", TIDIED, ids=lambda said: said[:20])
def test_fillers_and_false_starts_go(said: str) -> None:
    assert tidied(said) == TIDIED[said]
    assert tidied(TIDIED[said]) == TIDIED[said]


@pytest.mark.parametrize("said", KEPT, ids=lambda said: said[:20])
def test_what_bears_meaning_stays(said: str) -> None:
    assert tidied(said) == said


def words(*times: tuple[str, float, float]) -> Heard:
    return Heard(" ".join(text for text, _, _ in times), 1.0, tuple(Word(*one) for one in times))


def silence(seconds: float) -> Sound:
    return Sound(np.zeros(int(seconds * RATE), np.float32))


def test_the_pace_is_counted_from_the_first_word_to_the_last_and_leaves_fillers_out() -> None:
    heard = words(("um", 2.0, 2.4), ("precision", 2.5, 3.5), ("is", 3.6, 4.0), ("um", 6.0, 6.4), ("about", 6.5, 7.5), ("cost", 7.5, 8.0))

    told = pace(silence(12), heard)

    assert (told.words, told.fillers, told.seconds) == (4, 2, 12.0)
    assert told.per_minute == 40
    assert told.longest_pause == pytest.approx(2.0)


def test_a_few_words_have_no_pace() -> None:
    assert pace(silence(3), words(("yes", 0.0, 0.4), ("exactly", 0.5, 1.0))).per_minute is None
    assert pace(silence(3), Heard("", 0.0)).longest_pause == 0.0


def test_without_times_the_pause_is_heard_in_the_sound() -> None:
    first, second = speech("Precision is the share of the flagged items that really are positive."), speech("Recall is another thing.")
    sound = Sound(np.concatenate([np.zeros(RATE, np.float32), first, np.zeros(2 * RATE, np.float32), second]))
    text = "Precision is the share of the flagged items that really are positive. Recall is another thing."

    told = pace(sound, Heard(text, 1.0))

    assert 2.0 <= told.longest_pause <= 2.6
    assert told.words == 16
    spoken = voiced(sound)
    assert told.per_minute == round(60 * 16 / (spoken[-1][1] - spoken[0][0]))
    assert 100 < told.per_minute < 220
