"""Choose the behaviour policies that collect datasets among the checkpoints, and measure them."""

import argparse
from pathlib import Path

import yaml

from d4rl_automl.behaviour.choosing import choose
from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", required=True, nargs="+", help="folders of checkpoints, each named by its task")
    parser.add_argument("--settings", required=True, help="training.yaml")
    parser.add_argument("--output", required=True, help="folder of policies, recipes.csv and levels.csv")
    given = parser.parse_args()
    settings = yaml.safe_load(Path(given.settings).read_text(encoding="utf-8"))
    choose({Path(folder).name: folder for folder in given.trainings}, settings, given.output)


if __name__ == "__main__":
    run(main)
