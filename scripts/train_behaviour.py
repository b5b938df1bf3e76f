"""Train one task's behaviour policies, in the environment that envs/behaviour/install.sh makes."""

import argparse
from pathlib import Path

import yaml

from d4rl_automl.behaviour.training import train
from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="a task of training.yaml")
    parser.add_argument("--settings", required=True, help="training.yaml")
    parser.add_argument("--output", required=True, help="folder of checkpoints and curve.csv")
    given = parser.parse_args()
    train(given.task, yaml.safe_load(Path(given.settings).read_text(encoding="utf-8"))[given.task], given.output)


if __name__ == "__main__":
    run(main)
