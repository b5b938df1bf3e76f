"""What every policy cost, from what its jobs left."""

import math
from pathlib import Path

import pandas as pd
import pytest

from d4rl_automl.core import paths
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import costs

DATASET = "hopper-medium-embedded-v1"


@pytest.fixture(autouse=True)
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job left is looked for below the working directory."""
    monkeypatch.chdir(tmp_path)


def job(name: str, seconds: float, memory: float, processor: float) -> str:
    """What a job leaves; max_rss as Snakemake writes it, NA where the job was too short to be sampled."""
    benchmark, log = Path(paths.benchmark(name)), Path(paths.log(name))
    for path in (benchmark, log):
        path.parent.mkdir(parents=True, exist_ok=True)
    sampled = "NA" if math.isnan(memory) else memory
    benchmark.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t{sampled}\t0.1\n")
    log.write_text(f"1.00 s of processor time in vain\nINFO {processor} s of processor time\n")
    return name


def students() -> Path:
    rows = [("student", "student", 0, teacher, 1000, 50_000) for teacher in ("one", "other")]
    rows.append(("mlp", "mlp", 0, "one", 2000, 100_000))
    path = Path("students.csv")
    columns = ["method", "kind", "seed", "teacher", "bytes", "rows_per_second"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def test_costs_are_summed_over_jobs() -> None:
    own = [job(f"{DATASET}/policies/student-s0", 10, 300, 8)]
    taught = [job(f"{DATASET}/teachers/t-s0/ac0", 100, 900, 90), job(f"{DATASET}/labels/t-s0", 5, math.nan, 2.5)]
    alone = [job("mlp", 20, 400, 19.5), job("tiny", 0.2, math.nan, 0.1)]
    policies = [costs.Policy("student", 0, own, taught), costs.Policy("mlp", 0, alone, [])]
    costs.measure(DATASET, policies, students(), "costs.csv")
    table = pd.read_csv("costs.csv").set_index("method")
    assert set(table["dataset"]) == {DATASET}
    assert list(table["kind"]) == ["student", "mlp"]
    assert list(table["seed"]) == [0, 0]
    assert list(table.loc["student"].drop(["dataset", "kind", "seed"])) == [10, 8, 300, 115, 100.5, 1000, 20]
    assert list(table.loc["mlp"].drop(["dataset", "kind", "seed"])) == pytest.approx(
        [20.2, 19.6, 400, 20.2, 19.6, 2000, 10]
    )


def test_what_was_not_measured_stays_empty(caplog: pytest.LogCaptureFixture) -> None:
    own = job("policy", 10, 300, 8)
    Path(paths.benchmark(own)).unlink()
    policy = costs.Policy("mlp", 0, [own], [])
    path = students()
    costs.measure(DATASET, [policy], path, "costs.csv")
    row = pd.read_csv("costs.csv").iloc[0]
    assert row[["seconds", "peak_memory_mb", "with_teacher_seconds"]].isna().all()
    assert row["core_seconds"] == 8
    assert "policy.tsv is gone" in caplog.text
    with pytest.raises(InputError, match="mlp of training seed 1 is missing"):
        costs.measure(DATASET, [policy._replace(seed=1)], path, "costs.csv")


def test_jobs_of_another_directory() -> None:
    own = job("mlp", 20, 400, 19.5)
    Path("elsewhere").mkdir()
    for folder in ("logs", "results"):
        Path(folder).rename(f"elsewhere/{folder}")
    costs.measure(DATASET, [costs.Policy("mlp", 0, [own], [])], students(), "costs.csv", directory="elsewhere")
    assert pd.read_csv("costs.csv").iloc[0][["seconds", "core_seconds"]].tolist() == [20, 19.5]


def test_a_policy_of_the_command_line() -> None:
    assert costs.Policy.of(["s", "3", "a/b", "c", "/", "d"]) == costs.Policy("s", 3, ["a/b", "c"], ["d"])
    assert costs.Policy.of(["s", "3", "a/b", "/"]) == costs.Policy("s", 3, ["a/b"], [])
