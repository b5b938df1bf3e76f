"""D4RL itself, where envs/mujoco-py/install.sh was run."""

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from d4rl_automl.core import environments
from d4rl_automl.core.errors import InputError

try:
    PYTHON, MISSING = str(environments.find_python("mujoco-py")), ""
except InputError as error:
    PYTHON, MISSING = "", str(error)
needs_original = pytest.mark.skipif(bool(MISSING), reason=MISSING)

READING = """
import sys, gym, numpy as np, d4rl
from d4rl.offline_env import OfflineEnv

class Env(OfflineEnv):
    observation_space = gym.spaces.Box(-np.inf, np.inf, (int(sys.argv[3]),))
    action_space = gym.spaces.Box(-1, 1, (int(sys.argv[4]),))
    _max_episode_steps = 1000

env = Env()
dataset = env.get_dataset(sys.argv[1])
made = {f"dataset/{k}": v for k, v in dataset.items()}
for flag in (False, True):
    made.update({f"{flag}/{k}": v for k, v in d4rl.qlearning_dataset(env, dataset, terminate_on_end=flag).items()})
np.savez(sys.argv[2], **made)
"""


def d4rl_itself(path: Path) -> dict[str, np.ndarray]:
    """What D4RL 1.1 itself reads: get_dataset, and qlearning_dataset with terminate_on_end False and True."""
    with h5py.File(path) as file:
        sizes = [str(file[name].shape[1]) for name in ("observations", "actions")]
    output = path.with_suffix(".npz")
    command = [PYTHON, "-I", "-W", "ignore", "-c", READING, str(path), str(output), *sizes]
    subprocess.run(command, check=True, capture_output=True)
    with np.load(output) as found:
        return dict(found)
