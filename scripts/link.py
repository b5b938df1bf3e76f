"""Take in a file of the user's: validate it, link to it, keep its checksum."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.data.providers.file import link


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, type=json.loads, help="the dataset's catalogue entry, as JSON")
    parser.add_argument("--output", required=True, help="HDF5 file, a link to the user's")
    parser.add_argument("--provenance", required=True, help="JSON file: SHA-256, path, repairs")
    arguments = parser.parse_args()
    link(arguments.dataset, arguments.output, arguments.provenance)


if __name__ == "__main__":
    run(main)
