"""The tasks, and the reference returns that define their normalised scores; known without any other package."""

from d4rl_automl.core.errors import InputError
from d4rl_automl.tasks import antmaze, gym
from d4rl_automl.tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for module in (
        gym,
        antmaze,
    )
    for task in module.TASKS
}
"""Every task by its name: those that each module lists."""

SIMULATED = tuple(task.name for task in TASKS.values() if task.robot)
"""The tasks that can be played here. Of the others there are data alone."""


LEARNED: dict[str, Task] = {antmaze.WALK.name: antmaze.WALK}
"""What a behaviour policy learns before it collects in another task; no dataset is of it."""


def get(name: str) -> Task:
    """The task called `name`; raises InputError for an unknown one."""
    if name in LEARNED:
        return LEARNED[name]
    try:
        return TASKS[name]
    except KeyError:
        raise InputError(f"task {name!r} is unknown; the tasks are {', '.join(TASKS)}") from None
