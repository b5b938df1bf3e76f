"""What all figures share: size, fonts, colours, and how a figure is saved."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.tasks.scores import normalise

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4EA3", "#8C6D31")
"""Okabe and Ito's colours, told apart by colour-blind readers, without the pale yellow; then two darker ones."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#8A8A8A"
"""What is data and not a method: the demonstrator, the recorded actions."""
INK = "#333333"
SEQUENTIAL = "viridis"
DPI = 150

REFERENCE_LINE: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": (0, (1, 2))}

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.titlesize": 12,
    "svg.fonttype": "none",
    # Without a fixed salt and date, the same data would give another SVG each time.
    "svg.hashsalt": "d4rl-automl",
}


@contextmanager
def settings() -> Iterator[None]:
    """The look of every figure; drawing and saving both happen inside."""
    with matplotlib.rc_context():
        # Not those of a matplotlibrc of the user's, which may be in the working directory too.
        matplotlib.rcdefaults()
        with matplotlib.rc_context(_SETTINGS):  # type: ignore[arg-type]
            yield


def look(index: int) -> tuple[str, str]:
    """Colour and marker of the method at `index` of a figure; after the eighth, colours return with other markers."""
    return COLOURS[index % len(COLOURS)], MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def save(figure: Figure, data: pd.DataFrame, prefix: str | Path, facts: Mapping[str, Any]) -> None:
    """Write `prefix`.png (150 dpi), `prefix`.svg and `prefix`.csv (exactly what is drawn).

    `facts` (kind, dataset, simulator, …) travel in the PNG as JSON text under `d4rl_automl`,
    so that the report knows a figure without guessing from its path.
    """
    text = json.dumps(dict(facts))
    with warnings.catch_warnings():
        # A label that matplotlib cannot place is a broken figure, not a remark.
        warnings.filterwarnings("error", message=".*(tight_layout|constrained_layout|Glyph).*")
        with files.whole(f"{prefix}.png") as part:
            figure.savefig(part, dpi=DPI, metadata={"d4rl_automl": text})
        with files.whole(f"{prefix}.svg") as part:
            figure.savefig(part, metadata={"Date": None, "Title": figure.get_suptitle()})
    with files.whole(f"{prefix}.csv") as part:
        data.to_csv(part, index=False)


def no_interval(data: pd.DataFrame) -> str:
    """A further line of a title that says why no interval is drawn, empty where one is; `data` with column low."""
    return "" if data["low"].notna().any() else "\nno intervals: with one training seed there is nothing to draw from"


def reference_lines(axes: Axes, task: str) -> None:
    """Horizontal lines at the returns of D4RL's random policy and expert (normalised scores 0 and 100)."""
    reference = tasks.get(task)
    for value in (reference.reference_min, reference.reference_max):
        axes.axhline(value, **REFERENCE_LINE, zorder=2.2)


def reference_key() -> Line2D:
    """The legend's entry for `reference_lines`."""
    return Line2D([], [], **REFERENCE_LINE, label="random policy and expert (score 0 and 100)")


def score_axis(axes: Axes, task: str, label: bool = True, side: Literal["right", "top"] = "right") -> None:
    """A second axis on one side that reads the returns of `axes` as normalised scores."""
    reference = tasks.get(task)
    span = reference.reference_max - reference.reference_min

    def returns(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return reference.reference_min + scores * span / 100

    functions: Any = (lambda values: normalise(task, values), returns)
    other = (
        axes.secondary_yaxis(side, functions=functions)
        if side == "right"
        else axes.secondary_xaxis(side, functions=functions)
    )
    other.spines[side].set_visible(True)
    axis = other.yaxis if side == "right" else other.xaxis
    axis.set_major_locator(MaxNLocator(6))
    if label:
        axis.set_label_text("normalised score")
