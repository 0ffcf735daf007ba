"""The document of a mock interview: a PDF of A4 pages with embedded fonts, whose text can be selected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

INK, FAINT, LINE, ACCENT = (26, 26, 26), (74, 84, 92), (214, 218, 222), (0, 114, 178)
SIZES = {"title": 17, "heading": 13.5, "strong": 10.5, "text": 10.5, "quote": 10.5, "small": 9}


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph. kind: "title", "heading", "strong", "text", "quote", "small", or "rule" for a line across."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """What is set: the paragraphs, the picture (PNG, or b"" for none), and the line at the foot of each page."""

    title: str
    blocks: tuple[Block, ...]
    picture: bytes
    foot: str


def fonts() -> Path:
    """Where the fonts lie that come with the drawing library."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    """The characters that the font has."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    with TTFont(fonts() / "DejaVuSans.ttf", lazy=True) as font:
        return frozenset(font.getBestCmap())


def readable(text: str) -> str:
    """`text` with a box for what the font can't show, in one paragraph."""
    known = _known()
    return "".join(ch if ch == "\n" or ord(ch) in known else "\u25a1" for ch in text if ch.isprintable() or ch == "\n")


def draw(document: Document) -> bytes:
    """The PDF. Raises ImportError where nothing here can make one."""
    from fpdf import FPDF
    from fpdf.enums import XPos, YPos

    class Pages(FPDF):
        def footer(self) -> None:
            self.set_y(-14)
            self.set_font("DejaVu", size=8)
            self.set_text_color(*FAINT)
            self.cell(0, 5, f"{readable(document.foot)} · {self.page_no()}", align="C")

    pdf = Pages(format="A4")
    pdf.set_margin(20)
    pdf.set_auto_page_break(True, margin=20)
    for style, name in (("", "DejaVuSans"), ("B", "DejaVuSans-Bold"), ("I", "DejaVuSans-Oblique")):
        pdf.add_font("DejaVu", style, fonts() / f"{name}.ttf")
    pdf.set_title(readable(document.title))
    pdf.set_creator("Interview Coach")
    pdf.set_lang("en")
    pdf.add_page()
    for block in document.blocks:
        if block.kind == "rule":
            pdf.ln(2)
            pdf.set_draw_color(*LINE)
            pdf.line(20, pdf.get_y(), 190, pdf.get_y())
            pdf.ln(3)
            continue
        if block.kind == "picture":
            if document.picture:
                from io import BytesIO

                pdf.image(BytesIO(document.picture), x=45, w=120, alt_text=block.text)
                pdf.ln(3)
            continue
        size = SIZES[block.kind]
        style = {"title": "B", "heading": "B", "strong": "B", "quote": "I"}.get(block.kind, "")
        colour = {"small": FAINT, "heading": ACCENT, "quote": FAINT}.get(block.kind, INK)
        if block.kind in ("heading", "strong") and pdf.get_y() > 250:  # never alone at the end of a page
            pdf.add_page()
        if block.kind == "heading":
            pdf.ln(3)
        pdf.set_font("DejaVu", style, size)
        pdf.set_text_color(*colour)
        indent = 6 if block.kind == "quote" else 0
        pdf.set_x(20 + indent)
        pdf.multi_cell(170 - indent, size * 0.5, readable(block.text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
        pdf.ln(1.2 if block.kind in ("text", "quote", "strong", "small") else 1.8)
    return bytes(pdf.output())
