"""The engine of the coach: it turns a message into replies and a minute into deliveries, and knows no platform."""

from bot.coach import Coach
from bot.commands import COMMANDS, Command
from bot.messages import Address, Choice, File, Message, Place, Recording, Reply, Right, Span, Style, VoiceNote, instant, pages, say, units
from bot.outbox import UNLIMITED, Pace

__all__ = [
    "COMMANDS",
    "UNLIMITED",
    "Address",
    "Choice",
    "Coach",
    "Command",
    "File",
    "Message",
    "Pace",
    "Place",
    "Recording",
    "Reply",
    "Right",
    "Span",
    "Style",
    "VoiceNote",
    "instant",
    "pages",
    "say",
    "units",
]
