"""Voice notes in: from the bytes that a platform hands over to words that can be graded, or to the reason why not."""

from bot.messages import Clip
from bot.speech.ears import open_ear, open_listener
from bot.speech.listening import Listener, Transcript
from bot.speech.pace import Pace
from bot.speech.sound import Ear, Heard, Reason, Sound, Unusable, Word
from bot.speech.tidying import tidied

__all__ = [
    "Clip",
    "Ear",
    "Heard",
    "Listener",
    "Pace",
    "Reason",
    "Sound",
    "Transcript",
    "Unusable",
    "Word",
    "open_ear",
    "open_listener",
    "tidied",
]
