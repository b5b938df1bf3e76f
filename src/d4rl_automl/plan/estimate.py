"""How long a run takes, and what it needs, told before it starts.

    make estimate [CONFIG=...] [CORES=8] [GPUS=1]

The jobs are those of Snakemake's own plan, with the threads and GPUs that they ask for. What each costs is the product
of its work (`plan.work`) and the tables of `plan.costs`, corrected by what finished jobs took, whose logs and benchmark
files are found. How they share the machine is `plan.scheduling`.
"""

import argparse
import csv
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from d4rl_automl.core import files, paths
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import PROCESSOR_TIME
from d4rl_automl.core.words import rounded
from d4rl_automl.plan import costs, gpus, remaining
from d4rl_automl.plan.costs import Cost
from d4rl_automl.plan.run import Plan
from d4rl_automl.plan.scheduling import Schedule, Task, schedule
from d4rl_automl.plan.work import Works

SNAKEFILE = Path(__file__).parents[3] / "workflow/Snakefile"
CARD = "NVIDIA RTX A5500"
"""The card that is reckoned with where none is found or named."""
LONG = 86_400
"""Seconds of processor time of trainings that ask for a GPU, from which on it is said loudly that there is none."""
LEAST = 60
"""Seconds of processor time that finished jobs took at least, before they say something of those of other rules."""
SMALL = 0.005
"""Of time and disk: the share below which a rule has no row of its own."""
FITTING = "config/cpu.yaml"
"""The config that is for a machine without a GPU."""


class Key(NamedTuple):
    """Jobs that are corrected together."""

    rule: str
    sort: str
    """What of the settings makes it another cost (`Work.sort`)."""
    device: str


@dataclass(frozen=True)
class Job:
    """A job of a plan, and what it costs by the tables."""

    name: str
    """Of its log and benchmark file (`core.paths.log`)."""
    rule: str
    key: Key
    threads: int
    gpu: int
    """Slots of a GPU that it asks for."""
    gains: bool
    """Whether it would ask for one where there is one."""
    cost: Cost
    needs: tuple[int, ...]
    """The jobs before it, as indices."""
    is_done: bool


@dataclass(frozen=True)
class Machine:
    """What a run is reckoned for."""

    cores: int
    cards: tuple[str, ...]
    """The GPUs that are there, by their names in gpu_cards.csv."""
    slots: int | None
    """Jobs that may hold one at a time; None for any number."""

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s' * (self.cores > 1)}"
        if not self.cards:
            return f"{cores} and no GPU"
        scaled = "" if costs.is_measured(self.cards[0]) else ", by its data sheet"
        return f"{cores} and {len(self.cards)} GPU{'s' * (len(self.cards) > 1)} ({self.cards[0]}{scaled})"


