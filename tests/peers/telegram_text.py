"""How Telegram reads a text: its HTML parse mode, the entities it finds by itself, lengths in UTF-16 code units.

The rules and the wording of the errors are those of TDLib (td/telegram/MessageEntity.cpp): what Telegram refuses is
refused here, what it silently drops is dropped here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

Entity = dict[str, Any]
"""One MessageEntity as the Bot API spells it: type, offset, length and sometimes url, language or user."""

KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
QUOTES = ("blockquote", "expandable_blockquote")
ORDER = {
    kind: rank
    for rank, kinds in enumerate(
        (
            QUOTES,
            ("pre",),
            ("code",),
            ("text_link", "text_mention"),
            ("mention", "hashtag"),
            *((s,) for s in STYLES),
        )
    )
    for kind in kinds
}
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2800\u3164\ufeff]*")

MENTION = re.compile(r"(?<!\w)@[A-Za-z0-9_]{4,32}(?!\w)")
COMMAND = re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>@])")
HASHTAG = re.compile(r"(?<!\w)#(?=\w*[^\W\d])\w{1,256}(?![\w#])")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?![\w-])")
DOMAINS = "ai|app|com|de|dev|edu|gov|info|io|me|net|org|py|rs|ru|sh|uk"
URL = re.compile(
    r"(?i)(?:https?://[^\s<>\"]*[^\s<>\".,;:!?')\]]"
    rf"|(?<![\w@./-])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:{DOMAINS})(?![\w-])(?:/[^\s<>\"]*[^\s<>\".,;:!?')\]])?)"
)


class CannotParse(ValueError):
    """The text breaks a rule of the parse mode; the message is Telegram's own, after "can't parse entities: "."""


def units(text: str) -> int:
    """The length that Telegram counts: UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def piece(text: str, entity: Entity) -> str:
    """The part of the text that an entity covers."""
    raw = text.encode("utf-16-le", "surrogatepass")
    start, end = entity["offset"], entity["offset"] + entity["length"]
    return raw[2 * start : 2 * end].decode("utf-16-le", "replace")


def read(text: str, parse_mode: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """What is left of a text when Telegram has parsed, cleaned and trimmed it. Raises CannotParse."""
    if text and parse_mode.lower() == "html":
        text, entities = parse_html(text)
    return tidy(text, entities)


def is_blank(text: str) -> bool:
    """Whether Telegram calls this text empty."""
    return INVISIBLE.fullmatch(text) is not None


# The HTML parse mode


@dataclass
class _Open:
    tag: str
    argument: str
    offset: int
    at: int


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """The plain text and the entities of a text in HTML parse mode, not yet tidied. Raises CannotParse."""
    out: list[str] = []
    found: list[Entity] = []
    stack: list[_Open] = []
    offset = i = 0
    while i < len(source):
        if source.startswith("</", i):
            i = _close(source, i, stack, found, out, offset)
        elif source[i] == "<":
            tag, argument, i = _open(source, i)
            stack.append(_Open(tag, argument, offset, len(out)))
        else:
            character, i = _character(source, i)
            out.append(character)
            offset += units(character)
    if stack:
        raise CannotParse(f'Can\'t find end tag corresponding to start tag "{stack[-1].tag}"')
    return "".join(out), found


def _byte(source: str, i: int) -> int:
    return len(source[:i].encode("utf-8", "surrogatepass"))


def _character(source: str, i: int) -> tuple[str, int]:
    """The next character, an entity reference decoded, and where to go on. Unknown names stay as they are."""
    if source[i] == "&":
        if numeric := re.compile(r"&#(?:x([0-9A-Fa-f]+)|([0-9]+))").match(source, i):
            code = int(numeric[1], 16) if numeric[1] else int(numeric[2])
            if 0 < code < 0x10FFFF and len(numeric[0]) < 10 and not 0xD800 <= code <= 0xDFFF:
                return chr(code), numeric.end() + source.startswith(";", numeric.end())
        elif (named := re.compile(r"&([A-Za-z]+)").match(source, i)) and named[1] in NAMED:
            return NAMED[named[1]], named.end() + source.startswith(";", named.end())
    return source[i], i + 1


def _open(source: str, begin: int) -> tuple[str, str, int]:
    """Read a start tag: its name, the one attribute that counts, and where the text goes on."""
    head = re.compile(r"[^\s>]*").match(source, begin + 1)
    assert head is not None
    i, size, where = head.end(), len(source), f"at byte offset {_byte(source, begin)}"
    if i == size:
        raise CannotParse(f"Unclosed start tag {where}")
    tag = head[0].lower()
    if tag not in KINDS:
        raise CannotParse(f'Unsupported start tag "{tag}" {where}')
    argument = ""
    while True:
        i = _skip_space(source, i)
        if i == size:
            raise CannotParse(f'Unclosed start tag "{tag}" {where}')
        if source[i] == ">":
            break
        start = i
        while i < size and not source[i].isspace() and source[i] not in "=>/\"'":
            i += 1
        name = source[start:i]
        if not name:
            raise CannotParse(f'Empty attribute name in the tag "{tag}" {where}')
        i = _skip_space(source, i)
        if not source.startswith("=", i):
            argument = "1" if (tag, name) == ("blockquote", "expandable") else argument
            continue
        value, i = _value(source, _skip_space(source, i + 1), where)
        if (tag, name) == ("a", "href"):
            argument = value
        elif (tag, name) == ("code", "class") and value.startswith("language-"):
            argument = value.removeprefix("language-")
        elif (tag, name) == ("span", "class") and value.startswith("tg-"):
            argument = value.removeprefix("tg-")
        elif (tag, name) == ("blockquote", "expandable"):
            argument = "1"
    if tag == "span" and argument != "spoiler":
        raise CannotParse(f'Tag "span" must have class "tg-spoiler" {where}')
    return tag, argument, i + 1


def _skip_space(source: str, i: int) -> int:
    while i < len(source) and source[i].isspace():
        i += 1
    return i


def _value(source: str, i: int, where: str) -> tuple[str, int]:
    """An attribute's value, quoted or bare."""
    start, out = i, []
    if i < len(source) and source[i] in "\"'":
        quote, i = source[i], i + 1
        while i < len(source) and source[i] != quote:
            character, i = _character(source, i)
            out.append(character)
        i += 1
    else:
        while i < len(source) and ((source[i].isascii() and source[i].isalnum()) or source[i] in ".-"):
            out.append(source[i].lower())
            i += 1
        if i < len(source) and not source[i].isspace() and source[i] != ">":
            raise CannotParse(f"Unexpected end of name token at byte offset {_byte(source, start)}")
    if i >= len(source):
        raise CannotParse(f"Unclosed start tag {where}")
    return "".join(out), i


