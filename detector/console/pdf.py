"""Blocks of text → a PDF: one column, the font inside, no link, script or form.

Whatever a text holds is drawn as letters. What the font cannot draw, and what nobody could see
(control characters, changes of direction), stands there by its code: `<U+202E>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from detector.errors import OptionError
from detector.sinks.inert import inert

if TYPE_CHECKING:
    from fpdf import FPDF
    from fpdf.fonts import TTFFont

_FONT, _MARGIN_MM = "text", 18
_SIZE, _SMALL, _HEADING, _TITLE = 9.5, 7.5, 12.0, 18.0  # points
_INK, _FAINT, _LINE = (23, 37, 38), (88, 104, 106), (214, 222, 222)
_NAME_MM = 46
_MAX_CELL = 160  # a row of a table has to fit a page; whole texts stand in paragraphs
_CHINESE = "告警证据"
_USUAL = (
    "opentype/noto/NotoSansCJK-Regular.ttc", "truetype/wqy/wqy-microhei.ttc",
    "truetype/wqy/wqy-zenhei.ttc", "truetype/droid/DroidSansFallbackFull.ttf",
    "google-noto-cjk/NotoSansCJK-Regular.ttc", "google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
)  # fmt: skip
"""Where Debian, Red Hat and their kin keep a font with Chinese letters."""


@dataclass(frozen=True, slots=True)
class Title:
    """The head of a part; ``level`` 1 is the document's."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Lines:
    """Paragraphs; ``is_faint`` for what explains."""

    texts: Sequence[str]
    is_faint: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values below each other."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; ``widths`` are shares of the page. Long cells are cut and say so."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[float]


Block = Title | Lines | Pairs | Grid


@dataclass(frozen=True, slots=True)
class Font:
    """A file with letters of both languages, and which of its faces has the Chinese ones."""

    path: Path
    face: int


@dataclass(frozen=True, slots=True)
class Paper:
    """What is drawn with and what every page says: its font, foot, language tag and time."""

    font: Font
    foot: str
    language: str
    made_ms: int


def find_font(
    chosen: Path | None, folders: Sequence[Path] = (Path("/usr/share/fonts"),)
) -> Font | None:
    """Return the font an operator has chosen, or one that the system has; None: there is none.

    Raises:
        OptionError: the chosen one cannot be read, or has no Chinese letters.
    """
    if chosen is not None:
        return _font_of(chosen)
    found = (folder / name for folder in folders for name in _USUAL)
    path = next((path for path in found if path.is_file()), None)
    return None if path is None else _font_of(path)


def _font_of(path: Path) -> Font:
    from fontTools.ttLib import TTLibError

    where, hint = "DETECTOR_CONSOLE_PDF_FONT", "Name a TrueType or OpenType font that has them"
    try:
        with path.open("rb") as file:
            face, letters = _face_of(file, path.suffix.lower() in {".ttc", ".otc"})
    except (OSError, TTLibError) as error:
        what = f"{path} cannot be read ({type(error).__name__})"
        raise OptionError(what, where=where, hint=hint) from None
    if any(ord(letter) not in letters for letter in _CHINESE):
        raise OptionError(f"{path} has no Chinese letters", where=where, hint=hint)
    return Font(path, face)


def _face_of(file: BinaryIO, is_collection: bool) -> tuple[int, dict[int, str]]:
    """Return which face to take, of a collection the simplified Chinese one, and its letters."""
    from fontTools.ttLib import TTCollection, TTFont

    if not is_collection:
        return 0, TTFont(file, lazy=True).getBestCmap()
    fonts = TTCollection(file, lazy=True).fonts
    names = [str(font["name"].getDebugName(4)) for font in fonts]
    face = next((i for i, name in enumerate(names) if " SC" in name), 0)
    return face, fonts[face].getBestCmap()


def pdf_of(blocks: Sequence[Block], paper: Paper) -> bytes:
    """Draw blocks one below the other."""
    sheet = _Sheet(paper)
    for block in blocks:
        sheet.draw(block)
    return sheet.closed()


