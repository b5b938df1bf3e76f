"""The last words of a run: what came out and where it is, or why it did not."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from d4rl_automl.core import paths, words
from d4rl_automl.core.errors import killed_process
from d4rl_automl.core.script import PROCESSOR_TIME
from d4rl_automl.terminal.events import Job, Run

MOST_ROWS = 20
"""Of a table of single datasets; where there are more, the means over the datasets are told."""

SLOW = 3
"""Rules that are named as slow."""

MOST_FAILURES = 5
"""Jobs that are named as failed."""


def told(run: Run, directory: Path, simulator: str) -> list[str]:
    """The last lines of a run in a `directory` that came to its end: a table, what was slow, and where to look.

    `simulator`: whose scores are told. A run that made no report has nothing to tell.
    """
    if not any(job.rule == "report" for job in run.finished):
        return []
    lines = [*results(directory, simulator), "", *slow(run.finished), f"The report: {paths.REPORT}"]
    films = sorted((directory / "results").glob("*/films"))
    return lines + [f"Films: {', '.join(str(film.relative_to(directory)) for film in films)}"] * bool(films)


def results(directory: Path, simulator: str) -> list[str]:
    """A small table of what the methods reach and cost, from scores.csv and costs.csv in results/ of a `directory`.

    One row per dataset and method, means over the training seeds; or, of more than `MOST_ROWS`, per method.
    """
    scores = _rows(directory / paths.SCORES)
    costs = _rows(directory / paths.COSTS)
    kept = [row for row in scores if row["simulator"] == simulator and row["target"] == "selected"]
    pairs = list(dict.fromkeys((row["dataset"], row["method"]) for row in kept))
    if not pairs:
        return []
    if len(pairs) <= MOST_ROWS:
        groups = {pair: ([pair[0]], pair[1]) for pair in pairs}
    else:
        methods = dict.fromkeys(method for _, method in pairs)
        groups = {("", method): ([name for name, own in pairs if own == method], method) for method in methods}
    lines = []
    single = len({dataset for dataset, _ in pairs}) == 1
    if single:
        lines.append(pairs[0][0])
    heads = ["method", "score", "made in", "actions/s"]
    if not single:
        heads.insert(0, "dataset" if len(pairs) <= MOST_ROWS else "datasets")
    table = [heads]
    for (dataset, _), (datasets, method) in groups.items():
        mine = [row for row in kept if row["dataset"] in datasets and row["method"] == method]
        spent = [row for row in costs if row["dataset"] in datasets and row["method"] == method]
        cells = [method, _score(mine), _mean_duration(spent), _speed(spent)]
        if not single:
            cells.insert(0, dataset or str(len(datasets)))
        table.append(cells)
    lines += aligned(table, left=1 if single else 2)
    seeds = sorted({int(row["seed"]) for row in kept})
    lines.append(
        "Score: 0 is the random policy, 100 D4RL's expert"
        + (f"; the mean and the range of {len(seeds)} training seeds." if len(seeds) > 1 else "; one training seed.")
    )
    return lines


def slow(jobs: Iterable[Job]) -> list[str]:
    """The rules whose jobs took longest together, in one line."""
    spent: dict[str, list[float]] = {}
    for job in jobs:
        spent.setdefault(job.rule, []).append(job.seconds or 0)
    longest = sorted(spent.items(), key=lambda item: -sum(item[1]))[:SLOW]
    told = [
        f"{rule} {words.duration(sum(seconds))}" + (f" ({len(seconds)} jobs)" if len(seconds) > 1 else "")
        for rule, seconds in longest
    ]
    return [f"Slow: {', '.join(told)}."] if told else []


def failures(run: Run, directory: Path, *, killed: bool) -> list[str]:
    """Every failed job with its own error and where its log is.

    `killed`: whether Snakemake says that a job was killed, which a job itself cannot say.
    """
    lines = []
    for number in run.failed[:MOST_FAILURES]:
        job = run.jobs[number]
        lines.append(f"{words.job(job.rule, job.about)} failed:")
        lines += [f"  {line}" for line in error_in([directory / log for log in job.logs], killed=killed)]
        lines += [f"  log: {log}" for log in job.logs]
    if (more := len(run.failed) - MOST_FAILURES) > 0:
        lines.append(f"and {more} more")
    return lines


def error_in(logs: Sequence[Path], *, killed: bool) -> list[str]:
    """The error that a failed job's logs end in; without one, that it was killed, or the last line there is."""
    written = []
    for log in logs:
        try:
            written += log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
    said = [line for line in written if line.strip() and not PROCESSOR_TIME.search(line)]
    for place in range(len(said) - 1, -1, -1):
        if said[place].startswith("error: "):
            return said[place:]
    if killed:
        return [f"error: {killed_process()}"]
    return said[-1:] or ["its log is empty: what ended it is not known"]


def aligned(table: Sequence[Sequence[str]], left: int) -> list[str]:
    """The rows of a table as lines; the first `left` columns begin on the left, the others end on the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


def _score(rows: Sequence[Mapping[str, str]]) -> str:
    """The mean over seeds of the means over datasets, and their range."""
    seeds: dict[str, list[float]] = {}
    for row in rows:
        seeds.setdefault(row["seed"], []).append(float(row["normalised"]))
    means = [fmean(values) for values in seeds.values()]
    if len(means) == 1:
        return f"{means[0]:.1f}"
    return f"{fmean(means):.1f} ({min(means):.1f} to {max(means):.1f})"


def _mean_duration(rows: Sequence[Mapping[str, str]]) -> str:
    known = [float(row["with_teacher_seconds"]) for row in rows if row["with_teacher_seconds"]]
    return words.duration(fmean(known)) if known else "not measured"


def _speed(rows: Sequence[Mapping[str, str]]) -> str:
    known = [float(row["microseconds_per_action"]) for row in rows if row["microseconds_per_action"]]
    return f"{_two_digits(1e6 / median(known)):,}" if known else "not measured"


def _two_digits(number: float) -> int:
    return int(float(f"{number:.2g}"))
