"""The mazes of D4RL's AntMaze: where their walls are, where an ant starts, and where its goal is.

Layouts: d4rl/locomotion/maze_env.py, U_MAZE_TEST, BIG_MAZE_TEST and HARDEST_MAZE_TEST, Farama-Foundation/D4RL@89141a6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cell = tuple[int, int]
"""Row and column, from 0. Rows go along y, columns along x."""

WALL, FREE, START, GOAL = "#.SG"


@dataclass(frozen=True)
class Maze:
    """A grid of square cells, one of which is the start and one the goal's."""

    rows: tuple[str, ...]
    """A character for each cell: a wall (#), free (.), the start (S) or the goal's (G)."""
    cell_size: float = 4.0
    """The side of a cell, in metres."""

    def cells(self, *kinds: str) -> list[Cell]:
        """The cells of these kinds, row by row."""
        return [
            (row, column) for row, line in enumerate(self.rows) for column, kind in enumerate(line) if kind in kinds
        ]

    def centre(self, cell: Cell) -> tuple[float, float]:
        """x and y of the middle of a cell, in metres; the start's is the origin."""
        (row, column), (start_row, start_column) = cell, self.start
        return (column - start_column) * self.cell_size, (row - start_row) * self.cell_size

    @property
    def walls(self) -> list[Cell]:
        """The cells that are walls."""
        return self.cells(WALL)

    @property
    def start(self) -> Cell:
        """The cell in which an ant starts."""
        return self.cells(START)[0]

    @property
    def goal(self) -> Cell:
        """The cell at whose middle and beyond goals are drawn."""
        return self.cells(GOAL)[0]

    def goals(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float64]:
        """Goals (n, 2): x and y in metres, as D4RL's `goal_sampler` spreads them beyond the middle of the goal's cell.

        D4RL draws them from NumPy's global generator, which `env.seed` does not reach
        (https://github.com/Farama-Foundation/D4RL/issues/202).
        """
        import numpy as np  # noqa: PLC0415  tasks are known without it

        side, centre = self.cell_size, self.centre(self.goal)
        spread = [generator.uniform(0, side / 4, 2) + generator.uniform(0, side / 8, 2) for generator in generators]
        return np.maximum(np.reshape(spread, (len(generators), 2)) + centre, 0.0)


UMAZE = Maze(
    (
        "#####",
        "#S..#",
        "###.#",
        "#G..#",
        "#####",
    )
)
MEDIUM = Maze(
    (
        "########",
        "#S.##..#",
        "#..#...#",
        "##...###",
        "#..#...#",
        "#.#..#.#",
        "#...#.G#",
        "########",
    )
)
LARGE = Maze(
    (
        "############",
        "#S...#.....#",
        "#.##.#.#.#.#",
        "#......#...#",
        "#.####.###.#",
        "#..#.#.....#",
        "##.#.#.#.###",
        "#..#...#.G.#",
        "############",
    )
)
