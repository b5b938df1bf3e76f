"""Tables of numbers whose cells are coloured by value."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from d4rl_automl.figures import style

CELL = (0.95, 0.42)
"""Inches that a cell takes, across and down."""


def draw(
    axes: Axes,
    values: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float],
) -> None:
    """Fill `axes` with `values` (rows, columns) coloured from `limits`, `texts` in the cells; NaN stays white."""
    colours = matplotlib.colormaps[style.SEQUENTIAL]
    scale = Normalize(*limits, clip=True)
    axes.pcolormesh(values, cmap=colours, norm=scale, edgecolors="white", linewidth=1.5)
    for row, column in np.argwhere(np.isfinite(values)):
        red, green, blue, _ = colours(scale(values[row, column]))
        # Rec. 709 luminance: dark cells have white letters.
        bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5
        axes.text(
            column + 0.5, row + 0.5, texts[row][column], ha="center", va="center", fontsize=8.5,
            color=style.INK if bright else "white",
        )  # fmt: skip
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=35, ha="left", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_ylim(len(rows), 0)
