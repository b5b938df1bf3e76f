"""The robots of D4RL's gym suite."""

from d4rl_automl.tasks.task import Task

TASKS = (
    Task("halfcheetah", 17, 6, -280.178953, 12135.0, "d4rl_automl.simulators.robots:HALFCHEETAH"),
    Task("hopper", 11, 3, -20.272305, 3234.3, "d4rl_automl.simulators.robots:HOPPER"),
    Task("walker2d", 17, 6, 1.629008, 4592.3, "d4rl_automl.simulators.robots:WALKER2D"),
)
