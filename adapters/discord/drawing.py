"""How a Reply looks on Discord: spans as Markdown with every word escaped, pages within its limits, choices as buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bot import Choice, Span, Style, pages, units

PAGE = 2000
"""Characters of one message, markup counted."""

WIDTH, HEIGHT = 5, 5
"""Buttons in a row, and rows."""

LABEL = 80
"""Characters on a button."""

REPLY = "reply"
"""The custom id of the button and of the form for typing where plain messages are not read."""

FIELD = "text"
"""The custom id of the form's one field."""

LONGEST = 4000
"""Characters that the form takes."""

_MARKS = {Style.BOLD: "**", Style.ITALIC: "*", Style.QUOTE: "*"}

# A backslash before any sign makes it plain. Besides the marks: "<" begins mentions and hidden links, "@" calls people,
# "://" makes links and ":name:" pictures.
_INLINE = re.compile(r"[\\*_~`|\[<@]|:(?=//)|:(?=[\w+~-]+:)")
_LINE_START = re.compile(r"^([ \t]*)(#{1,3}|-#|[-+]|>{1,3}|\d+(?=\.))(?=\.?[ \t])", re.MULTILINE)

_SAID = re.compile(r"say\d*:(.+)\Z", re.DOTALL)


def drawn(spans: Sequence[Span], limit: int = PAGE) -> list[str]:
    """Spans as the Markdown of messages that each hold at most `PAGE` characters."""
    return [text for text in _drawn(spans, limit) if text.strip()]


def _drawn(spans: Sequence[Span], limit: int) -> Iterator[str]:
    for page in pages(spans, limit):
        text = markdown(page)
        if units(text) <= PAGE:
            yield text
        else:  # escaping made it longer than what was counted
            yield from _drawn(page, limit * 2 // 3)


def markdown(spans: Sequence[Span]) -> str:
    """Spans as Discord's Markdown, every word of them escaped."""
    text = ""
    for span in spans:
        piece = _piece(span, at_line_start=not text or text.endswith("\n"))
        if text.endswith("*") and piece.startswith("*"):
            text += "\u200b"  # two marks that touch would be read as one
        text += piece
    return text


def _piece(span: Span, *, at_line_start: bool) -> str:
    if span.style is Style.BLOCK and span.text.strip():
        return "```\n" + span.text.replace("```", "``\u200b`").strip("\n") + "\n```"
    if span.style is Style.CODE and span.text.strip() and "`" not in span.text:
        return f"`{span.text}`"
    mark = _MARKS.get(span.style, "")
    inner = span.text.strip()
    if not mark or not inner:
        return _escaped(span.text, at_line_start)
    before, _, after = span.text.partition(inner)  # a mark next to a space is none
    return f"{before}{mark}{_escaped(inner, at_line_start=False)}{mark}{after}"


def _escaped(text: str, at_line_start: bool) -> str:
    first, newline, rest = text.partition("\n")
    first = _INLINE.sub(r"\\\g<0>", first)
    if at_line_start:
        first = _LINE_START.sub(_shielded, first)
    return first + newline + _LINE_START.sub(_shielded, _INLINE.sub(r"\\\g<0>", rest))


def _shielded(match: re.Match[str]) -> str:
    indent, sign = match.groups()
    return f"{indent}{sign}\\" if sign.isdigit() else f"{indent}\\{sign}"


# ---------------------------------------------------------------------------------------------- buttons and the form


def buttons(choices: Sequence[Sequence[Choice]], *, reply: bool) -> list[dict[str, Any]]:
    """Rows of buttons, each of which holds what it says; with `reply` one more, which opens the form.

    What Discord has no room for (25 in all) is left out from the end."""
    rows = [list(row) for row in choices if row]
    most = HEIGHT - 1 if reply else HEIGHT
    if len(rows) > most or any(len(row) > WIDTH for row in rows):
        flat = [choice for row in rows for choice in row][: WIDTH * most]
        rows = [flat[start : start + WIDTH] for start in range(0, len(flat), WIDTH)]
    seen: dict[str, int] = {}
    drawn = [[_button(choice, seen) for choice in row] for row in rows]
    if reply:
        drawn.append([{"type": 2, "style": 1, "label": "Reply", "custom_id": REPLY}])
    return [{"type": 1, "components": row} for row in drawn]


def _button(choice: Choice, seen: dict[str, int]) -> dict[str, Any]:
    copy = seen[choice.text] = seen.get(choice.text, 0) + 1
    label = choice.label.strip() or choice.text
    label = label if len(label) <= LABEL else label[: LABEL - 1].rstrip() + "…"
    return {"type": 2, "style": 2, "label": label, "custom_id": f"say{copy if copy > 1 else ''}:{choice.text}"}


def said_by(custom_id: str) -> str | None:
    """What pressing the button with this custom id says; None where it is none of ours."""
    match = _SAID.match(custom_id)
    return match.group(1) if match else None


def form() -> dict[str, Any]:
    """The form in which a reply is typed."""
    field = {"type": 4, "custom_id": FIELD, "style": 2, "min_length": 1, "max_length": LONGEST, "required": True}
    return {"custom_id": REPLY, "title": "Your reply", "components": [{"type": 18, "label": "Say it in your words", "component": field}]}


def filled_in(components: Sequence[Any]) -> str:
    """What was typed into the form."""
    for part in components:
        inner = part.get("component")
        if part.get("custom_id") == FIELD:
            return str(part.get("value") or "")
        if found := filled_in([*([inner] if inner else []), *(part.get("components") or [])]):
            return found
    return ""
