"""Draw the returns of the behaviour policies over their training, and which of them were chosen."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.figures import behaviour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", required=True, nargs="+", help="folders of checkpoints, one a task")
    parser.add_argument("--tasks", required=True, type=json.loads, help="the tasks in that order, as JSON")
    parser.add_argument("--levels", required=True, help="levels.csv of the chosen policies")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    trainings = dict(zip(arguments.tasks, arguments.trainings, strict=True))
    behaviour.plot(trainings, arguments.levels, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
