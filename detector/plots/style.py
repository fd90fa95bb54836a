"""One look for every figure: colours that everybody can tell apart, and a font with Chinese."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from detector.errors import OptionError
from detector.extras import needed

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#6B6B6B"
"""Okabe and Ito (2008): distinct for every common kind of colour blindness."""
CYCLE = (BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY)
LANGUAGES = ("en", "zh")
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "Noto Sans CJK JP", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Microsoft YaHei",
    "PingFang SC", "Hiragino Sans GB", "SimHei", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip
_FILES = ("notosanscjk", "notosanssc", "sourcehansans", "wqy", "msyh", "pingfang", "simhei")
_HINT = "Install one, such as Debian's fonts-noto-cjk, or plot with language='en'"


@functools.cache
def chinese_font() -> str | None:
    """Return the name of an installed font with Chinese glyphs; None if there is none.

    matplotlib keeps a list of fonts from when it first ran; one installed later is added here.
    """
    fonts = needed("matplotlib.font_manager")
    found = _known(fonts)
    if found is None:
        for path in sorted(fonts.findSystemFonts()):
            name = path.lower().rpartition("/")[2].rpartition("\\")[2]
            if name.startswith(_FILES) and "bold" not in name:
                fonts.fontManager.addfont(path)
        found = _known(fonts)
    return found


def _known(fonts: Any) -> str | None:
    installed = {font.name for font in fonts.fontManager.ttflist}
    return next((name for name in _CHINESE if name in installed), None)


def text(words: dict[str, str], language: str) -> str:
    """Return words in a language.

    Raises:
        OptionError: a language nobody has translated into.
    """
    if language not in LANGUAGES:
        hint = f"Known: {', '.join(LANGUAGES)}"
        raise OptionError(f"there is no language {language!r}", where="language", hint=hint)
    return words[language]


@contextmanager
def styled(language: str) -> Iterator[None]:
    """Draw in the common style, with a font that has the language's glyphs.

    Raises:
        OptionError: Chinese is asked for and no font has it.
    """
    families = ["DejaVu Sans"]
    if text({"en": "", "zh": "zh"}, language):
        font = chinese_font()
        if font is None:
            raise OptionError("no font with Chinese glyphs is installed", where="zh", hint=_HINT)
        families.insert(0, font)
    look = {
        "font.family": families,
        "axes.unicode_minus": False,
        "axes.prop_cycle": needed("cycler").cycler(color=list(CYCLE)),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E4E4E4",
        "font.size": 10.0,
        "axes.titlesize": 11.0,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "figure.dpi": 110.0,
    }
    with needed("matplotlib").rc_context(look):
        yield


def canvas(title: str, width: float = 8.0, height: float = 3.6) -> tuple[Any, Any]:
    """Return a figure with one pair of axes; no window and no global state is touched."""
    figure = needed("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    needed("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes
