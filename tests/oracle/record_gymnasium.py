"""Record steps of Gymnasium's own hopper on a MuJoCo before 3.5, which combines contact margins otherwise.

Runs in an environment of its own, and imports nothing of d4rl_automl:

    python3.11 -m venv old && old/bin/pip install mujoco==3.1.6 gymnasium==1.0.0 'numpy<2' imageio
    old/bin/python tests/oracle/record_gymnasium.py --output tests/oracle/gymnasium_mujoco316.npz

The file holds `{environment}/`, Hopper-v4 and Hopper-v5, episodes with uniform actions one after the other:
observations and next_observations (N, 11), rewards (N,) float64, actions (N, 3) float32, terminals and timeouts (N,)
bool. `metadata` is JSON: versions and the seed.
"""

import argparse
import json
import warnings

import gymnasium
import mujoco
import numpy as np

warnings.simplefilter("ignore")  # v4 is old on purpose
ROWS = 220


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="npz file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arrays = {}
    for name in ("Hopper-v4", "Hopper-v5"):
        arrays |= {f"{name}/{field}": values for field, values in record(name, arguments.seed).items()}
    told = {"mujoco": mujoco.__version__, "gymnasium": gymnasium.__version__, "seed": arguments.seed}
    np.savez_compressed(arguments.output, metadata=json.dumps(told), **arrays)


def record(name: str, seed: int) -> dict[str, np.ndarray]:
    environment = gymnasium.make(name)
    generator = np.random.default_rng(seed)
    rows: list[dict] = []
    observation, ended, episodes = None, True, 0
    while len(rows) < ROWS:
        if ended:
            observation, _ = environment.reset(seed=seed + episodes)
            episodes += 1
        action = generator.uniform(-1, 1, 3).astype(np.float32)
        following, reward, terminated, truncated, _ = environment.step(action)
        row = {"observations": observation, "actions": action, "rewards": reward, "next_observations": following}
        rows.append(row | {"terminals": terminated, "timeouts": truncated})
        observation, ended = following, terminated or truncated
    return {field: np.array([row[field] for row in rows]) for field in rows[0]}


if __name__ == "__main__":
    main()
