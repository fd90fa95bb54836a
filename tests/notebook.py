"""Run one notebook as a script, then look at its figures: `python tests/notebook.py FILE`."""

from __future__ import annotations

import io
import runpy
import sys

import matplotlib.image as mpl_image
import numpy as np
from matplotlib.figure import Figure


def has_ink(figure: Figure) -> bool:
    """Tell whether a figure shows more than an empty frame."""
    out = io.BytesIO()
    figure.savefig(out, format="png")
    pixels = mpl_image.imread(io.BytesIO(out.getvalue()))[..., :3]
    drawn = any(axes.has_data() for axes in figure.axes)
    return drawn and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


if __name__ == "__main__":
    found = runpy.run_path(sys.argv[1])
    figures = {name: value for name, value in found.items() if isinstance(value, Figure)}
    empty = [name for name, figure in figures.items() if not has_ink(figure)]
    print(f"{len(figures)} figures, empty: {empty}", file=sys.stderr)
    sys.exit(bool(empty) or not figures)
