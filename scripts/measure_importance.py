"""Measure how much worse a teacher predicts where one of its features is shuffled."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.teachers import importance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--deployed", nargs="+", required=True, help="directories for acting, one per action dimension")
    parser.add_argument("--seed", type=int, required=True, help="the teacher's training seed")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", required=True, help="shares of every feature by action dimension (CSV)")
    importance.measure(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main)
