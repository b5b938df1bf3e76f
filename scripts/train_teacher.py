"""Let AutoGluon fit one action dimension of a teacher."""

import argparse
import json

from d4rl_automl.core import gpus
from d4rl_automl.core.script import run
from d4rl_automl.teachers import training
from d4rl_automl.teachers.settings import TeacherSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the teacher's entry of the config")
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--dimension", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--predictor", required=True, help="output: the trained directory")
    parser.add_argument("--deployed", required=True, help="output: the directory for acting")
    parser.add_argument("--metrics", required=True, help="output: CSV")
    parser.add_argument("--leaderboard", required=True, help="output: CSV")
    given = vars(parser.parse_args())
    gpus.take(given["device"])
    training.train_dimension(settings=TeacherSettings.model_validate(given.pop("settings")), **given)


if __name__ == "__main__":
    run(main, gpu=True)
