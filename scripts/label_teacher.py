"""Ask a teacher for its actions on recorded states, perturbed states and commanded outcomes."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.teachers import labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--deployed", nargs="+", required=True, help="the teacher's, one per action dimension")
    parser.add_argument("--teacher-settings", type=json.loads, required=True, help="its entry of the config, as JSON")
    parser.add_argument("--fractions", type=json.loads, required=True, help="commanded fractions, a JSON list")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's labels, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", required=True)
    labels.write(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main)
