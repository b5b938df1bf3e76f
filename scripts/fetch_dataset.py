"""Provide a raw dataset: the entry's provider names the module of `d4rl_automl.data.providers` that does it."""

import argparse
import importlib
import json

from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entry", required=True, type=json.loads, help="JSON: the dataset's entry")
    parser.add_argument("--d4rl-dir", required=True, help="folder that is looked in for D4RL's files")
    parser.add_argument("--mirrors", required=True, nargs="*", help="base URLs of hosts that have D4RL's files")
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--output", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="JSON file: SHA-256, and how it was made")
    given = parser.parse_args()
    module = importlib.import_module(f"d4rl_automl.data.providers.{given.entry['provider']}")
    module.fetch(
        module.Entry.model_validate(given.entry),
        local=given.d4rl_dir,
        mirrors=given.mirrors,
        output=given.output,
        provenance=given.provenance,
        threads=given.threads,
    )


if __name__ == "__main__":
    run(main)
