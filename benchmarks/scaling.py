"""Rollouts of a student by processes (1, 2, … one a core) and batch (64, 256, 2,000), and what bounds each.

Shares are of the rollout's own processor time: physics (mujoco.batch), inference (ONNX Runtime), and the rest, which
is NumPy and Python between them. "of one" is the speed-up over one process at the same batch.
"""

import contextlib
import functools
from typing import Any

from support import prepared, processes, reporting, watching

from d4rl_automl.policies.loading import load_policy


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 2_000])
    arguments = parser.parse_args()
    asked = watching.window(arguments)
    rows: list[dict[str, Any]] = []
    counts = [1] + ([processes.CORES] if processes.CORES > 1 else [])
    for task in arguments.tasks:
        policies = {"2x256": str(prepared.student(task))}
        for batch in arguments.batches:
            # A small batch passes a window too quickly to be timed.
            steps = min(1000 - asked.skipped, asked.steps * max(1, 512 // batch))
            window = watching.Window(asked.skipped, steps, fractions=(1.0,))
            with contextlib.ExitStack() as stack:
                runs = {}
                for count in counts:
                    group = processes.Processes(
                        count, 1, watching.rollouts, policies, batch // count, window, load_policy, {}
                    )
                    runs[str(count)] = functools.partial(stack.enter_context(group).run, "2x256")
                found = processes.in_turns(runs, reporting.repeats(arguments))
            for count in counts:
                run = found[str(count)]
                shares = {part: run.parts[f"{part} within"] / run.cpu for part in watching.WITHIN}
                shares["rest"] = 1 - sum(shares.values())
                rows.append(
                    {
                        "task": task,
                        "batch": batch,
                        "processes": count,
                        "steps per second": round(run.rate),
                        "of one": round(found.ratio(str(count), "1"), 2),
                        "cpu us/step": round(run.microseconds, 2),
                        **{part: round(share, 3) for part, share in shares.items()},
                        "bound by": max(shares, key=lambda part: shares[part]),
                    }
                )
    reporting.report(arguments, rows, {})


if __name__ == "__main__":
    main()
