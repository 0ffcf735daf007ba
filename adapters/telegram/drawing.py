"""How a Reply looks on Telegram: spans as HTML with every word escaped, messages within its limits, choices as inline buttons."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot import Choice, File, Reply, Span, Style, pages, units

PAGE = 4096
"""UTF-16 units of text that one message holds, markup not counted."""

CAPTION = 1024
"""UTF-16 units of text under a picture or a document."""

_TAGS = {Style.BOLD: "b", Style.ITALIC: "i", Style.QUOTE: "i", Style.CODE: "code", Style.BLOCK: "pre"}


def parts(reply: Reply) -> list[tuple[File | None, tuple[Span, ...]]]:
    """The messages of a reply: its files, then its pages; a text that is short enough is the last file's caption, a picture's
    where there is one, so that the buttons stand under it."""
    files = sorted(reply.files, key=lambda file: file.picture)
    if files and sum(units(span.text) for span in reply.spans) <= CAPTION:
        return [*((file, ()) for file in files[:-1]), (files[-1], reply.spans)]
    return [*((file, ()) for file in files), *((None, page) for page in pages(reply.spans, PAGE))]


def html(spans: Sequence[Span]) -> str:
    """Spans as Telegram's HTML, every word of them escaped."""
    drawn = []
    for span in spans:
        tag = _TAGS.get(span.style)
        text = escape(span.text, quote=False)
        drawn.append(f"<{tag}>{text}</{tag}>" if tag and span.text.strip() else text)
    return "".join(drawn)


def keyboard(choices: Sequence[Sequence[Choice]]) -> InlineKeyboardMarkup | None:
    """Rows of inline buttons; the data of each is the text that pressing it says."""
    rows = [[InlineKeyboardButton(choice.label, callback_data=choice.text) for choice in row] for row in choices if row]
    return InlineKeyboardMarkup(rows) if rows else None
