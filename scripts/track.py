"""Put the tables and figures of a run into the tracker of its config."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.tracking import results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracker", required=True)
    parser.add_argument("--tables", nargs="*", required=True, help="CSV files")
    parser.add_argument("--figures", nargs="*", required=True, help="PNG files")
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the validated config")
    parser.add_argument("--output", required=True, help="what is where (JSON)")
    given = parser.parse_args()
    results.track(given.tracker, given.tables, given.figures, config=given.config, output=given.output)


if __name__ == "__main__":
    run(main)