def _close(source: str, begin: int, stack: list[_Open], found: list[Entity], out: list[str], offset: int) -> int:
    """Read an end tag, record what it closes, and say where the text goes on."""
    where = f"at byte offset {_byte(source, begin)}"
    if not stack:
        raise CannotParse(f"Unexpected end tag {where}")
    head = re.compile(r"</([^\s>]*)\s*").match(source, begin)
    assert head is not None
    if not source.startswith(">", head.end()):
        raise CannotParse(f"Unclosed end tag {where}")
    name, last = head[1].lower(), stack.pop()
    if name and name != last.tag:
        raise CannotParse(f'Unmatched end tag {where}, expected "</{last.tag}>", found "</{name}>"')
    if offset > last.offset:
        _record(last, "".join(out[last.at :]), found, offset)
    return head.end() + 1


def _record(tag: _Open, inner: str, found: list[Entity], end: int) -> None:
    entity: Entity = {"type": KINDS[tag.tag], "offset": tag.offset, "length": end - tag.offset}
    before = found[-1] if found else {}
    twin = (before.get("offset"), before.get("length")) == (entity["offset"], entity["length"])
    if tag.tag == "a":
        url = tag.argument or inner
        if person := re.fullmatch(r"tg://user\?id=(\d+)", url):
            entity |= {"type": "text_mention", "user": {"id": int(person[1])}}
        elif link := checked_link(url):
            entity["url"] = link
        else:
            return
    elif tag.tag == "blockquote" and tag.argument:
        entity["type"] = "expandable_blockquote"
    elif tag.tag == "pre" and twin and before.get("type") == "code" and before.get("language"):
        before["type"] = "pre"
        return
    elif tag.tag == "code" and tag.argument:
        if twin and before.get("type") == "pre":
            before["language"] = tag.argument
            return
        entity["language"] = tag.argument
    found.append(entity)


def checked_link(url: str) -> str:
    """The link as Telegram stores it, or nothing where it is no link: such a tag is dropped without an error."""
    url = url.strip()
    if url.lower().startswith("tg:"):
        return url
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or "." not in host or re.search(r"\s", host) or host.startswith("."):
        return ""
    tail = (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}{tail}"


# Cleaning, trimming, and entities that fit into each other


