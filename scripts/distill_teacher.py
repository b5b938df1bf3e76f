"""Distil one action dimension of a teacher into a single model with AutoGluon, in a copy of the trained directory."""

import argparse
import json

from d4rl_automl.core import gpus
from d4rl_automl.core.script import run
from d4rl_automl.methods.autogluon_student import Settings
from d4rl_automl.teachers import distillation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the method's entry of the config")
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--predictor", required=True, help="the trained directory")
    parser.add_argument("--dimension", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--output", required=True, help="output: the distilled directory, for acting")
    given = vars(parser.parse_args())
    gpus.take(given["device"])
    distillation.distill_dimension(settings=Settings.model_validate(given.pop("settings")), **given)


if __name__ == "__main__":
    run(main, gpu=True)
