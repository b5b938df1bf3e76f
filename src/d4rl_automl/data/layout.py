"""The layout of raw datasets: HDF5 files as those of D4RL's gym v2 suite.

    observations       (N, d) float32        rewards    (N,) float32
    actions            (N, a) float32        terminals  (N,) bool   Gymnasium's terminated: the robot fell
    next_observations  (N, d) float32        timeouts   (N,) bool   Gymnasium's truncated: time limit
    infos/*            (N, …)                metadata/* anything

The authority on the layout is D4RL's own reader, d4rl/offline_env.py `get_dataset`
(Farama-Foundation/D4RL@89141a6). Older files are read too: without `next_observations`, with
float64 arrays, with flags stored as numbers, and without `timeouts`. What `terminals` mean
differs between the gym suite and AntMaze: `ends` says how.
"""

import numpy as np

LAYOUT: dict[str, type[np.generic]] = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "next_observations": np.float32,
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "infos/qpos": np.float32,
    "infos/qvel": np.float32,
    "infos/goal": np.float32,
    "infos/action_log_probs": np.float32,
}
"""The arrays that are written, and their dtypes."""

REQUIRED = ("observations", "actions", "rewards", "terminals")
"""What D4RL's own reader demands of a file."""

OPTIONAL = ("timeouts", "next_observations")
"""What it reads as well, where a file has it."""

MATRICES = ("observations", "actions", "next_observations")
"""(N, d) or (N, a); the others of these are (N,)."""
