"""The rules of a run and what passes between them, from Snakemake's own graph of jobs."""

from collections import Counter
from typing import Any


def rules_before(dag: Any, file: str) -> dict[str, Any]:
    """The rules whose jobs the job that makes `file` stands on, itself included.

    Returns rules (jobs by the rule's name, the first to run first) and edges (pairs of names: from a rule to one that
    reads what it makes). `dag`: of Snakemake (`workflow.dag`).
    """
    waiting = [next(job for job in dag.jobs if file in map(str, job.output))]
    seen, edges = set(waiting), set()
    while waiting:
        job = waiting.pop()
        for before in dag.dependencies[job]:
            edges.add((before.rule.name, job.rule.name))
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    jobs = Counter(job.rule.name for job in seen)
    return {"rules": dict(sorted(jobs.items())), "edges": sorted(edge for edge in edges if edge[0] != edge[1])}
