"""Flatten a raw dataset's episodes to transitions with average reward-to-go, split by whole episodes."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.data.making import make_transitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="the JSON file made with it")
    parser.add_argument("--seed", required=True, type=int, help="of the split")
    parser.add_argument("--validation", required=True, type=float, help="share of the finished episodes")
    parser.add_argument("--test", required=True, type=float, help="share of the finished episodes")
    parser.add_argument("--output", required=True, help="Parquet file, one row per transition")
    parser.add_argument("--episodes", required=True, help="Parquet file, one row per episode")
    given = parser.parse_args()
    make_transitions(
        given.raw,
        given.provenance,
        {"seed": given.seed, "validation": given.validation, "test": given.test},
        output=given.output,
        episodes_output=given.episodes,
    )


if __name__ == "__main__":
    run(main)
