"""What every policy of a dataset cost to make and costs to act with, from its jobs' benchmark files and logs."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", required=True, help="comparison of the dataset's policies (CSV)")
    parser.add_argument(
        "--policy",
        nargs="+",
        action="append",
        required=True,
        metavar="WORD",
        help="a method and its training seed, the names of the jobs that made it, and after / those of its teacher",
    )
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--directory", required=True, help="what logs/ and results/ of the jobs are in")
    parser.add_argument("--output", required=True, help="costs (CSV)")
    given = parser.parse_args()
    policies = [costs.Policy.of(words) for words in given.policy]
    costs.measure(given.dataset, policies, given.students, given.output, directory=given.directory)


if __name__ == "__main__":
    run(main)
