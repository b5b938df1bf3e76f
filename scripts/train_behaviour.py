"""Train one task's behaviour policies, in the environment that envs/behaviour/install.sh makes."""

import argparse
import json

from d4rl_automl.behaviour.training import train
from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="halfcheetah, hopper or walker2d")
    parser.add_argument("--settings", required=True, type=json.loads, help="the task's part of training.yaml, as JSON")
    parser.add_argument("--output", required=True, help="folder of checkpoints and curve.csv")
    arguments = parser.parse_args()
    train(arguments.task, arguments.settings, arguments.output)


if __name__ == "__main__":
    run(main)
