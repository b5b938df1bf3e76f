"""Rollouts against their floors, per robot: two layers of 256 (a student) and two of 1,024 (RvS's network).

Floor (a), physics: the rollout's own controls replayed, no policy. The fastest of three: mj_step in a compiled loop
and mujoco.batch, in one process a core, and mujoco.batch in one process with a thread a core. MuJoCo's timer callback
is off. Floor (b), inference: ONNX Runtime alone, 2,000 rows a call, one process a core.
"""

import common


def main() -> None:
    parser = common.parser(__doc__)
    common.add_window(parser)
    arguments = parser.parse_args()
    window = common.window(arguments)
    # Fewer are enough for a look.
    updates = 100 if arguments.quick else 300
    rows = []
    for task in arguments.tasks:
        policies = {"2x256": str(common.student(task)), "2x1024": str(common.rvs(task, updates))}
        rows += common.against_floors(
            task, policies, arguments.environments, window, repeats=common.repeats(arguments), load=common.load_policy
        )
    common.report(arguments, rows, {"2x256, of physics": ">= 0.90", "2x1024, of both (back to back)": ">= 0.95"})


if __name__ == "__main__":
    main()
