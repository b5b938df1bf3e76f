"""Pack the report and all that it shows into one ZIP archive."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.report import pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", required=True, help="the page (HTML)")
    parser.add_argument("--output", required=True, help="the archive (ZIP)")
    given = parser.parse_args()
    pack.write(given.report, given.output)


if __name__ == "__main__":
    run(main)