class _Sheet:
    """A document that is being drawn."""

    def __init__(self, paper: Paper) -> None:
        self._pdf = pdf = _opened(paper)
        self._font = cast("TTFFont", pdf.fonts[_FONT])
        self._letters = frozenset(self._font.cmap)
        pdf.set_title(self._shown(paper.foot))
        pdf.add_page()

    def draw(self, block: Block) -> None:
        if isinstance(block, Title):
            self._title(block)
        elif isinstance(block, Lines):
            self._lines(block)
        elif isinstance(block, Pairs):
            self._pairs(block)
        else:
            self._grid(block)

    def closed(self) -> bytes:
        content = bytes(self._pdf.output())
        self._font.ttfont.close()
        return content

    def _title(self, block: Title) -> None:
        pdf, size = self._pdf, _TITLE if block.level == 1 else _HEADING
        if block.level > 1:
            pdf.ln(3)
        if pdf.will_page_break(size):  # never alone at the foot of a page
            pdf.add_page()
        self._write(block.text, size, _INK)
        pdf.ln(1)

    def _lines(self, block: Lines) -> None:
        for text in block.texts:
            for line in text.splitlines() or [""]:
                self._write(line, _SIZE, _FAINT if block.is_faint else _INK)
            self._pdf.ln(1)

    def _pairs(self, block: Pairs) -> None:
        pdf = self._pdf
        for name, value in block.pairs:
            if pdf.will_page_break(8):
                pdf.add_page()
            top = pdf.get_y()
            self._write(name, _SIZE, _FAINT, _NAME_MM - 3)
            below, page = pdf.get_y(), pdf.page
            pdf.set_xy(pdf.l_margin + _NAME_MM, top)
            self._write(value, _SIZE, _INK)
            if pdf.page == page:
                pdf.set_y(max(below, pdf.get_y()))

    def _grid(self, block: Grid) -> None:
        from fpdf.fonts import FontFace

        pdf = self._pdf
        pdf.set_font(_FONT, size=_SMALL)
        pdf.set_text_color(*_INK)
        pdf.set_draw_color(*_LINE)
        with pdf.table(
            col_widths=tuple(block.widths),
            text_align="LEFT",
            v_align="TOP",
            line_height=_SMALL * 0.5,
            borders_layout="HORIZONTAL_LINES",
            padding=(0.8, 1),
            headings_style=FontFace(color=_FAINT),
        ) as table:
            for row in (block.heads, *block.rows):
                cells = table.row()
                for text in row:
                    cells.cell(self._shown(text, _MAX_CELL))
        pdf.ln(2)

    def _write(self, text: str, size: float, ink: tuple[int, int, int], width: float = 0) -> None:
        pdf = self._pdf
        pdf.set_font(_FONT, size=size)
        pdf.set_text_color(*ink)
        pdf.multi_cell(
            width, size * 0.52, self._shown(text), align="L", new_x="LMARGIN", new_y="NEXT"
        )

    def _shown(self, text: str, limit: int = 2_000) -> str:
        """Return a text with nothing in it that acts or could not be drawn."""
        return "".join(
            sign if ord(sign) in self._letters else f"<U+{ord(sign):04X}>"
            for sign in inert(text, limit)
        )


def _opened(paper: Paper) -> FPDF:
    """Begin a document whose every page names what it belongs to."""
    from fpdf import FPDF

    class Document(FPDF):
        def footer(self) -> None:
            self.set_y(-12)
            self.set_font(_FONT, size=_SMALL)
            self.set_text_color(*_FAINT)
            self.cell(0, 5, f"{paper.foot}   {self.page_no()} / {{nb}}", align="R")

    pdf = Document(format="A4")
    pdf.set_margins(_MARGIN_MM, _MARGIN_MM)
    pdf.set_auto_page_break(auto=True, margin=_MARGIN_MM)
    pdf.add_font(_FONT, "", paper.font.path, collection_font_number=paper.font.face)
    pdf.set_creation_date(datetime.fromtimestamp(paper.made_ms / 1000, tz=UTC))
    pdf.set_lang(paper.language)
    pdf.set_creator("detector")
    return pdf
