"""What all figures share: size, fonts, colours, and how a figure is saved."""

import json
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Shape
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, Bbox
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.spacing import apart
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


Look = tuple[str, str]
"""A colour and a marker."""


def look(index: int) -> Look:
    """The look of the thing at `index`; after the eighth, colours return with other markers."""
    return COLOURS[index % len(COLOURS)], MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def looks(methods: Sequence[str], drawn: Iterable[str]) -> dict[str, Look]:
    """The look of the methods that are `drawn`, each by its place among all `methods` of the run.

    So a method looks the same in every figure, whichever others it stands beside. Raises InputError for one that is
    not of the run.
    """
    every = {method: look(index) for index, method in enumerate(methods)}
    if unknown := [method for method in drawn if method not in every]:
        raise InputError(f"methods: {unknown[0]!r} is none of {', '.join(methods)}; pass all methods of the config")
    return {method: every[method] for method in drawn}


def svg_path(marker: str, size: float = 10.0) -> str:
    """A marker as the data of an SVG path around (0, 0), `size` pixels high and wide or a little less."""
    shape = MarkerStyle(marker)
    path = shape.get_path().transformed(shape.get_transform() + Affine2D().scale(size, -size))
    letters = {Shape.MOVETO: "M", Shape.LINETO: "L", Shape.CURVE3: "Q", Shape.CURVE4: "C", Shape.CLOSEPOLY: "Z"}
    parts = []
    for points, code in path.iter_segments():
        parts.append(letters[code] + ("" if code == Shape.CLOSEPOLY else " ".join(f"{value:.2f}" for value in points)))
    return "".join(parts)


def several_lines(title: str, inches: float) -> str:
    """A title of a figure in as many lines as its width takes, broken between words."""
    return "\n".join(textwrap.fill(line, int(inches * _LETTERS_PER_INCH)) for line in title.split("\n"))


_LETTERS_PER_INCH = 11.5
"""Of a figure's title."""


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str], most: int) -> None:
    """A legend below, in `most` columns, or in as many as the names leave room for."""
    fit = int(figure.get_figwidth() / (0.6 + 0.078 * max(map(len, names))))
    figure.legend(handles, names, loc="outside lower center", ncols=max(1, min(most, fit)))


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names right of the axes for lines that end there: (height in data units, name, colour), moved apart.

    To be called when all else is drawn, the limits of the axes included.
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    order = sorted(ends, key=lambda end: end[0])
    points = [float(axes.transData.transform((0, height))[1]) * 72 / figure.dpi for height, *_ in order]
    moved = apart(points, [_LABEL_POINTS] * (len(points) - 1))
    for at, (height, name, colour), own in zip(moved, order, points, strict=True):
        axes.annotate(
            name,
            (1, height),
            xycoords=axes.get_yaxis_transform(),
            xytext=(18, at - own),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 1.4,
                "shrinkA": 2,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


_LABEL_POINTS = 12.5
"""From one label to the next, in points."""


def label_points(
    axes: Axes, points: Sequence[tuple[float, float, str]], lines: Sequence[tuple[float, float, float]] = ()
) -> list[Annotation] | None:
    """Names beside points: (x and y in data units, name). None, and none is written, where they would overlap.

    `lines`: upright ones that no name is to cross, (x, lower and upper end in data units). To be called when all else
    is drawn, the limits of the axes included.
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    inside = axes.get_window_extent()
    # With room around, so that no name stands nearer to the mark of another.
    radius = 10 * figure.dpi / 72
    dots = [axes.transData.transform((x, y)) for x, y, _ in points]
    around = [Bbox.from_bounds(x - radius, y - radius, 2 * radius, 2 * radius) for x, y in dots]
    ends = [axes.transData.transform(((x, low), (x, high))) for x, low, high in lines]
    names = [Bbox.from_extents(x - 2, low, x + 2, high) for (x, low), (_, high) in ends]
    written: list[Annotation] = []
    for index, (x, y, name) in enumerate(points):
        taken = [*around[:index], *around[index + 1 :], *names]
        for offset, side, height in _SIDES:
            text = axes.annotate(
                name, (x, y), xytext=offset, textcoords="offset points", ha=side, va=height, fontsize=8.5
            )
            box = text.get_window_extent()
            # Layout moves things a little once more.
            room = box.expanded(1.06, 1.15)
            if inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1) and not room.count_overlaps(taken):
                written.append(text)
                names.append(room)
                break
            text.remove()
        else:
            for text in written:
                text.remove()
            return None
    return written


_SIDES: tuple[tuple[tuple[int, int], Any, Any], ...] = (
    ((8, 0), "left", "center"),
    ((-8, 0), "right", "center"),
    ((0, 8), "center", "bottom"),
    ((0, -8), "center", "top"),
    ((7, 7), "left", "bottom"),
    ((7, -7), "left", "top"),
    ((-7, 7), "right", "bottom"),
    ((-7, -7), "right", "top"),
)
"""Where the name of a point may stand: its offset in points and how it is aligned."""


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
