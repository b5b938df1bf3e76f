"""D4RL's own environment, stepped for another process: the other end of `original`.

`main` runs in the environment that envs/mujoco-py/install.sh makes (Python 3.10, NumPy 1.23),
by the path of this file and without the package around it: it may import nothing of it.
Messages are named arrays on standard input and output, see `send`.
"""

import importlib.metadata
import io
import os
import struct
import sys
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Message = dict[str, NDArray[Any]]


def send(stream: IO[bytes], message: Message) -> None:
    """Write named arrays: the length of an npz, 8 bytes, and the npz."""
    content = io.BytesIO()
    np.savez(content, **message)  # type: ignore[arg-type]
    stream.write(struct.pack("<q", len(content.getbuffer())))
    stream.write(content.getbuffer())
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    """Read what `send` wrote. Raises EOFError where the other end is gone."""
    size = stream.read(8)
    if len(size) < 8:
        raise EOFError
    content = stream.read(*struct.unpack("<q", size))
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def main(task: str, size: int) -> None:
    """Serve `size` episodes of D4RL's environment of a task until standard input closes.

    First says its versions. Then answers {ids, qpos, qvel}, new episodes, with {observations};
    and {ids, actions, goals}, one step each, with {observations, rewards, terminated, diverged}.
    Goals (n, k) are what a maze's ant is to reach; elsewhere k is 0.
    """
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What gym and mujoco-py print goes to the log.
    import gym  # type: ignore[import-not-found]  # noqa: PLC0415
    import mujoco_py  # type: ignore[import-not-found]  # noqa: PLC0415

    # What registers the environments, and the name of one of the task's.
    if maze := task.startswith("antmaze-"):
        import d4rl.locomotion  # type: ignore[import-not-found]  # noqa: PLC0415
    else:
        import d4rl.gym_mujoco  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    # D4RL's environment in D4RL's action wrapper, without gym's time limit: the caller counts.
    environment = gym.make(f"{task}-v2" if maze else f"{task}-medium-v2").unwrapped
    data = environment.sim.data
    # What one step hands to the next, the solver's warm start with it, of every episode. One
    # environment each would do the same and take 5 MB each.
    handed = ("qpos", "qvel", "qacc_warmstart")
    states = [np.zeros((size, len(getattr(data, name)))) for name in handed]
    versions = {name: importlib.metadata.version(name) for name in ("d4rl", "gym", "mujoco-py", "numpy")}
    number = f"{mujoco_py.functions.mj_version():03d}"
    send(output, {"mujoco": np.array(".".join(number)), **{name: np.array(text) for name, text in versions.items()}})

    def reset(episode: int, qpos: NDArray[Any], qvel: NDArray[Any]) -> NDArray[Any]:
        environment.sim.reset()
        environment.set_state(qpos, qvel)
        for values, name in zip(states, handed, strict=True):
            values[episode] = getattr(data, name)
        return environment._get_obs()

    def step(episode: int, action: NDArray[Any], goal: NDArray[Any]) -> tuple[NDArray[Any], float, bool, bool]:
        if maze:
            environment.wrapped_env.target_goal = goal
        for values, name in zip(states, handed, strict=True):
            getattr(data, name)[:] = values[episode]
        before = environment._get_obs()
        try:
            observation, reward, terminated, _ = environment.step(action)
        except mujoco_py.MujocoException as error:  # The physics blew up.
            print(f"episode {episode}: {error}", file=sys.stderr)
            environment.sim.reset()
            return before, 0.0, True, True
        for values, name in zip(states, handed, strict=True):
            values[episode] = getattr(data, name)
        return observation, reward, terminated, False

    while True:
        try:
            message = receive(sys.stdin.buffer)
        except EOFError:
            return
        if "actions" in message:
            rows = [step(*row) for row in zip(*(message[name] for name in ("ids", "actions", "goals")), strict=True)]
            names = ("observations", "rewards", "terminated", "diverged")
            send(output, {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
        else:
            starts = zip(message["ids"], message["qpos"], message["qvel"], strict=True)
            send(output, {"observations": np.array([reset(*start) for start in starts])})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
