"""Text of a figure that cannot be read: over other text, or beyond the sheet."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

SLACK = 1.0
"""Pixels that two texts may share: their borders."""


def overlaps(figure: Figure) -> list[str]:
    """What each two texts say that lie on each other, and what a text says that leaves the sheet."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    # Of ticks, those within the limits of their axes are drawn, which matplotlib alone knows.
    axes: list[Any] = [axis for axes in figure.findobj(Axes) for axis in (axes.xaxis, axes.yaxis)]
    made = {id(label) for axis in axes for label in _labels([*axis.majorTicks, *axis.minorTicks])}
    hidden = made - {id(label) for axis in axes for label in _labels(axis._update_ticks())}
    drawn = [text for text in texts if id(text) not in hidden and text.get_window_extent().width > 0]
    corners = [(text.get_text(), _corners(text)) for text in drawn]
    found = [f"{one!r} on {other!r}" for (one, a), (other, b) in combinations(corners, 2) if _share(a, b)]
    end = np.array(figure.bbox.size)
    beyond = [f"{said!r} beyond" for said, a in corners if (a < -SLACK).any() or (a > end + SLACK).any()]
    return found + beyond


def _corners(text: Text) -> NDArray[np.float64]:
    """Of the rectangle that a text fills, turned as it is: (4, 2), in pixels."""
    box, angle = text.get_window_extent(), np.radians(text.get_rotation())
    cosine, sine = abs(np.cos(angle)), abs(np.sin(angle))
    # From the upright box around it; there is no answer at 45 degrees, at which no text is written.
    width = (box.width * cosine - box.height * sine) / (cosine**2 - sine**2)
    height = (box.height * cosine - box.width * sine) / (cosine**2 - sine**2)
    along, up = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2
    return np.array(
        [middle + a * width / 2 * along + b * height / 2 * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )


def _share(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two rectangles overlap: no side of one of them separates them."""
    sides = [corners[index + 1] - corners[index] for corners in (one, other) for index in (0, 1)]
    for side in sides:
        axis = side / np.linalg.norm(side)
        a, b = one @ axis, other @ axis
        if min(a.max(), b.max()) - max(a.min(), b.min()) <= SLACK:
            return False
    return True


def _labels(ticks: Iterable[Tick]) -> list[Text]:
    return [label for tick in ticks for label in (tick.label1, tick.label2)]
