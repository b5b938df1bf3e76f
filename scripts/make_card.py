"""Make a dataset's card: what it holds, where it is from, and which simulator made it."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.data import card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="the JSON file made with it")
    parser.add_argument("--simulator", required=True, help="which simulator made it (JSON)")
    parser.add_argument("--transitions", required=True, help="its transitions (Parquet)")
    parser.add_argument("--episodes", required=True, help="its episodes (Parquet)")
    parser.add_argument("--simulators", nargs="+", required=True, help="those that policies are played in")
    parser.add_argument("--output", required=True, help="the card as JSON")
    parser.add_argument("--markdown", required=True, help="the card as Markdown")
    arguments = parser.parse_args()
    card.write(
        arguments.raw,
        arguments.provenance,
        arguments.simulator,
        arguments.transitions,
        arguments.episodes,
        simulators=arguments.simulators,
        output=arguments.output,
        markdown=arguments.markdown,
    )


if __name__ == "__main__":
    run(main)
