"""Collect an embedded dataset with the shipped behaviour policies, in D4RL's own physics."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.data.providers.embedded import collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, type=json.loads, help="the dataset's catalogue entry, as JSON")
    parser.add_argument("--threads", required=True, type=int, help="processes, of one thread each")
    parser.add_argument("--output", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="JSON file: SHA-256, policies, versions")
    arguments = parser.parse_args()
    collect(arguments.dataset, arguments.output, arguments.provenance, processes=arguments.threads)


if __name__ == "__main__":
    run(main)
