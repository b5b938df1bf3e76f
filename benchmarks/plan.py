"""What Snakemake itself costs: dry runs of config.yaml and of 1,200 GPU jobs, and a run that finds nothing to do.

The 1,200 GPU jobs train the teachers of config.yaml's datasets, 60 action dimensions together, at AutoGluon's four
presets with five seeds; every teacher is played and scored. The run that finds nothing to do is of a small workflow on
embedded data, made for this in a folder of its own (about a minute, once). The floor is Snakemake itself: a dry run of
as many jobs of three plain rules, without functions or parameters. Seconds of wall time, the best of --repeats.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml
from support import ROOT, prepared, processes, reporting

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

PLAIN = """
rule all:
    input:
        expand("second/{{number}}", number=range({pairs})),

rule first:
    output:
        "first/{{number}}",
    log:
        "logs/first/{{number}}",
    shell:
        "touch {{output}} > {{log}}"

rule second:
    input:
        "first/{{number}}",
    output:
        "second/{{number}}",
    log:
        "logs/second/{{number}}",
    shell:
        "cp {{input}} {{output}} > {{log}}"
"""

PRESETS = ("medium", "good", "high", "best")
GRID = {
    "seeds": [0, 1, 2, 3, 4],
    "teachers": [{"name": preset, "preset": preset} for preset in PRESETS],
    "methods": [{"name": f"{preset}-teacher", "kind": "teacher", "teacher": preset} for preset in PRESETS],
}


def seconds(command: list[str], repeats: int) -> tuple[float, float, str]:
    """Wall and processor seconds of the fastest run, and what it printed."""
    found = []
    for _ in range(repeats):
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - started, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        found.append((wall, cpu))
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return *min(found), done.stdout + done.stderr


def plan(what: str, configs: list[str], folder: Path, repeats: int) -> dict[str, object]:
    """The row of a dry run in an empty folder, whatever has been made here already."""
    # The path of a config is taken from that folder.
    command = [str(SNAKEMAKE), "-n", "--directory", str(folder / "empty"), "--configfile", *configs]
    wall, cpu, printed = seconds(command, repeats)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.M))
    return row(what, int(counts["total"]), int(counts["train_teacher"]), wall, cpu)


def floor(of: dict[str, object], folder: Path, repeats: int) -> dict[str, object]:
    """The row of a dry run of as many plain jobs as another row has."""
    snakefile = folder / "Snakefile"
    snakefile.write_text(PLAIN.format(pairs=int(str(of["jobs"])) // 2))
    command = [str(SNAKEMAKE), "-n", "--snakefile", str(snakefile), "--directory", str(folder / "empty")]
    wall, cpu, _ = seconds(command, repeats)
    return row("floor: snakemake -n, plain jobs", int(str(of["jobs"])), 0, wall, cpu)


def row(what: str, jobs: int, training: int, wall: float, cpu: float) -> dict[str, object]:
    times = {"seconds": round(wall, 2), "cpu seconds": round(cpu, 2)}
    return {"what": what, "jobs": jobs, "train_teacher": training, **times}


def main() -> None:
    parser = reporting.parser(__doc__)
    reporting.add_repeats(parser)
    arguments = parser.parse_args()
    repeats = reporting.repeats(arguments)
    folder = prepared.PREPARED / "plan"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    snakemake = [str(SNAKEMAKE), "--cores", str(processes.CORES), "--directory", str(folder)]
    snakemake += ["--configfile", str(config)]
    print("making the small workflow", file=sys.stderr)
    seconds(snakemake, 1)
    grid = folder / "grid.yaml"
    grid.write_text(yaml.safe_dump(GRID))
    whole = str(ROOT / "config/config.yaml")
    rows = [
        plan("snakemake -n, config.yaml", [whole], folder, repeats),
        plan("snakemake -n, 1,200 GPU jobs", [whole, str(grid)], folder, repeats),
    ]
    rows.insert(1, floor(rows[0], folder, repeats))
    nothing, nothing_cpu, printed = seconds(snakemake, repeats)
    if "Nothing to be done" not in printed:
        sys.exit(f"the finished workflow was run again:\n{printed[-3000:]}")
    rows.append(row("snakemake, nothing to do", 0, 0, nothing, nothing_cpu))
    reporting.report(arguments, rows, {"seconds": "<= 5 each; 1,200 GPU jobs: < 10"})


if __name__ == "__main__":
    main()
