"""One job at a time holds the GPU; CPU jobs run beside it."""

import itertools
from pathlib import Path

import pytest

from tests.support.pretend_gpus import pretend
from tests.support.project import snakemake

SNAKEFILE = """
configfile: "config/quickstart.yaml"
include: "workflow/rules/common.smk"
from d4rl_automl.methods.table import METHODS

rule all:
    input: expand("{kind}-{index}.txt", kind=["trains", "plots"], index=range(4))

rule trains:
    output: "trains-{index}.txt"
    resources: gpu=slots_of(PLAN.device(METHODS["mlp"]))
    shell: "date +%s.%N > {output}; sleep 1; date +%s.%N >> {output}"

rule plots:
    output: "plots-{index}.txt"
    shell: "date +%s.%N > {output}; sleep 1; date +%s.%N >> {output}"
"""


def spans(directory: Path, kind: str) -> list[tuple[float, float]]:
    texts = [path.read_text().split() for path in sorted(directory.glob(f"{kind}-*.txt"))]
    return sorted((float(start), float(end)) for start, end in texts)


@pytest.mark.parametrize("limit", [("--resources", "gpu=4"), ()], ids=["more than cards", "by default"])
def test_gpu_jobs_never_overlap_while_cpu_jobs_run_beside_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, ...]
) -> None:
    pretend(tmp_path / "bin", monkeypatch, ["GPU-0"] if limit else ["GPU-0", "GPU-1"])
    (project / "jobs.smk").write_text(SNAKEFILE)
    snakemake("--snakefile", "jobs.smk", "--cores", "8", *limit, "--config", "device=auto", directory=project)
    training = spans(project, "trains")
    assert len(training) == 4
    for (_, end), (start, _) in itertools.pairwise(training):
        assert start >= end
    assert any(
        start < training_end and training_start < end
        for start, end in spans(project, "plots")
        for training_start, training_end in training
    )
