"""Fetch a D4RL file, resuming, and check its size and SHA-256 before it gets its name."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.data.providers.d4rl import download


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, type=json.loads, help="the dataset's catalogue entry, as JSON")
    parser.add_argument("--local", required=True, help="folder of the user's own copies, looked in first")
    parser.add_argument("--mirrors", required=True, type=json.loads, help="JSON list of base URLs, tried in order")
    parser.add_argument("--output", required=True, help="HDF5 file")
    parser.add_argument("--provenance", required=True, help="JSON file: SHA-256 and origin")
    arguments = parser.parse_args()
    download(
        arguments.dataset,
        arguments.output,
        arguments.provenance,
        local=arguments.local,
        mirrors=arguments.mirrors,
    )


if __name__ == "__main__":
    run(main)
