"""Flatten a raw dataset's episodes to transitions with average reward-to-go, split by whole episodes."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.data.making import make_transitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="the JSON file made with it")
    parser.add_argument("--dataset", required=True, type=json.loads, help="the dataset's catalogue entry, as JSON")
    parser.add_argument("--split", required=True, type=json.loads, help="seed, validation and test share, as JSON")
    parser.add_argument("--output", required=True, help="Parquet file, one row per transition")
    parser.add_argument("--episodes", required=True, help="Parquet file, one row per episode")
    arguments = parser.parse_args()
    make_transitions(
        arguments.raw,
        arguments.provenance,
        arguments.dataset,
        arguments.split,
        output=arguments.output,
        episodes_output=arguments.episodes,
    )


if __name__ == "__main__":
    run(main)
