"""Choose the behaviour policies that collect datasets among the checkpoints, and measure them."""

import argparse
import json

from d4rl_automl.behaviour.choosing import choose
from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", required=True, nargs="+", help="folders of checkpoints, one a task")
    parser.add_argument("--settings", required=True, type=json.loads, help="training.yaml as JSON, tasks in that order")
    parser.add_argument("--output", required=True, help="folder of policies, recipes.csv and levels.csv")
    arguments = parser.parse_args()
    choose(dict(zip(arguments.settings, arguments.trainings, strict=True)), arguments.settings, arguments.output)


if __name__ == "__main__":
    run(main)
