"""Teacher, students and the control side by side: loss, size, speed."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--policies", nargs="+", required=True, help="handles, the teachers' among them")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", required=True)
    comparison.compare(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main)
