"""Where the time of a finished run went, by rule, from the benchmark files and logs that the run left.

Wall time and memory are Snakemake's. Processor time is what each job says in the last line of its log, because
Snakemake only samples it: twice a second for fifteen seconds, then every half minute, so that the end of a job is
missing from it, and from max_rss. Whatever ran in the folder counts; give a run that is to be measured its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from support import reporting

from d4rl_automl.core import paths
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import PROCESSOR_TIME, run


def jobs(results: Path) -> Iterator[dict[str, Any]]:
    """One row per job: rule, wall (s), cpu (s), max_rss (MB; None where a job was too short to be sampled).

    Raises InputError where the folder has no benchmark, where a benchmark does not name its rule, or where the log
    beside it has no processor time.
    """
    folder = results / "benchmarks"
    files = sorted(file for file in folder.rglob("*.tsv") if folder / "performance" not in file.parents)
    if not files:
        raise InputError(f"{folder}: found no benchmark of a job; --results names the results of a finished run")
    for file in files:
        table = pd.read_csv(file, sep="\t")
        if "rule_name" not in table:
            raise InputError(
                f"{file}: the column rule_name is missing; run Snakemake with --benchmark-extended, as the "
                "profile profiles/default does, in an empty folder"
            )
        log = results.parent / paths.log(str(file.relative_to(folder).with_suffix("")))
        times = PROCESSOR_TIME.findall(log.read_text()) if log.exists() else []
        if not times:
            raise InputError(f"{log}: found no line with the processor time; the job did not end, make it again")
        job = table.iloc[-1]
        memory = None if pd.isna(job.max_rss) else float(job.max_rss)
        yield {"rule": job.rule_name, "wall": float(job.s), "cpu": float(times[-1]), "max_rss": memory}


def by_rule(found: pd.DataFrame) -> list[Mapping[str, Any]]:
    """One row per rule of `jobs`, the costliest first, and one of all; a share is of all jobs' seconds."""
    rules = found.groupby("rule").agg(
        jobs=("rule", "size"), wall=("wall", "sum"), cpu=("cpu", "sum"), memory=("max_rss", "max")
    )
    rules = rules.sort_values("cpu", ascending=False)
    rules.loc["all"] = [len(found), found.wall.sum(), found.cpu.sum(), found.max_rss.max()]
    return [
        {
            "rule": name,
            "jobs": int(rule.jobs),
            "wall seconds": round(rule.wall, 1),
            "share of wall": round(rule.wall / found.wall.sum(), 3),
            "cpu seconds": round(rule.cpu, 1),
            "share of cpu": round(rule.cpu / found.cpu.sum(), 3),
            "peak memory of a job, MB": None if pd.isna(rule.memory) else round(rule.memory),
        }
        for name, rule in rules.iterrows()
    ]


def main() -> None:
    arguments = reporting.parser_of_results(__doc__).parse_args()
    rows = by_rule(pd.DataFrame(jobs(arguments.results.absolute())))
    reporting.show(rows)
    facts = {"results": str(arguments.results), "machine": reporting.machine(), "rows": rows}
    reporting.write(arguments.output, facts)


if __name__ == "__main__":
    run(main)