def tidy(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Clean and trim a text, set its entities right, and add those that Telegram finds by itself."""
    text, entities = _clean(text, entities)
    entities = _fit(entities)
    kept = text.rstrip(" \n")
    end = units(kept)
    entities = [e | {"length": min(e["length"], end - e["offset"])} for e in entities if e["offset"] < end]
    first = min((e["offset"] for e in entities), default=end)
    start = 0
    while start < min(first, len(kept)) and kept[start] in " \n":
        start += 1
    kept = kept[start:]
    entities = [e | {"offset": e["offset"] - start} for e in entities]
    whole = (e for e in entities if e["type"] not in (*STYLES, *QUOTES))
    taken = {position for entity in whole for position in range(*_span(entity))}
    entities += [new for new in find_entities(kept) if taken.isdisjoint(range(*_span(new)))]
    for entity in (e for e in entities if e["type"] == "code"):
        entity.pop("language", None)
    return kept, _fit(entities)


def find_entities(text: str) -> list[Entity]:
    """Mentions, commands, hashtags, addresses and links in a plain text, none inside another."""
    patterns = (
        ("url", URL),
        ("email", EMAIL),
        ("mention", MENTION),
        ("bot_command", COMMAND),
        ("hashtag", HASHTAG),
    )
    at = list(accumulate((1 + (character > "\uffff") for character in text), initial=0))
    found = [
        {"type": kind, "offset": at[hit.start()], "length": at[hit.end()] - at[hit.start()]}
        for kind, pattern in patterns
        for hit in pattern.finditer(text)
    ]
    return _apart(sorted(found, key=_rank))


def _clean(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Drop what Telegram never stores (returns, bidirectional marks) and turn control characters into spaces."""
    moved: list[int] = []
    out: list[str] = []
    size = 0
    for character in text:
        moved += [size] * units(character)
        if character == "\r" or "\u2028" <= character <= "\u202e" or character in "\u0333\u033f\u030a":
            continue
        out.append(" " if character < " " and character != "\n" else character)
        size += units(character)
    moved.append(size)
    kept = []
    for entity in entities:
        start = moved[min(entity["offset"], len(moved) - 1)]
        end = moved[min(entity["offset"] + entity["length"], len(moved) - 1)]
        if end > start:
            kept.append(entity | {"offset": start, "length": end - start})
    return "".join(out), kept


def _rank(entity: Entity) -> tuple[int, int, int]:
    return entity["offset"], -entity["length"], ORDER.get(entity["type"], 4)


def _span(entity: Entity) -> tuple[int, int]:
    return entity["offset"], entity["offset"] + entity["length"]


def _meet(one: Entity, other: Entity) -> bool:
    (a, b), (c, d) = _span(one), _span(other)
    return a < d and c < b


def _apart(ordered: list[Entity]) -> list[Entity]:
    """Of entities in order, those that begin where the last kept one has ended."""
    kept: list[Entity] = []
    for entity in ordered:
        if not kept or _span(kept[-1])[1] <= entity["offset"]:
            kept.append(entity)
    return kept


def _fit(entities: list[Entity]) -> list[Entity]:
    """No style inside code, no quote inside a quote, no link inside a link, twins joined, nothing half overlapping."""
    ordered = sorted((e for e in entities if e["length"] > 0), key=_rank)
    quotes = _apart([e for e in ordered if e["type"] in QUOTES])
    whole = [
        entity
        for entity in _apart([e for e in ordered if e["type"] not in (*STYLES, *QUOTES)])
        if all(not _meet(entity, q) or (_span(q)[0] <= _span(entity)[0] and _span(entity)[1] <= _span(q)[1]) for q in quotes)
    ]
    kept = whole + quotes
    for style in STYLES:
        marks: set[int] = set()
        for entity in (e for e in ordered if e["type"] == style):
            marks.update(range(*_span(entity)))
        for entity in (e for e in whole if e["type"] in ("code", "pre")):
            marks.difference_update(range(*_span(entity)))
        kept += [{"type": style, "offset": a, "length": b - a} for a, b in _runs(marks, kept)]
    return sorted(kept, key=_rank)


def _runs(marks: set[int], others: list[Entity]) -> list[tuple[int, int]]:
    """The marked positions as ranges, cut where one would half overlap another entity."""
    runs: list[tuple[int, int]] = []
    for position in sorted(marks):
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    edges = [_span(other) for other in others]
    result: list[tuple[int, int]] = []
    while runs:
        a, b = runs.pop(0)
        cut = next((x for c, d in edges if a < d and c < b for x in _crossing(a, b, c, d)), None)
        if cut is None:
            result.append((a, b))
        else:
            runs[:0] = [(a, cut), (cut, b)]
    return result


def _crossing(a: int, b: int, c: int, d: int) -> list[int]:
    if a < c < b < d:
        return [c]
    return [d] if c < a < d < b else []
