"""The mazes of D4RL's AntMaze: where their walls are, where an ant starts, and where its goal is.

Layouts: d4rl/locomotion/maze_env.py, U_MAZE_TEST, BIG_MAZE_TEST and HARDEST_MAZE_TEST, Farama-Foundation/D4RL@89141a6.
"""

from dataclasses import dataclass

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