class Estimate:
    """What the jobs of a plan need on a machine."""

    def __init__(self, jobs: Sequence[Job], machine: Machine, factors: "Factors") -> None:
        self.machine = machine
        self.factors = factors
        self.jobs = jobs
        self.costs = [job.cost.times(*factors.of(job.key)) for job in jobs]
        self.tasks = [
            Task(cost.wall, job.threads, job.gpu, cost.memory, job.needs)
            for job, cost in zip(jobs, self.costs, strict=True)
        ]
        self.schedule: Schedule = schedule(self.tasks, machine.cores, machine.slots)

    def line(self, *, queued: bool = False) -> str:
        """What a run takes, in a sentence; not how long it takes where jobs are `queued` beside those of others."""
        if not self.jobs:
            return "Nothing to be done."
        core, gpu, disk = (sum(getattr(cost, name) for cost in self.costs) for name in ("core", "gpu", "disk"))
        needs = f"{rounded(core)} of processor time{f', {rounded(gpu)} of a GPU' * bool(gpu)}, {_size(disk)} of disk"
        if queued:
            return f"About {needs}; when it ends is up to the queue."
        return (
            f"About {rounded(self.schedule.seconds)} on {self.machine}: {needs}, "
            f"{_size(self.schedule.memory)} of memory at most."
        )

    def table(self) -> list[dict[str, str]]:
        """One row per rule, the costliest first, one of the rules that cost next to nothing, and one of all."""
        rules: dict[str, list[int]] = defaultdict(list)
        for index, job in enumerate(self.jobs):
            rules["figures" if job.rule.startswith("plot_") else job.rule].append(index)
        time = {rule: sum(self.costs[index].core for index in indices) for rule, indices in rules.items()}
        disk = {rule: sum(self.costs[index].disk for index in indices) for rule, indices in rules.items()}
        least = [SMALL * sum(of.values()) for of in (time, disk)]
        small = [rule for rule in rules if time[rule] < least[0] and disk[rule] < least[1]]
        rows = [
            self._row(rule, rules[rule]) for rule in sorted(rules, key=lambda rule: -time[rule]) if rule not in small
        ]
        if small:
            rows.append(self._row(f"{len(small)} others", [index for rule in small for index in rules[rule]]))
        return [*rows, self._row("all", range(len(self.jobs)))]

    def _row(self, name: str, indices: Sequence[int] | range) -> dict[str, str]:
        chosen = [self.costs[index] for index in indices]
        basis: dict[str, float] = defaultdict(float)
        for cost in chosen:
            for where, seconds in cost.basis:
                basis[where] += seconds
        whole = sum(basis.values()) or 1.0
        gpu = sum(cost.gpu for cost in chosen)
        corrected = self.factors.is_known({self.jobs[index].key for index in indices})
        return {
            "rule": name,
            "jobs": str(len(chosen)),
            "processor time": rounded(sum(cost.core for cost in chosen)),
            "GPU": rounded(gpu) if gpu else "",
            "longest job": rounded(max((cost.wall for cost in chosen), default=0.0)),
            "disk": _size(sum(cost.disk for cost in chosen)),
            "a job's memory": _size(max((cost.memory for cost in chosen), default=0.0)),
            "from": ", ".join(
                where for where, seconds in sorted(basis.items(), key=lambda one: -one[1]) if seconds > 0.1 * whole
            )
            + (", corrected" if corrected and name != "all" else ""),
        }

    def warning(self, why: str) -> str:
        """What is said loudly where trainings of days would go to a processor; empty where none do."""
        if self.machine.cards:
            return ""
        trainings = [cost.core for job, cost in zip(self.jobs, self.costs, strict=True) if job.gains]
        if sum(trainings) < LONG:
            return ""
        return (
            f"NO GPU WAS FOUND ({why}), and device is auto: {len(trainings)} trainings that ask for one go to the "
            f"processor, where they take {rounded(sum(trainings))} of a core, the longest {rounded(max(trainings))}.\n"
            f"Stop this with Ctrl-C and take --configfile {FITTING}, the same benchmark with networks of a "
            "processor's size; or mend what hides the GPU."
        )


# What finished jobs took -----------------------------------------------------------------------


class Factors:
    """How many times as long as the tables say the jobs of this machine take, by what finished ones took."""

    def __init__(self, pairs: Iterable[tuple[Key, Cost, "Taken"]] = ()) -> None:
        sums: dict[Key, list[float]] = defaultdict(lambda: [0.0] * 4)
        for key, cost, found in pairs:
            for place, value in enumerate((cost.core, found.core, cost.wall, found.wall)):
                sums[key][place] += value
        self._core = {key: took / told for key, (told, took, _, _) in sums.items() if told}
        self._wall = {key: took / told for key, (_, _, told, took) in sums.items() if told and took}
        # What a time limit ends is no measure of the machine.
        of_machine = [values for key, values in sums.items() if key.device == "cpu" and key.sort != costs.LIMIT]
        told, took = (sum(values[place] for values in of_machine) for place in (0, 1))
        # Start-ups alone say little of it.
        self.overall = took / told if told > LEAST else 1.0

    def of(self, key: Key) -> tuple[float, float]:
        """Of processor time and of GPU time."""
        gpu = self._wall.get(key, 1.0) if key.device != "cpu" else 1.0
        core = self._core.get(key, 1.0 if key.sort == costs.LIMIT else self.overall)
        return (gpu if key.device != "cpu" else core), gpu

    def is_known(self, keys: Iterable[Key]) -> bool:
        """Whether finished jobs of these are known."""
        return any(key in self._core for key in keys)


class Taken(NamedTuple):
    """What a finished job took."""

    core: float
    wall: float


