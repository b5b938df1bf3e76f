"""Ask a teacher for its actions on recorded states, perturbed states and commanded outcomes."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.teachers import labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--deployed", nargs="+", required=True, help="the teacher's, one per action dimension")
    parser.add_argument("--fractions", nargs="*", type=float, required=True, help="least and greatest; none: goals")
    parser.add_argument("--recorded", type=int, required=True, help="rows: states with their recorded outcome")
    parser.add_argument("--perturbed", type=int, required=True, help="rows: states with noise")
    parser.add_argument("--commanded", type=int, required=True, help="rows: states with commanded outcomes")
    parser.add_argument("--noise", type=float, required=True, help="as a share of the standard deviation")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", required=True)
    given = vars(parser.parse_args())
    mixture = labels.Mixture(*(given.pop(name) for name in labels.Mixture._fields))
    labels.write(mixture=mixture, **given)


if __name__ == "__main__":
    run(main)
