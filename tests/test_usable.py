"""Silence, noise, music and speech, made here, are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from spoken import Samples, sound, speech

from bot.speech import Reason, Unusable
from bot.speech.sound import RATE
from bot.speech.usable import check_sound, look

SAID = {
    "en-us": "A deep tree memorises the noise, so I prune it.", "en-gb": "The learning rate was so high that the loss exploded.",
    "en-us+f3": "If the classes are imbalanced then accuracy says nothing.", "en-us+m3": "Half of the users see the new page.",
    "en-us+whisper": "Early stopping ends the training.", "de": "Ich habe gestern im Garten gegessen.", "fr": "Le modèle apprend le bruit.",
    "es": "El modelo aprende el ruido.", "hi": "मॉडल नए डेटा पर गलत उत्तर देता है।",
    "en-us+f4": "We all know a low loss may mean a lot.", "en-us+m7": "No.", "it": "Il modello è buono e va bene.",
}  # fmt: skip
SECONDS = 4
TIME = np.arange(SECONDS * RATE) / RATE
SCALE = (262, 294, 330, 349, 392, 440, 494, 523)


def note(pitch: float, seconds: float, decay: float) -> Samples:
    at = np.arange(int(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * pitch * part * at) / part for part in range(1, 6)) * np.exp(-at * decay)  # type: ignore[no-any-return]


def bursts(random: np.random.Generator, every: int, decay: float, count: int) -> Samples:
    made = np.zeros(len(TIME))
    for at in range(0, len(made) - count, every):
        made[at : at + count] += random.normal(0, 0.3, count) * np.exp(-np.arange(count) / decay)
    return made


def nobody() -> dict[str, tuple[Reason, Samples]]:
    """What is no speech, by name, with the reason for which it is refused."""
    random = np.random.default_rng(0)
    white = random.normal(0, 0.1, len(TIME))
    melody = 0.2 * np.concatenate([note(pitch, 0.3, 6) for pitch in random.choice(SCALE, 14)])[: len(TIME)]
    organ = 0.1 * np.concatenate([sum(note(pitch * third, 0.5, 0) for third in (1, 1.25, 1.5)) for pitch in random.choice(SCALE, 8)])  # type: ignore[misc]
    rumble = np.cumsum(white) * 0.05
    return {
        "nothing": (Reason.SILENCE, np.zeros(len(TIME))),
        "a quiet room": (Reason.SILENCE, white * 0.006),
        "hiss": (Reason.NOISE, white),
        "wind": (Reason.NOISE, white * (1.1 + np.sin(2 * np.pi * 0.7 * TIME))),
        "a keyboard": (Reason.NOISE, bursts(random, 2900, 150, 800)),
        "rumble": (Reason.NOISE, rumble - np.convolve(rumble, np.ones(800) / 800, "same")),
        "drums": (Reason.NOISE, bursts(random, 4000, 400, 3000)),
        "a tone": (Reason.MUSIC, 0.3 * np.sin(2 * np.pi * 440 * TIME)),
        "a hum": (Reason.MUSIC, 0.1 * np.sin(2 * np.pi * 50 * TIME)),
        "a chord": (Reason.MUSIC, 0.1 * sum(np.sin(2 * np.pi * pitch * TIME) for pitch in (262, 330, 392))),
        "a melody": (Reason.MUSIC, melody),
        "an organ": (Reason.MUSIC, organ),
    }


NOBODY = nobody()


@pytest.mark.parametrize("name", NOBODY)
def test_what_is_no_speech_is_refused_by_its_reason(name: str) -> None:
    reason, samples = NOBODY[name]
    with pytest.raises(Unusable) as refusal:
        check_sound(sound(samples))

    assert refusal.value.reason is reason, look(sound(samples))


@pytest.mark.parametrize("voice", SAID)
def test_speech_is_never_taken_for_anything_else(voice: str) -> None:
    """Loud or soft, with noise 20, 10 and 5 dB below it, and after a pause."""
    said = speech(SAID[voice], voice)
    random = np.random.default_rng(1)
    loud = float(np.sqrt(np.mean(said**2)))
    check_sound(sound(said))
    check_sound(sound(said * 0.05))
    check_sound(sound(np.concatenate([np.zeros(3 * RATE, np.float32), said])))
    for below in (20, 10, 5) if voice != "en-us+whisper" else (20,):
        check_sound(sound(said + random.normal(0, loud * 10 ** (-below / 20), len(said))))
