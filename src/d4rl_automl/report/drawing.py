"""A drawing of the plan of a run: a box for every rule, in layers from the data down to the report."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from d4rl_automl.core.spacing import apart

Edge = tuple[str, str]

HEIGHT, GAP, BETWEEN = 34.0, 16.0, 30.0
"""Of a box, from one box to the next, and from one layer to the next, in pixels."""
SWEEPS = 8


@dataclass
class Box:
    """A rule, or, without text, a bend of an arrow that passes a layer."""

    text: str
    layer: int
    x: float = 0.0
    """Of its middle."""
    neighbours: dict[int, list["Box"]] = field(default_factory=lambda: defaultdict(list))
    """By the step to their layer: -1 above, 1 below."""

    @property
    def width(self) -> float:
        """In pixels; 6.9 of a letter of 12 pixels in most sans-serif fonts, with room."""
        return 22 + 6.9 * len(self.text) if self.text else 6.0

    @property
    def y(self) -> float:
        """Of its upper side."""
        return 2 + self.layer * (HEIGHT + BETWEEN)


@dataclass
class Drawing:
    """Boxes with text, and arrows as SVG paths, on a sheet of so many pixels."""

    boxes: list[Box]
    arrows: list[str]
    width: float
    height: float


def draw(rules: Mapping[str, str], edges: Iterable[Edge]) -> Drawing:
    """The drawing of `rules` (the text of each box by the rule's name) and of what passes between them.

    A layered drawing as Sugiyama, Tagawa and Toda (1981) have it: the layer of a rule is the longest way to it, an
    arrow that is implied by others is left out, and neighbours are drawn near each other. Raises ValueError for a graph
    with a circle.
    """
    needed = _without_implied(set(edges), rules)
    layers = _layers(rules, needed)
    boxes = {name: Box(text, layers[name]) for name, text in rules.items()}
    rows: list[list[Box]] = [[] for _ in range(1 + max(layers.values()))]
    for box in boxes.values():
        rows[box.layer].append(box)
    ways = []
    for before, after in sorted(needed):
        first, last = boxes[before], boxes[after]
        bends = [Box("", layer) for layer in range(first.layer + 1, last.layer)]
        for bend in bends:
            rows[bend.layer].append(bend)
        ways.append([first, *bends, last])
        for upper, lower in pairwise(ways[-1]):
            upper.neighbours[1].append(lower)
            lower.neighbours[-1].append(upper)
    for row in rows:
        _place(row)
    for sweep in range(SWEEPS):
        side = -1 if sweep % 2 == 0 else 1
        for row in rows if side < 0 else rows[::-1]:
            row.sort(key=lambda box: _mean([other.x for other in box.neighbours[side]], box.x))
            _place(row)
    for side in (-1, 1, -1):
        for row in rows if side < 0 else rows[::-1]:
            _approach(row, side)
    left = min(box.x - box.width / 2 for row in rows for box in row) - 2
    for row in rows:
        for box in row:
            box.x = round(box.x - left, 1)
    right = max(box.x + box.width / 2 for row in rows for box in row) + 2
    return Drawing(list(boxes.values()), [_path(way) for way in ways], round(right), rows[-1][0].y + HEIGHT + 2)


def _without_implied(edges: set[Edge], rules: Iterable[str]) -> set[Edge]:
    """The edges that no longer way says already."""
    after: dict[str, set[str]] = {name: {b for a, b in edges if a == name} for name in rules}
    reached: dict[str, set[str]] = {}

    def reach(name: str, above: tuple[str, ...] = ()) -> set[str]:
        if name in above:
            raise ValueError(f"the rules go round in a circle: {' -> '.join((*above, name))}")
        if name not in reached:
            reached[name] = after[name].union(*(reach(other, (*above, name)) for other in after[name]))
        return reached[name]

    for name in after:
        reach(name)
    return {(a, b) for a, b in edges if not any(b in reached[other] for other in after[a])}


def _layers(rules: Iterable[str], edges: set[Edge]) -> dict[str, int]:
    before: dict[str, set[str]] = {name: {a for a, b in edges if b == name} for name in rules}
    found: dict[str, int] = {}

    def layer(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((layer(other) for other in before[name]), default=-1)
        return found[name]

    for name in before:
        layer(name)
    # What nothing stands above moves down to what reads it.
    for name, above in before.items():
        if not above and (readers := [found[b] for a, b in edges if a == name]):
            found[name] = min(readers) - 1
    return found


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _place(row: Sequence[Box]) -> None:
    """Side by side, in their order, around 0."""
    x = -(sum(box.width for box in row) + GAP * (len(row) - 1)) / 2
    for box in row:
        box.x = x + box.width / 2
        x += box.width + GAP


def _approach(row: Sequence[Box], side: int) -> None:
    """Every box as near to its neighbours of one side as its order leaves room for."""
    wanted = [_mean([other.x for other in box.neighbours[side]], box.x) for box in row]
    gaps = [(left.width + right.width) / 2 + GAP for left, right in pairwise(row)]
    for box, x in zip(row, apart(wanted, gaps), strict=True):
        box.x = x


def _path(way: Sequence[Box]) -> str:
    """An arrow through the bends of a way: straight past their layers, and curved from one to the next."""
    parts = [f"M{way[0].x:g} {way[0].y + HEIGHT:g}"]
    for upper, lower in pairwise(way):
        top, bottom = upper.y + HEIGHT, lower.y
        middle = (top + bottom) / 2
        parts.append(f"C{upper.x:g} {middle:g} {lower.x:g} {middle:g} {lower.x:g} {bottom:g}")
        if not lower.text:
            parts.append(f"V{bottom + HEIGHT:g}")
    return "".join(parts)
