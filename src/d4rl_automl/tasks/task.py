"""What a task is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One robot of D4RL's gym suite, or its ant in one of the mazes."""

    name: str
    environment: str | None
    """Gymnasium's class name, `make(f"{environment}-v4")`; None where there is no simulator yet."""
    observation_size: int
    action_size: int
    reference_min: float
    """Return of a random policy; D4RL's REF_MIN_SCORE (d4rl/infos.py, Farama-Foundation/D4RL@89141a6)."""
    reference_max: float
    """Return of an expert; D4RL's REF_MAX_SCORE (same file)."""
    episode_steps: int = 1000
    """The time limit of the environment, and what a commanded return is divided by."""
    maze: bool = False
    """AntMaze: x and y come first in the observation, and recorded episodes go on at the goal."""

    def commanded_return(self, fraction: float) -> float:
        """ref_min + fraction (ref_max - ref_min): a fraction of the expert's return, undiscounted."""
        return self.reference_min + fraction * (self.reference_max - self.reference_min)

    def target(self, fraction: float) -> float:
        """The average reward-to-go commanded for a fraction of the expert's return, per step.

        (ref_min + fraction (ref_max - ref_min)) / 1,000 steps, as RvS commands it
        (scottemmons/rvs@90c0ffb). Fraction 1.0 asks for a normalised score of 100.
        """
        return self.commanded_return(fraction) / self.episode_steps
