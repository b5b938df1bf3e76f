"""D4RL's ant in mazes: data alone, since there is no simulator of it yet.

Time limits: d4rl/locomotion/__init__.py, Farama-Foundation/D4RL@89141a6.
"""

from d4rl_automl.tasks.task import Task


def _antmaze(maze: str, episode_steps: int = 1000) -> Task:
    return Task(f"antmaze-{maze}", 29, 8, 0.0, 1.0, episode_steps=episode_steps, maze=True)


TASKS = (
    _antmaze("umaze", 700),
    _antmaze("umaze-diverse", 700),
    _antmaze("medium-play"),
    _antmaze("medium-diverse"),
    _antmaze("large-play"),
    _antmaze("large-diverse"),
)
