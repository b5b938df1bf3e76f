"""Provide a raw dataset: the entry's provider names the module of `d4rl_automl.data.providers` that does it."""

import argparse
import importlib

from d4rl_automl.core.script import run
from d4rl_automl.settings import entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the run's config (JSON)")
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--output", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="JSON file: SHA-256, and how it was made")
    given = parser.parse_args()
    config = entries.read(given.config)
    entry = entries.entry(config, "datasets", given.dataset)
    module = importlib.import_module(f"d4rl_automl.data.providers.{entry['provider']}")
    module.fetch(
        module.Entry.model_validate(entry),
        config,
        output=given.output,
        provenance=given.provenance,
        threads=given.threads,
    )


if __name__ == "__main__":
    run(main)
