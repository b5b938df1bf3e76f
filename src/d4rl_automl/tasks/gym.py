"""The robots of D4RL's gym suite."""

from d4rl_automl.tasks.task import Task

TASKS = (
    Task("halfcheetah", "HalfCheetah", 17, 6, -280.178953, 12135.0),
    Task("hopper", "Hopper", 11, 3, -20.272305, 3234.3),
    Task("walker2d", "Walker2d", 17, 6, 1.629008, 4592.3),
)
