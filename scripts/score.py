"""Score every policy on its report episodes, and summarise over training seeds and datasets."""

import argparse
import json

from d4rl_automl import statistics
from d4rl_automl.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", nargs="+", required=True, help="report tables (Parquet)")
    parser.add_argument("--targets", nargs="+", required=True, help="chosen targets (JSON files)")
    parser.add_argument("--providers", type=json.loads, required=True, help='JSON: {"dataset": "provider", …}')
    parser.add_argument("--output", required=True, help="scores (CSV)")
    parser.add_argument("--summary", required=True, help="summary (CSV)")
    arguments = parser.parse_args()
    text = statistics.score_files(
        arguments.rollouts, arguments.targets, arguments.providers, arguments.output, arguments.summary
    )
    print(text)


if __name__ == "__main__":
    run(main)
