"""What every policy cost to make and costs to act with, from its jobs' benchmark files and logs."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import costs


def main() -> None:
    # Paths of a large run exceed a command line: they come in a file, one argument a line.
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--policies", nargs="+", type=json.loads, required=True, help="JSON: a policy and its jobs")
    parser.add_argument("--students", nargs="+", required=True, help="comparison of every dataset's policies (CSV)")
    parser.add_argument("--output", required=True, help="costs (CSV)")
    costs.measure(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main)
