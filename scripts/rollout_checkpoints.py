"""Play a policy at points of its fit, and write one row per episode."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", nargs="+", required=True, help="the policy at points of its fit (ONNX), in order")
    parser.add_argument("--target", required=True, help="the target that was chosen for the policy (JSON)")
    parser.add_argument("--simulator", required=True, help="name of a simulator (`simulators.SIMULATORS`)")
    parser.add_argument("--episodes", required=True, type=int, help="of each")
    parser.add_argument("--seed", required=True, type=int, help="the rollouts' seed, not the training seed")
    parser.add_argument("--threads", required=True, type=int, help="processes, of one thread each")
    parser.add_argument("--output", required=True, help="Parquet file")
    given = parser.parse_args()
    checkpoints.play(
        given.policies,
        given.target,
        simulator=given.simulator,
        episodes=given.episodes,
        seed=given.seed,
        processes=given.threads,
        output=given.output,
    )


if __name__ == "__main__":
    run(main)
