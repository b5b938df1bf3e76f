"""Ways through a maze, and the ant that takes them: how data are collected in mazes.

As D4RL collects its own (d4rl/locomotion/maze_env.py `create_navigation_policy` and scripts/generation/
generate_ant_maze_datasets.py, Farama-Foundation/D4RL@89141a6): breadth-first search tells the next cell on the way to
the goal's cell, a policy trained on open ground walks there, and its actions get noise.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.behaviour.policies import VARIANT, TanhGaussian
from d4rl_automl.behaviour.walking import features
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.robots import Actions
from d4rl_automl.tasks import antmaze, mazes
from d4rl_automl.tasks.mazes import Cell, Maze

RECIPES = ("fixed", "play", "diverse")
"""How starts and goals are drawn."""

ASIDE = 0.8
"""Metres from the line between two cells' middles, beyond which an ant first goes to the middle of its own."""


class Ways:
    """The shortest ways between the cells of a maze."""

    def __init__(self, maze: Maze) -> None:
        self.maze = maze
        self.free = maze.cells(mazes.FREE, mazes.START, mazes.GOAL)
        """Cells that are no walls, (c) pairs of row and column."""
        self._centres = np.array([maze.centre(cell) for cell in self.free])
        number = {cell: index for index, cell in enumerate(self.free)}
        self._next = np.array([_towards(number, goal) for goal in self.free])
        """(c, c) the number of the cell that comes next, by those of the goal's and of one's own."""

    def cells(self, positions: NDArray[np.floating]) -> NDArray[np.int64]:
        """The numbers (n,) of the free cells nearest to positions (n, 2)."""
        return ((positions[:, None] - self._centres) ** 2).sum(axis=2).argmin(axis=1)

    def centres(self, cells: NDArray[np.integer]) -> NDArray[np.float64]:
        """The middles (n, 2) of cells by their numbers (n,), x and y in metres."""
        found: NDArray[np.float64] = self._centres[cells]
        return found

    def waypoints(self, positions: NDArray[np.floating], goals: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where to go next (n, 2) from positions (n, 2) on the way to goals (n, 2), all x and y in metres.

        To the goal itself in its own cell. Elsewhere to the middle of the next cell or, to go round a corner without
        touching it, first to that of one's own.
        """
        here = self.cells(positions)
        there = self.cells(goals)
        following = self._next[there, here]
        middle, ahead = self._centres[here], self._centres[following]
        step = np.abs(ahead - middle)
        aside = np.where(step[:, 0] > step[:, 1], *np.abs(positions - middle).T[::-1])
        result = np.where((aside > ASIDE)[:, None], middle, ahead)
        return np.where((here == there)[:, None], goals, result)


def _towards(number: dict[Cell, int], goal: Cell) -> list[int]:
    """For every cell, by its number, that of the next one on a shortest way to the goal."""
    following = {goal: goal}
    reached = deque([goal])
    while reached:
        row, column = cell = reached.popleft()
        for beside in ((row, column - 1), (row, column + 1), (row + 1, column), (row - 1, column)):
            if beside in number and beside not in following:
                following[beside] = cell
                reached.append(beside)
    return [number[following[cell]] for cell in number]


class Wanderings(BatchSimulator):
    """A maze in which starts and goals are those of a recipe, and every episode lasts until the time limit.

    fixed    the task's own start; one goal, the task's
    play     starts anywhere in the maze; one goal, the task's
    diverse  starts and goals anywhere in the maze

    `commanded` (size, 2) are the goals of the episodes. Rewards are 1 within the task's radius of `rewarded` (2,), the
    one goal of the first two recipes, which is drawn by `seed`: so D4RL labels its data, whatever was commanded
    (scripts/generation/relabel_antmaze_rewards.py).

    Raises InputError for a recipe or task that is none of these.
    """

    def __init__(self, task: str, size: int, recipe: str, seed: int) -> None:
        super().__init__(task, size, VARIANT)
        if self.task.maze is None or self.task.goal is None or recipe not in RECIPES:
            raise InputError(f"recipe {recipe!r} of {task}: the tasks are mazes, the recipes {', '.join(RECIPES)}")
        self.recipe = recipe
        self.ways = Ways(self.task.maze)
        self.rewarded: NDArray[np.float64] = self.robot.goals(robots.seeded([seed]))[0]
        self.commanded = np.tile(self.rewarded, (size, 1))

    def draw(self, generators: Sequence[np.random.Generator], ids: ArrayLike) -> NDArray[np.float64]:
        """As `BatchSimulator.draw`. A start is within a metre beyond the middle of its cell, as D4RL's is."""
        qpos, qvel = self.robot.initial_states(self.model, generators)
        for row, (number, generator) in enumerate(zip(np.asarray(ids), generators, strict=True)):
            if self.recipe != "fixed":
                qpos[row, :2] += self._anywhere(generator) + generator.uniform(0, 1, 2)
            if self.recipe == "diverse":
                self.commanded[number] = self._anywhere(generator) + generator.uniform(0, 1, 2)
        return self.set_state(qpos, qvel, ids)

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """As `BatchSimulator.step`; nothing ends at a goal."""
        observations, _, terminated, truncated = super().step(actions, ids)
        assert self.task.goal is not None
        rewards = self.task.goal.reached(observations, self.rewarded).astype(np.float64)
        return observations, rewards, terminated, truncated

    def _anywhere(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return self.ways.centres(generator.integers(len(self.ways.free), size=1))[0]


class Guide:
    """Walks to one waypoint after the other: tanh(mu) of the walking ant's network, plus `noise` eps, clipped.

    `path` is the network's file, as `policies.TanhGaussian` reads it.
    """

    def __init__(self, path: Path, maze: Maze, noise: float) -> None:
        self._walker = TanhGaussian(path, antmaze.WALK.name, 1.0)
        self._ways = Ways(maze)
        self._noise = np.float32(noise)

    def draw(self, generator: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """As `policies.Uniform.draw`."""
        return self._walker.draw(generator, steps)

    def act(self, observations: NDArray[np.float32], chance: NDArray[np.float32]) -> tuple[NDArray[np.float32], None]:
        """Actions (n, a), without a density, for observations and goals (n, d + 2) and drawn chance (n, a)."""
        goals = observations[:, -2:]
        seen = features(observations, self._ways.waypoints(observations[:, :2], goals))
        mean, _ = self._walker.act(seen, np.zeros_like(chance))
        return (mean + self._noise * chance).clip(-1, 1), None
