"""Keep the validated config as a file: what the jobs of a run read their settings from."""

import argparse
import json

from d4rl_automl.core import files
from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the validated config")
    parser.add_argument("--output", required=True, help="the same as a file")
    arguments = parser.parse_args()
    files.write_json(arguments.output, arguments.config)


if __name__ == "__main__":
    run(main)
