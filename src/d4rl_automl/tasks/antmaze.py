"""D4RL's ant in mazes: it is to reach a goal, which changes from episode to episode.

Time limits and rules: d4rl/locomotion/__init__.py and goal_reaching_env.py, Farama-Foundation/D4RL@89141a6. `play` and
`diverse` are the same to play: only the recorded data differ.
"""

from d4rl_automl.tasks import mazes
from d4rl_automl.tasks.task import Goal, Task


def _antmaze(name: str, robot: str, maze: mazes.Maze, episode_steps: int = 1000) -> Task:
    return Task(
        f"antmaze-{name}",
        observation_size=29,
        action_size=8,
        reference_min=0.0,
        reference_max=1.0,
        robot=f"d4rl_automl.simulators.maze:{robot}",
        suite="antmaze",
        episode_steps=episode_steps,
        maze=maze,
        # x and y of the torso, in metres.
        goal=Goal(columns=(0, 1), radius=0.5, draw=maze.goals),
        simulators=("d4rl", "mujoco-py"),
        why_not_others="Gymnasium has no such environment, and gymnasium-robotics' AntMaze is another one: "
        "other motors, another time step and another goal",
    )


TASKS = (
    _antmaze("umaze", "UMAZE", mazes.UMAZE, 700),
    _antmaze("umaze-diverse", "UMAZE", mazes.UMAZE, 700),
    _antmaze("medium-play", "MEDIUM", mazes.MEDIUM),
    _antmaze("medium-diverse", "MEDIUM", mazes.MEDIUM),
    _antmaze("large-play", "LARGE", mazes.LARGE),
    _antmaze("large-diverse", "LARGE", mazes.LARGE),
)

WALK = Task(
    "ant",
    observation_size=28,
    action_size=8,
    reference_min=0.0,
    reference_max=500.0,
    robot="d4rl_automl.behaviour.walking:WALKING_ANT",
    episode_steps=500,
    simulators=("d4rl",),
    why_not_others="the ant of the mazes learns to walk in their own physics",
)
"""To walk on open ground. A score of 100 is a metre a second for 50 seconds, without effort."""
