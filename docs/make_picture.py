"""Makes docs/conversation.png and the conversation in the README out of a conversation that it really has with the coach.

Needs Pillow and the DejaVu fonts, which nothing else here needs: pip install pillow; python docs/make_picture.py
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from adapters.__main__ import house
from adapters.console import Console
from bot import Address, Message, Reply, Span, Style
from bot.config import Settings

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"

# What the person types or taps; the picture ends with the first grade.
TALK = (
    "/next precision",
    "Of all the posts we deleted, the share that really broke the rules: TP / (TP + FP). "
    "It is hurt by false positives only, missed ones do not enter it. Raising the threshold usually raises it and costs recall. "
    "I would protect it where a wrong deletion is expensive.",
    "Go deeper",
    "Locking accounts for fraud: a false positive there does more harm than a miss.",
)


@dataclass(frozen=True)
class Line:
    """One message: the coach's, or what the person says."""

    text: str
    reply: Reply | None = None


async def talk() -> list[Line]:
    with tempfile.TemporaryDirectory() as folder:
        known = Settings(database=f"sqlite:///{folder}/coach.db", cache=Path(folder), _env_file=None)  # type: ignore[call-arg]
        async with house(known) as home:
            return [line async for line in _lines(home)]


async def _lines(home):  # type: ignore[no-untyped-def]
    address, replies = Address("telegram", "ann", "ann"), ()
    for number, said in enumerate(("/help", *TALK)):
        text = next((c.text for reply in replies for row in reply.choices for c in row if c.label == said), said)
        replies = await home.coach.handle(Message(str(number), address, text, datetime.now(UTC)))
        if number:
            yield Line(said)
            for reply in replies:
                yield Line(reply.text, reply)


# ---------------------------------------------------------------------------------------------- the README


def as_text(lines: list[Line]) -> str:
    """The conversation as the terminal shows it."""
    os.environ["COLUMNS"] = "100"
    screen = io.StringIO()
    console = Console(None, stdin=io.StringIO(), stdout=screen)  # type: ignore[arg-type]
    for line in lines:
        if line.reply is None:
            wanted = [choice.label for choice in console._choices]
            typed = str(wanted.index(line.text) + 1) if line.text in wanted else line.text
            screen.write(f"you> {console._fold(typed, 95)}\n")
        else:
            asyncio.run(console.send(Address("console", "you", "you"), line.reply, ""))
    return re.sub(r"\n{3,}", "\n\n", screen.getvalue()).strip()


# ---------------------------------------------------------------------------------------------- the picture

SCALE = 2
WIDTH, MARGIN, PAD = 400, 10, 11
FONTS = Path("/usr/share/fonts/truetype/dejavu")
PAPER, WHITE, MINE, INK, FAINT, QUOTE, BUTTON = "#cfdbe6", "#ffffff", "#e2f8cf", "#1b2733", "#7a8793", "#2f6f8f", "#a9bccd"
MARKS = {"✅": "#3aa657", "🟡": "#e0aa1e", "⚪": "#b4bec7", "❌": "#cf4036", "❔": "#8a97a3"}
STEP = 19


def font(size: float, style: Style = Style.PLAIN) -> ImageFont.FreeTypeFont:
    name = {Style.BOLD: "DejaVuSans-Bold", Style.ITALIC: "DejaVuSans-Oblique", Style.QUOTE: "DejaVuSans-Oblique",
            Style.CODE: "DejaVuSansMono", Style.BLOCK: "DejaVuSansMono"}.get(style, "DejaVuSans")  # fmt: skip
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), round(size * SCALE))


Word = tuple[str, Style]


def rows(spans: tuple[Span, ...], width: float) -> Iterator[tuple[float, list[tuple[float, Word]]]]:
    """Rows of placed words, (indent, [(x, word)]); widths in unscaled pixels."""
    line: list[tuple[float, Word]] = []
    x = indent = 0.0
    for span in spans:
        for piece in re.findall(r"\n|[^\S\n]+|[^\s]+", span.text):
            if piece == "\n":
                yield indent, line
                line, x, indent = [], 0.0, 0.0
                continue
            if piece.isspace():
                if not line and len(piece) > 2:
                    x = indent = 20.0
                elif line and line[-1][1][0] not in MARKS:
                    x += font(13, span.style).getlength(" ") / SCALE
                continue
            if piece in MARKS:
                line.append((x, (piece, span.style)))
                x = indent = 20.0
                continue
            wide = font(13, span.style).getlength(piece) / SCALE
            if x + wide > width and line:
                yield indent, line
                line, x = [], indent
            line.append((x, (piece, span.style)))
            x += wide
    yield indent, line


