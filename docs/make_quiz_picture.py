"""Makes docs/quiz.png out of a round that is really played: what the coach posts in the channel, drawn as Discord draws it.

Needs Pillow and the DejaVu fonts, as make_picture.py does: pip install pillow; python docs/make_quiz_picture.py
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from make_picture import SCALE, font, mark, rows
from PIL import Image, ImageDraw

from adapters.discord.drawing import headed
from bot import Address, Coach, Message, Place, Reply, Span, Style, instant
from bot.content import default_folder, load
from bot.database import Database
from bot.grading import offline

HERE = Path(__file__).parent
WIDTH, PAD, STEP = 430, 14, 19
PAPER, CARD, BAR, INK, FAINT, BUTTON, WHITE = "#313338", "#2b2d31", "#2f6f8f", "#dbdee1", "#949ba4", "#4e5058", "#ffffff"
MEDALS = {"🥇": "#d9a520", "🥈": "#a9b1b8", "🥉": "#b87333"}

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

# Who replies what.
REPLIES = (
    ("Mira", "Of all the posts we deleted, the share that really broke the rules: TP / (TP + FP). It is hurt by false positives only, "
     "missed ones do not enter it. Raising the threshold usually raises it and costs recall. I would protect it where a wrong deletion "
     "is expensive."),
    ("Jonas", "TP / (TP + FP), the share of deleted posts that deserved it. A higher threshold usually raises precision and lowers "
     "recall. Protect it when deleting a harmless post is expensive."),
    ("Ada", "Precision tells you how many of the bad posts the filter managed to find."),
    ("Tom", "It is the share of flagged posts that are really bad, so false positives hurt it."),
    ("Lea", "Precision tells you how many of the bad posts the filter managed to find, so missed posts lower it."),
)  # fmt: skip


async def play() -> tuple[Reply, Reply]:
    """The question and the reveal, as they are posted."""
    at = [NOW]
    with tempfile.TemporaryDirectory() as folder:
        store = await Database.open(f"sqlite:///{folder}/coach.db")
        judge, _ = offline()

        class Grading:
            name = judge.name

            async def grade(self, rubric, reply):  # type: ignore[no-untyped-def]
                return judge.judge(rubric, reply)

        coach = Coach(store, load(default_folder()), Grading(), now=lambda: at[0], rng=Random(5))
        place = Place("1", "2")
        for number, (name, text) in enumerate((("Mira", ""), *REPLIES)):
            user, round_ = name.lower(), (await store.rounds_open("discord", "1") or [None])[0]
            said = f"/quiz reply {round_.id}" if round_ else "/quiz start"
            given = {"reply": text} if round_ else {"topic": "precision", "minutes": "10"}
            at[0] += timedelta(seconds=1)
            await coach.handle(Message(str(number), Address("discord", user, user), said, at[0], place=place, name=name, given=given))
        posts = await channel(store, coach, at[0])
        at[0] += timedelta(minutes=11)
        while len(posts) < 2:
            await coach.deliver_due(["discord"])
            await asyncio.sleep(0.05)
            posts += await channel(store, coach, at[0])
        await coach.close()
        await store.close()
    return posts[0], posts[1]


async def channel(store: Database, coach: Coach, now: datetime) -> list[Reply]:
    """What is owed to the channel now."""
    found: list[Reply] = []
    while owed := await store.claim(["discord"], now, 50):
        for one in owed:
            reply = one.reply or await coach.compose(one)
            if one.address.chat == "2" and reply is not None:
                found.append(reply)
            await store.settle(one, "sent", now)
    return found


def plain(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Spans as a person reads them: the close of the round in words."""
    return tuple(
        Span(f"in {round((instant(span) - NOW).total_seconds() / 60)} minutes", Style.CODE) if span.style is Style.MOMENT else span
        for span in spans
    )


def card(draw: ImageDraw.ImageDraw, reply: Reply, y: float) -> float:
    """Draws one post from `y` on, and returns where it ends."""
    s = SCALE
    _, rest = headed(reply.spans)
    title = list(rows((Span(reply.spans[0].text, Style.BOLD),), WIDTH - 2 * PAD - 24))
    body = list(rows(plain(rest), WIDTH - 2 * PAD - 24))
    high = (len(title) + 0.4) * STEP + sum(STEP if row else 9 for _, row in body) + 20
    draw.rounded_rectangle((PAD * s, y * s, (WIDTH - PAD) * s, (y + high) * s), radius=5 * s, fill=CARD)
    draw.rectangle((PAD * s, y * s, (PAD + 4) * s, (y + high) * s), fill=BAR)
    at, left = y + 9, PAD + 15
    for lines, below in ((title, 0.4 * STEP), (body, 0)):
        for _, row in lines:
            medal = 7.0 if row and row[0][1][0] in MEDALS else 0.0
            for number, (x, (word, style)) in enumerate(row):
                x += medal if number else 0.0
                if word in MEDALS:
                    draw.ellipse(((left + x) * s, (at + 1) * s, (left + x + 14) * s, (at + 15) * s), fill=MEDALS[word])
                    place = str(list(MEDALS).index(word) + 1)
                    draw.text(((left + x + 7) * s, (at + 8) * s), place, font=font(9, Style.BOLD), fill=CARD, anchor="mm")
                elif word in ("✅", "❌"):
                    mark(draw, word, left + x, at)
                else:
                    draw.text(((left + x) * s, at * s), word, font=font(13, style), fill=WHITE if style is Style.BOLD else INK)
            at += STEP if row else 9
        at += below
    y += high + 6
    for choice in (choice for row in reply.choices for choice in row):
        wide = font(12, Style.BOLD).getlength(choice.label) / s + 32
        draw.rounded_rectangle((PAD * s, y * s, (PAD + wide) * s, (y + 30) * s), radius=5 * s, fill=BAR if choice.asks else BUTTON)
        draw.text(((PAD + wide / 2) * s, (y + 15) * s), choice.label, font=font(12, Style.BOLD), fill=WHITE, anchor="mm")
        y += 36
    return y + 10


def main() -> None:
    image = Image.new("RGB", (WIDTH * SCALE, 3000 * SCALE), PAPER)
    draw = ImageDraw.Draw(image)
    y = float(PAD)
    for reply in asyncio.run(play()):
        y = card(draw, reply, y)
    image.crop((0, 0, WIDTH * SCALE, round(y * SCALE))).quantize(160, dither=Image.Dither.NONE).save(HERE / "quiz.png", optimize=True)


if __name__ == "__main__":
    main()
