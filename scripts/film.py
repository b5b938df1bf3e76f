"""Film the median or the worst report episode of the best of some policies of one dataset."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.films import film
from d4rl_automl.films.table import EPISODES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", required=True, nargs="+", help="handles, of which the best method is filmed")
    parser.add_argument("--rollouts", required=True, nargs="+", help="their report episodes in the simulator")
    parser.add_argument("--targets", required=True, nargs="+", help="their chosen targets in the simulator")
    parser.add_argument("--scores", required=True, help="the dataset's scores")
    parser.add_argument("--simulator", required=True, help="name of the simulator that they were played in")
    parser.add_argument("--episode", required=True, choices=EPISODES, help="which of the report episodes")
    parser.add_argument("--output", required=True, help="the film, .webp; beside it stand a still and the facts")
    arguments = parser.parse_args()
    film.make(
        arguments.policies,
        rollouts=arguments.rollouts,
        targets=arguments.targets,
        scores=arguments.scores,
        simulator=arguments.simulator,
        episode=arguments.episode,
        output=arguments.output,
    )


if __name__ == "__main__":
    run(main)
