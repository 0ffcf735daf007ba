"""How a Reply looks on Discord: spans as Markdown with every word escaped, pages within its limits, choices as buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from bot import Choice, Span, Style, instant, pages, units

PAGE = 2000
"""Characters of one message, markup counted."""

EMBED = 4000
"""Characters of an embed's text; Discord takes 4096, and 6000 of all that is in an embed."""

TITLE = 250
"""Characters of an embed's title."""

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

_NAMED = {Style.CHANNEL: "#", Style.GROUP: "@&"}
_MARKS = {Style.BOLD: "**", Style.ITALIC: "*", Style.QUOTE: "*"}

# A backslash before any sign makes it plain. Besides the marks: "<" begins mentions and hidden links, "@" calls people,
# "://" makes links and ":name:" pictures.
_INLINE = re.compile(r"[\\*_~`|\[<@]|:(?=//)|:(?=[\w+~-]+:)")
_LINE_START = re.compile(r"^([ \t]*)(#{1,3}|-#|[-+]|>{1,3}|\d+(?=\.))(?=\.?[ \t])", re.MULTILINE)

_SAID = re.compile(r"say\d*:(.+)\Z", re.DOTALL)
_ASKED = re.compile(r"ask\d*:(.+)\Z", re.DOTALL)


def drawn(spans: Sequence[Span], most: int = PAGE) -> list[str]:
    """Spans as the Markdown of messages that each hold at most `most` characters."""
    return [text for text in _drawn(spans, most, most) if text.strip()]


def _drawn(spans: Sequence[Span], limit: int, most: int) -> Iterator[str]:
    for page in pages(spans, limit):
        text = markdown(page)
        if units(text) <= most:
            yield text
        else:  # escaping made it longer than what was counted
            yield from _drawn(page, limit * 2 // 3, most)


def headed(spans: Sequence[Span]) -> tuple[str, tuple[Span, ...]]:
    """The bold beginning of a text, as Markdown, and what follows it; "" where it has no such beginning, or none that is short."""
    if not spans or spans[0].style is not Style.BOLD:
        return "", tuple(spans)
    title = markdown((Span(spans[0].text),))
    if units(title) > TITLE:
        return "", tuple(spans)
    rest = list(spans[1:])
    if rest:
        rest[0] = Span(rest[0].text.lstrip("\n"), rest[0].style)
    return title, tuple(span for span in rest if span.text)


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
    if span.style in _NAMED and span.text.isdecimal():
        return f"<{_NAMED[span.style]}{span.text}>"
    if span.style is Style.MOMENT:
        with suppress(ValueError):
            return f"<t:{int(instant(span).timestamp())}:R>"
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
    kind, style = ("ask", 1) if choice.asks else ("say", 2)
    return {"type": 2, "style": style, "label": label, "custom_id": f"{kind}{copy if copy > 1 else ''}:{choice.text}"}


def said_by(custom_id: str) -> str | None:
    """What pressing the button with this custom id says; None where it is none of ours."""
    match = _SAID.match(custom_id)
    return match.group(1) if match else None


def asked_by(custom_id: str) -> str | None:
    """What the button, or the form behind it, with this custom id says before what is typed; None where it is none of ours."""
    match = _ASKED.match(custom_id)
    return match.group(1) if match else None


def form(custom_id: str = REPLY) -> dict[str, Any]:
    """The form in which a reply is typed. custom_id: its own, which is that of a button that asks."""
    field = {"type": 4, "custom_id": FIELD, "style": 2, "min_length": 1, "max_length": LONGEST, "required": True}
    return {
        "custom_id": custom_id,
        "title": "Your reply",
        "components": [{"type": 18, "label": "Say it in your words", "component": field}],
    }


def filled_in(components: Sequence[Any]) -> str:
    """What was typed into the form."""
    for part in components:
        inner = part.get("component")
        if part.get("custom_id") == FIELD:
            return str(part.get("value") or "")
        if found := filled_in([*([inner] if inner else []), *(part.get("components") or [])]):
            return found
    return ""
