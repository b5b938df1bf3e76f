"""D4RL's tasks as Gymnasium environments; importing this module registers them.

`gymnasium.make("d4rl/hopper-v2")` makes a `single.D4RLEnv`, `gymnasium.make_vec("d4rl/hopper-v2", num_envs=2000)` a
`vector.D4RLVectorEnv`, and so for every task that can be played. What both take besides is in those classes.
"""

import gymnasium

from d4rl_automl import tasks
from d4rl_automl.core import opengl

opengl.settle()


def environment_id(task: str) -> str:
    """What Gymnasium calls the environment of a task. D4RL's version 2: the name that its datasets bear."""
    return f"d4rl/{task}-v2"


for _task in tasks.SIMULATED:
    gymnasium.register(
        environment_id(_task),
        entry_point=f"{__name__}.single:D4RLEnv",
        vector_entry_point=f"{__name__}.vector:D4RLVectorEnv",
        max_episode_steps=tasks.get(_task).episode_steps,
        kwargs={"task": _task},
    )
