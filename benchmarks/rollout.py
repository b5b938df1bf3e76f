"""Rollouts against their floors, per robot: two layers of 256 (a student) and two of 1,024 (RvS's network).

Floor (a), physics: the rollout's own controls replayed by mj_step in a compiled loop, no policy, one process a core
(mujoco.batch where there is no C compiler). MuJoCo's timer callback is off. "As loaded" is the same with the model as
MuJoCo loads it, which looks for contacts where ours has them listed. Floor (b), inference: ONNX Runtime alone, 2,000
rows a call, one process a core.
"""

from support import prepared, reporting, watching

from d4rl_automl.policies.loading import load_policy


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    arguments = parser.parse_args()
    window = watching.window(arguments)
    rows = []
    for task in arguments.tasks:
        policies = {"2x256": str(prepared.student(task)), "2x1024": str(prepared.rvs(task))}
        rows += watching.against_floors(
            task, policies, arguments.environments, window, repeats=reporting.repeats(arguments), load=load_policy
        )
    reporting.report(arguments, rows, {"2x256, of physics": ">= 0.90", "2x1024, of both (back to back)": ">= 0.95"})


if __name__ == "__main__":
    main()
