"""Telegram, through python-telegram-bot: updates become Messages, Replies become HTML with inline buttons, recordings are fetched."""

from adapters.telegram.drawing import html, keyboard
from adapters.telegram.platform import SHORT_DESCRIPTION, Telegram

__all__ = ["SHORT_DESCRIPTION", "Telegram", "html", "keyboard"]
