"""The engine of the coach: it turns a message into replies and a minute into deliveries, and knows no platform."""

from bot.coach import Coach
from bot.commands import COMMANDS, Command
from bot.messages import Address, Choice, Message, Reply, Span, Style, pages, units

__all__ = [
    "COMMANDS",
    "Address",
    "Choice",
    "Coach",
    "Command",
    "Message",
    "Reply",
    "Span",
    "Style",
    "pages",
    "units",
]
