"""What Snakemake itself costs: a dry run of config.yaml, and a run that finds nothing to do.

The run that finds nothing to do is of a small workflow on embedded data, made for this in a folder of its own
(about a minute, once). Seconds of wall time, the best of --repeats.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import common
import yaml

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
CONFIG = {
    "datasets": [
        {"name": "hopper-medium-embedded-plan", "provider": "embedded", "task": "hopper"}
        | {"recipe": "medium", "transitions": 10_000}
    ],
    "device": "cpu",
    "teachers": [],
    "methods": [{"name": "mlp", "kind": "mlp", "updates": 100}],
    "rollout": {"fractions": [0.5, 1.0], "selection_episodes": 2, "report_episodes": 2},
}


def seconds(command: list[str], repeats: int) -> tuple[float, float, str]:
    """Wall and processor seconds of the fastest run, and what it printed."""
    found = []
    for _ in range(repeats):
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - started, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        found.append((wall, cpu))
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return *min(found), done.stdout + done.stderr


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts")
    arguments = parser.parse_args()
    folder = common.PREPARED / "plan"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    snakemake = [str(SNAKEMAKE), "--cores", str(common.CORES), "--directory", str(folder), "--configfile", str(config)]
    print("making the small workflow", file=sys.stderr)
    seconds(snakemake, 1)
    # In an empty folder, whatever has been made here already; the path of a config is taken from that folder.
    plan = [str(SNAKEMAKE), "-n", "--directory", str(folder / "empty")]
    dry, dry_cpu, printed = seconds([*plan, "--configfile", str(common.ROOT / "config.yaml")], arguments.repeats)
    jobs = next(int(line.split()[1]) for line in printed.splitlines() if line.startswith("total"))
    nothing, nothing_cpu, printed = seconds(snakemake, arguments.repeats)
    if "Nothing to be done" not in printed:
        sys.exit(f"the finished workflow was run again:\n{printed[-3000:]}")
    rows = [
        {"what": "snakemake -n, config.yaml", "jobs": jobs, "seconds": round(dry, 2), "cpu seconds": round(dry_cpu, 2)},
        {
            "what": "snakemake, nothing to do",
            "jobs": 0,
            "seconds": round(nothing, 2),
            "cpu seconds": round(nothing_cpu, 2),
        },
    ]
    common.report(arguments, rows, {"seconds": "<= 5 each"})


if __name__ == "__main__":
    main()
