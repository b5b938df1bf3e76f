"""Fit one action dimension of a teacher with AutoGluon: trained directory, deployed copy, loss and leaderboard."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.teachers import training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--dimension", required=True, type=int)
    parser.add_argument("--settings", required=True, type=json.loads, help="the teacher's entry of the config, JSON")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--predictor", required=True, help="output: the trained directory")
    parser.add_argument("--deployed", required=True, help="output: the copy for acting")
    parser.add_argument("--metrics", required=True, help="output: CSV")
    parser.add_argument("--leaderboard", required=True, help="output: CSV")
    training.train_dimension(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main, gpu=True)
