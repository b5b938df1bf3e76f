"""Goals that are drawn anew for every batch: positions that the episode of a row came to later."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from d4rl_automl.data.transitions import Visited


class Relabelling(NamedTuple):
    """How the goals of the rows that a network is fitted to are drawn."""

    visited: Visited
    """Of the rows; as `pairs`, of whole episodes."""
    pairs: bool = False
    """Rows are drawn with their goals (`Draws.pairs`); else rows are given, and their goals drawn (`Draws.later`)."""

    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """All that decides what is drawn, but for the seed."""
        return (*self.visited, np.array([self.pairs]))


class Draws:
    """What is drawn for one fit, on the device that it runs on: the same seed and device, the same draws."""

    def __init__(self, relabelling: Relabelling, device: str, seed: int) -> None:
        positions, self._at, self._last = (torch.from_numpy(x).to(device) for x in relabelling.visited)
        self.positions: torch.Tensor = positions
        """(M, k) on the device."""
        self._device = device
        self.generator = torch.Generator(device).manual_seed(_own_seed(seed))
        if relabelling.pairs:
            assert len(self._at) == len(self.positions), "pairs are drawn from whole episodes"
            ends = torch.unique(self._last) + 1
            self._starts = torch.cat([ends.new_zeros(1), ends[:-1]])
            self._lengths = ends - self._starts

    def later(self, rows: torch.Tensor) -> torch.Tensor:
        """For rows (n,), each a number of one of the N, the number (n,) of a position of its episode from itself on.

        Each of them is as likely as the others.
        """
        first = self._at[rows]
        return first + self._below(self._last[rows] - first + 1)

    def pairs(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows (count,), and for each the number (count,) of the position that is its goal, as RvS-G draws them.

        An episode, each as likely as the others, whatever its length L; two of its steps, floor(u (L - 1)) and
        floor(v L), u and v uniform below 1; the state at the earlier, the goal at the later one, which may be the same
        (`D4RLIterableDataset`, dataset.py, scottemmons/rvs@90c0ffb).
        """
        episodes = torch.randint(len(self._starts), (count,), generator=self.generator, device=self._device)
        start, length = self._starts[episodes], self._lengths[episodes]
        one, other = self._below(length - 1), self._below(length)
        return start + torch.minimum(one, other), start + torch.maximum(one, other)

    def _below(self, bounds: torch.Tensor) -> torch.Tensor:
        """floor(u b) of bounds b (n,), u uniform below 1; 0 where b is."""
        uniform = torch.rand(len(bounds), dtype=torch.float64, generator=self.generator, device=self._device)
        return (uniform * bounds).long()


def _own_seed(seed: int) -> int:
    """Not that of the weights and of the order of the rows, whose numbers would be the same."""
    return int(np.random.SeedSequence((seed, 1)).generate_state(1, np.uint64)[0] >> np.uint64(1))