def mark(draw: ImageDraw.ImageDraw, sign: str, x: float, y: float) -> None:
    """A small disc with its sign, drawn: the text fonts have no colours."""
    s = SCALE
    draw.ellipse((x * s, (y + 1) * s, (x + 14) * s, (y + 15) * s), fill=MARKS[sign])
    if sign == "✅":
        draw.line([((x + 3.6) * s, (y + 8.2) * s), ((x + 6.2) * s, (y + 10.9) * s), ((x + 10.6) * s, (y + 5.4) * s)], fill=WHITE, width=3)
    elif sign == "❌":
        for a, b in (((4.4, 5.4), (9.6, 10.6)), ((9.6, 5.4), (4.4, 10.6))):
            draw.line([((x + a[0]) * s, (y + a[1]) * s), ((x + b[0]) * s, (y + b[1]) * s)], fill=WHITE, width=3)
    elif sign == "🟡":
        draw.line([((x + 4) * s, (y + 8) * s), ((x + 10) * s, (y + 8) * s)], fill=WHITE, width=3)
    elif sign == "⚪":
        draw.ellipse(((x + 2.4) * s, (y + 3.4) * s, (x + 11.6) * s, (y + 12.6) * s), fill=WHITE)


def _step(row: list[tuple[float, Word]]) -> int:
    """How far a row is below the one before; points stand a little apart."""
    return (STEP + 4 * any(word in MARKS for _, (word, _) in row)) if row else 8


def picture(lines: list[Line]) -> Image.Image:
    tall = 4000
    image = Image.new("RGB", (WIDTH * SCALE, tall * SCALE), PAPER)
    draw = ImageDraw.Draw(image)
    y = float(MARGIN)
    for line in lines:
        mine = line.reply is None
        widest = WIDTH - 2 * MARGIN - (56 if mine else 18)
        spans = (Span(line.text),) if line.reply is None else line.reply.spans
        placed = list(rows(spans, widest - 2 * PAD))
        reach = max((x + font(13, word[1]).getlength(word[0]) / SCALE for _, row in placed for x, word in row), default=0.0)
        wide, high = (reach if mine else widest - 2 * PAD) + 2 * PAD, sum(_step(row) for _, row in placed) + 2 * PAD - 4
        left = WIDTH - MARGIN - wide if mine else float(MARGIN)
        box = (left * SCALE, y * SCALE, (left + wide) * SCALE, (y + high) * SCALE)
        draw.rounded_rectangle(box, radius=13 * SCALE, fill=MINE if mine else WHITE)
        at = y + PAD - 3
        for _, row in placed:
            at += _step(row) - STEP if row else 0
            for x, (word, style) in row:
                if word in MARKS:
                    mark(draw, word, left + PAD + x, at)
                else:
                    colour = QUOTE if style is Style.QUOTE else INK
                    draw.text(((left + PAD + x) * SCALE, at * SCALE), word, font=font(13, style), fill=colour)
            at += STEP if row else 8
        y += high + 5
        for choices in line.reply.choices if line.reply is not None else ():
            each = (widest - 4 * (len(choices) - 1)) / len(choices)
            for number, choice in enumerate(choices):
                x = MARGIN + number * (each + 4)
                draw.rounded_rectangle((x * SCALE, y * SCALE, (x + each) * SCALE, (y + 29) * SCALE), radius=8 * SCALE, fill=BUTTON)
                label = font(12, Style.BOLD)
                draw.text(((x + each / 2) * SCALE, (y + 14.5) * SCALE), choice.label, font=label, fill=WHITE, anchor="mm")
            y += 33
        y += 7
    return image.crop((0, 0, WIDTH * SCALE, round((y + MARGIN - 6) * SCALE)))


def main() -> None:
    lines = asyncio.run(talk())
    picture(lines[:4]).quantize(128, dither=Image.Dither.NONE).save(DOCS / "conversation.png", optimize=True)
    text = README.read_text("utf-8")
    told = f"<!-- conversation -->\n```text\n{as_text(lines[:4])}\n```\n<!-- end of the conversation -->"
    README.write_text(re.sub(r"<!-- conversation -->.*?<!-- end of the conversation -->", lambda _: told, text, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    main()
