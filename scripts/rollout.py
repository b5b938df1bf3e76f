"""Play one policy in the simulator, every commanded target and episode side by side, and write one row per episode."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation.rollout import Play, rollout_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", required=True, help="the policy's .json handle (or an .onnx file)")
    parser.add_argument("--dataset", required=True, help="name of the dataset that the policy must be of")
    parser.add_argument("--simulator", required=True, help="name of a simulator (`simulators.SIMULATORS`)")
    parser.add_argument(
        "--fractions",
        nargs="*",
        type=float,
        required=True,
        help="commanded fractions of the expert's return; none for a policy that is commanded no return",
    )
    parser.add_argument(
        "--play",
        required=True,
        action="append",
        nargs=3,
        metavar=("PURPOSE", "EPISODES", "OUTPUT"),
        help="selection or report, episodes per commanded target, and their Parquet file; for one of them or both",
    )
    parser.add_argument("--seed", required=True, type=int, help="the rollouts' seed, not the training seed")
    parser.add_argument("--threads", required=True, type=int, help="processes, of one thread each")
    arguments = parser.parse_args()
    purposes = [purpose for purpose, _, _ in arguments.play]
    if not set(purposes) <= {"selection", "report"} or len(set(purposes)) < len(purposes):
        parser.error(f"argument --play: found the purposes {', '.join(purposes)}; expected selection, report or both")
    for _, episodes, _ in arguments.play:
        if not episodes.isdecimal():
            parser.error(f"argument --play: EPISODES is {episodes!r}; expected a whole number")
    rollout_file(
        arguments.policy,
        arguments.dataset,
        [Play(purpose, int(episodes), output) for purpose, episodes, output in arguments.play],
        simulator=arguments.simulator,
        fractions=arguments.fractions,
        seed=arguments.seed,
        processes=arguments.threads,
    )


if __name__ == "__main__":
    run(main)
