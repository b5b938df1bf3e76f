"""What Snakemake itself costs: dry runs of config.yaml and of 1,200 training jobs, and a run with nothing to do.

The 1,200 training jobs train the teachers of config.yaml's datasets, 60 action dimensions together, at AutoGluon's four
presets with five seeds; every teacher is played and scored. The run that finds nothing to do is of a small workflow on
embedded data, made for this in a folder of its own (about a minute, once). Floors are Snakemake itself: dry runs of as
many plain jobs, without functions or parameters, once with one input each and once with as many inputs as the plan of
config.yaml has. All print by rule (`-n -q rules`), as `make plan` does, and take turns. Seconds are of wall time, the
best of --repeats, and of processor time.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

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
        {inputs},
    output:
        "second/{{number}}",
    log:
        "logs/second/{{number}}",
    shell:
        "cp {{input}} {{output}} > {{log}}"
"""
ONE = '"first/{number}"'

PRESETS = ("medium", "good", "high", "best")
GRID = {
    "seeds": [0, 1, 2, 3, 4],
    "teachers": [{"name": preset, "preset": preset} for preset in PRESETS],
    "methods": [{"name": f"{preset}-teacher", "kind": "teacher", "teacher": preset} for preset in PRESETS],
}


class Timed(NamedTuple):
    """A command and how long it took, run after run."""

    what: str
    command: list[str]
    wall: list[float]
    cpu: list[float]
    printed: list[str]

    def run(self) -> None:
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(self.command, cwd=ROOT, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - started, os.times()
        self.wall.append(wall)
        self.cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
        self.printed.append(done.stdout + done.stderr)
        if done.returncode:
            sys.exit(f"{' '.join(self.command)} failed:\n{self.printed[-1][-3000:]}")

    def jobs(self, rule: str = "total") -> int:
        """The jobs of a dry run, or of one of its rules."""
        return int(dict(re.findall(r"^(\w+) +(\d+)$", self.printed[-1], re.M)).get(rule, 0))


def timed(what: str, *arguments: str | Path) -> Timed:
    return Timed(what, [str(SNAKEMAKE), *map(str, arguments)], [], [], [])


def plain(what: str, folder: Path, jobs: int, inputs: int) -> Timed:
    """Dry runs of about so many plain jobs, half of which have so many inputs each."""
    pairs = (jobs - 1) // 2
    numbers = f'lambda wildcards: [f"first/{{(int(wildcards.number) + i) % {pairs}}}" for i in range({inputs})]'
    folder.mkdir(exist_ok=True)
    (folder / "Snakefile").write_text(PLAIN.format(pairs=pairs, inputs=ONE if inputs == 1 else numbers))
    return timed(what, "-n", "-q", "rules", "--snakefile", folder / "Snakefile", "--directory", folder / "empty")


def main() -> None:
    parser = reporting.parser(__doc__)
    reporting.add_repeats(parser)
    arguments = parser.parse_args()
    folder = prepared.PREPARED / "plan"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "grid.yaml").write_text(yaml.safe_dump(GRID))
    small = ("--cores", str(processes.CORES), "--directory", folder, "--configfile", folder / "config.yaml")
    print("making the small workflow", file=sys.stderr)
    timed("", *small).run()
    # In an empty folder, whatever has been made here already; the path of a config is taken from there.
    whole = ("--directory", folder / "empty", "--configfile", ROOT / "config/config.yaml")
    ours = timed("config.yaml", "-n", "-q", "rules", *whole)
    everything = timed("", "-n", *whole)
    everything.run()
    edges = sum(line.count(", ") + 1 for line in re.findall(r"^    input: (.*)$", everything.printed[0], re.M))
    jobs = everything.jobs()
    nothing = timed("nothing to do, a small run", *small)
    commands = [
        plain("floor: as many plain jobs", folder / "plain", jobs, 1),
        plain("floor: and with as many inputs", folder / "linked", jobs, round(2 * edges / jobs)),
        ours,
        timed("1,200 training jobs", "-n", "-q", "rules", *whole, folder / "grid.yaml"),
        nothing,
    ]
    for _ in range(reporting.repeats(arguments)):
        for command in commands:
            command.run()
    if "Nothing to be done" not in nothing.printed[-1]:
        sys.exit(f"the finished workflow was run again:\n{nothing.printed[-1][-3000:]}")
    floors = {"of plain jobs": commands[0], "of jobs with as many inputs": commands[1]}
    rows = []
    for command in commands:
        row: dict[str, Any] = {"what": command.what, "jobs": command.jobs()}
        row |= {"seconds": round(min(command.wall), 2), "cpu seconds": round(min(command.cpu), 2)}
        if command is ours:
            row["inputs"] = edges
            row |= {name: round(min(command.cpu) / min(floor.cpu), 2) for name, floor in floors.items()}
        rows.append(row)
    targets = {"config.yaml, of plain jobs": "<= 1.5", "nothing to do": "<= 2 s"}
    reporting.report(arguments, rows, targets)


if __name__ == "__main__":
    main()