def taken(name: str, since: float = 0.0) -> Taken | None:
    """What a job took whose benchmark file is from `since` (seconds since 1970) or later; None where there is none."""
    benchmark, log = Path(paths.benchmark(name)), Path(paths.log(name))
    try:
        if benchmark.stat().st_mtime < since:
            return None
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 500))
            times = PROCESSOR_TIME.findall(stream.read().decode("utf-8", "replace"))
        wall = float(benchmark.read_text(encoding="utf-8").splitlines()[-1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None
    return Taken(float(times[-1]), wall) if times else None


class Told(NamedTuple):
    """A row of the file that remembers what jobs were expected to cost."""

    job: str
    rule: str
    sort: str
    device: str
    core: float
    wall: float
    at: float
    """When it was told, in seconds since 1970."""
    tables: str
    """By which tables."""


def remember(jobs: Iterable[Job]) -> None:
    """Write what the jobs that are to run cost by the tables, for estimates after them, also of other configs."""
    tables, now = _tables(), time.time()
    rows = {told.job: told for told in _remembered() if told.tables == tables}
    for job in jobs:
        rows[job.name] = Told(job.name, *job.key, round(job.cost.core, 3), round(job.cost.wall, 3), now, tables)
    with files.whole(paths.ESTIMATE) as part, part.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([Told._fields, *rows.values()])


def factors(jobs: Iterable[Job]) -> Factors:
    """By the finished jobs among these, and those that were `remember`ed."""
    tables = _tables()
    measured = {str(path) for path in Path(paths.ESTIMATE).parent.rglob("*.tsv")}
    pairs: dict[str, tuple[Key, Cost, Taken]] = {}
    for told in _remembered():
        if paths.benchmark(told.job) in measured and told.tables == tables and (found := taken(told.job, told.at)):
            key = Key(told.rule, told.sort, told.device)
            pairs[told.job] = key, Cost(told.core, 0.0, told.wall, 0.0, 0.0, ()), found
    for job in jobs:
        if job.is_done and (found := taken(job.name)):
            pairs[job.name] = job.key, job.cost, found
    return Factors(pairs.values())


def _remembered() -> list[Told]:
    """What runs before this one told; nothing where the file is not as this version writes it."""
    try:
        with Path(paths.ESTIMATE).open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        if tuple(header) != Told._fields:
            return []
        return [
            Told(job, rule, sort, device, float(core), float(wall), float(at), tables)
            for job, rule, sort, device, core, wall, at, tables in rows
        ]
    except (OSError, ValueError):
        return []


def _tables() -> str:
    """What tells that a cost is by the tables that ship with this version."""
    return files.sha256(files.RESOURCES / "job_costs.csv")[:8] + files.sha256(files.RESOURCES / "network_costs.csv")[:8]


# Snakemake's plan ------------------------------------------------------------------------------


def jobs_of(dag: Any, plan: Plan, machine: Machine) -> list[Job]:
    """Every job of Snakemake's `dag`, with its cost by the tables; the targets alone (`rule all`) are none."""
    works, with_gpu = Works(plan), Plan(plan.config)
    kinds = {making.rule: kind for kind, making, _, _ in plan.makings()}

    def device_of(rule: str, wildcards: Mapping[str, str]) -> str:
        """Where a job would train if there were a GPU."""
        if kind := kinds.get(rule.partition("_with_")[0]):
            return with_gpu.device(kind)
        name = {"train_teacher": "teacher", "distill_teacher": "method"}.get(rule)
        return with_gpu.autogluon_device(wildcards[name]) if name else "cpu"

    waiting = set(dag.needrun_jobs(exclude_finished=False))
    chosen = [job for job in dag.jobs if job.benchmark]
    index = {job: place for place, job in enumerate(chosen)}
    card = machine.cards[0] if machine.cards else None
    found = []
    for job in chosen:
        work = works.of(job.rule.name, job.wildcards_dict)
        gpu = int(job.resources.get("gpu", 0) or 0)
        device = card if gpu and card else None
        threads = min(job.threads, machine.cores)
        cost = costs.cost(work, threads, device)
        limited = any(where == costs.LIMIT for where, _ in cost.basis)
        sort = costs.LIMIT if limited else (work.sort if work else "")
        found.append(
            Job(
                paths.job_of(str(job.benchmark)),
                job.rule.name,
                Key(job.rule.name, sort, device or "cpu"),
                threads,
                gpu,
                device_of(job.rule.name, job.wildcards_dict) != "cpu",
                cost,
                tuple(index[other] for other in dag.dependencies[job] if other in index),
                job not in waiting,
            )
        )
    return found


def to_run(jobs: Sequence[Job], whole: bool = False) -> list[Job]:
    """Those that are not done, their needs counted among them alone; all of them if `whole`."""
    kept = [place for place, job in enumerate(jobs) if whole or not job.is_done]
    new = {place: number for number, place in enumerate(kept)}
    return [
        Job(**{**vars(jobs[place]), "needs": tuple(new[need] for need in jobs[place].needs if need in new)})
        for place in kept
    ]


def at_start(workflow: Any, plan: Plan) -> None:
    """Say on standard error what the run that starts takes, and warn of trainings without a GPU; for `onstart`."""
    names, why = gpus.found() if workflow.local_exec else ([CARD], "")
    machine = Machine(
        int(workflow.cores or workflow.nodes or 1),
        tuple(costs.known_card(name) or CARD for name in names) if plan.config.device != "cpu" else (),
        _slots(workflow.global_resources),
    )
    jobs = jobs_of(workflow.dag, plan, machine)
    estimate = Estimate(to_run(jobs), machine, factors(jobs))
    remember(estimate.jobs)
    if workflow.local_exec:
        names = [job.name for job in estimate.jobs]
        remaining.begins(remaining.Expected(names, estimate.tasks, machine.cores, machine.slots))
    print(estimate.line(queued=not workflow.local_exec), file=sys.stderr)
    if workflow.local_exec and plan.config.device == "auto" and (said := estimate.warning(why)):
        print(f"\n{'!' * 80}\n{said}\n{'!' * 80}\n", file=sys.stderr)


def _slots(resources: Mapping[str, Any]) -> int | None:
    """Jobs that hold a GPU at a time; of a limit of 0 Snakemake asks none of them for one."""
    return resources["gpu"].value or None


# The command -----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="make estimate", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="as Snakemake's")
    parser.add_argument("--cores", type=_cores, default="all", help="a number, or all of this machine's")
    parser.add_argument("--gpus", type=int, help="cards; those that are found here by default")
    parser.add_argument("--card", help=f"which one: {', '.join(costs.cards())}; the one found here, or {CARD}")
    parser.add_argument("--whole", action="store_true", help="of all jobs, also of those that are done")
    parser.add_argument("--plan", action="store_true", help="the jobs by rule and the line alone, as `make plan`")
    arguments = parser.parse_args()
    try:
        for file in arguments.configfile:
            if not file.is_file():
                raise InputError(f"--configfile: found {str(file)!r}, which is no file")
        names, why = gpus.found()
        chosen = _card(arguments.card, names)
        count = len(names) if arguments.gpus is None else arguments.gpus
        for dag, plan in _plans(arguments.configfile, arguments.cores, count):
            cards = (chosen,) * count if plan.config.device != "cpu" else ()
            machine = Machine(arguments.cores, cards, count or None)
            jobs = jobs_of(dag, plan, machine)
            estimate = Estimate(to_run(jobs, arguments.whole), machine, factors(jobs))
            print(dag.stats()[0] if arguments.plan else _text(estimate.table()))
            print(estimate.line())
            if plan.config.device == "auto" and (said := estimate.warning(why or "GPUS is 0")):
                print(f"\n{said}", file=sys.stderr)
    except InputError as error:
        sys.exit(f"error: {error}")


def _cores(text: str) -> int:
    return len(os.sched_getaffinity(0)) if text == "all" else int(text)


def _card(asked: str | None, names: Sequence[str]) -> str:
    """The card to reckon with, as gpu_cards.csv names it."""
    if asked is None:
        return costs.known_card(names[0] if names else CARD) or CARD
    known = costs.known_card(asked)
    if known is None:
        raise InputError(f"--card: found {asked!r}; allowed: {', '.join(costs.cards())}")
    return known


def _plans(configfiles: Sequence[Path], cores: int, slots: int) -> Iterator[tuple[Any, Plan]]:
    """Snakemake's plan of a run in this folder and what the rules know of it, once; exits as Snakemake does."""
    try:
        from snakemake.api import SnakemakeApi  # noqa: PLC0415
        from snakemake.exceptions import format_exception_to_string  # noqa: PLC0415
        from snakemake.settings import types  # noqa: PLC0415
    except ImportError:
        raise InputError("Snakemake is not installed beside this package: run `make install` in a clone") from None
    if not SNAKEFILE.is_file():
        raise InputError(f"{SNAKEFILE} is missing: an estimate is of a clone's workflow")
    with SnakemakeApi(types.OutputSettings(quiet={types.Quietness.ALL})) as api:
        try:
            workflow = api.workflow(
                # With nodes, or the rules would see how many GPUs there are here.
                resource_settings=types.ResourceSettings(cores=cores, nodes=1, resources={"gpu": slots}),
                config_settings=types.ConfigSettings(configfiles=list(configfiles)),
                storage_settings=types.StorageSettings(),
                snakefile=SNAKEFILE,
            )
            # What a killed run left is made anew, as the workflow's profile says.
            workflow.dag(types.DAGSettings(force_incomplete=True)).execute_workflow(executor="dryrun")
        except Exception as error:
            # Its own way to say it is quiet here, too.
            read = getattr(api._workflow_api, "_workflow_store", None)
            sys.exit(format_exception_to_string(error, getattr(read, "linemaps", {})))
        made = workflow._workflow
        yield made.dag, made.globals["PLAN"]


def _text(rows: Sequence[Mapping[str, str]]) -> str:
    """A table of rows with the same columns, the first to the left and numbers to the right."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = range(1, len(widths) - 1)
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value >= 0.005 else "0"


def _size(size: float) -> str:
    return f"{_number(size / 1e9)} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
