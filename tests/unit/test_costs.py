import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import costs

DATASET = "hopper-medium-embedded-v1"


def job(folder: Path, name: str, seconds: float, memory: float, processor: float) -> dict[str, str]:
    """What a job leaves; max_rss as Snakemake writes it, NA where the job was too short to be sampled."""
    found = {"benchmark": str(folder / f"{name}.tsv"), "log": str(folder / f"{name}.log")}
    sampled = "NA" if math.isnan(memory) else memory
    Path(found["benchmark"]).write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t{sampled}\t0.1\n")
    Path(found["log"]).write_text(f"1.00 s of processor time in vain\nINFO {processor} s of processor time\n")
    return found


def students(folder: Path) -> Path:
    rows = [("student", 0, teacher, 1000, 50_000) for teacher in ("one", "other")] + [("mlp", 0, "one", 2000, 100_000)]
    path = folder / DATASET / "students.csv"
    path.parent.mkdir()
    pd.DataFrame(rows, columns=["method", "seed", "teacher", "bytes", "rows_per_second"]).to_csv(path, index=False)
    return path


def test_costs_are_summed_over_jobs(tmp_path: Path) -> None:
    own = [job(tmp_path, "policy", 10, 300, 8)]
    taught = [job(tmp_path, "ac0", 100, 900, 90), job(tmp_path, "labels", 5, math.nan, 2.5)]
    alone = [job(tmp_path, "mlp", 20, 400, 19.5), job(tmp_path, "tiny", 0.2, math.nan, 0.1)]
    facts: dict[str, Any] = {"dataset": DATASET, "kind": "kind", "seed": 0}
    policies = [
        facts | {"method": "student", "own": own, "teacher": taught},
        facts | {"method": "mlp", "own": alone, "teacher": []},
    ]
    costs.measure(policies, [students(tmp_path)], tmp_path / "costs.csv")
    table = pd.read_csv(tmp_path / "costs.csv").set_index("method")
    assert list(table.loc["student"].drop(["dataset", "kind", "seed"])) == [10, 8, 300, 115, 100.5, 1000, 20]
    assert list(table.loc["mlp"].drop(["dataset", "kind", "seed"])) == pytest.approx(
        [20.2, 19.6, 400, 20.2, 19.6, 2000, 10]
    )


def test_what_was_not_measured_stays_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = job(tmp_path, "policy", 10, 300, 8)
    Path(own["benchmark"]).unlink()
    policy = {"dataset": DATASET, "method": "mlp", "kind": "mlp", "seed": 0, "own": [own], "teacher": []}
    path = students(tmp_path)
    costs.measure([policy], [path], tmp_path / "costs.csv")
    row = pd.read_csv(tmp_path / "costs.csv").iloc[0]
    assert row[["seconds", "peak_memory_mb", "with_teacher_seconds"]].isna().all()
    assert row["core_seconds"] == 8
    assert "policy.tsv is gone" in caplog.text
    with pytest.raises(InputError, match="mlp of training seed 1 is missing"):
        costs.measure([policy | {"seed": 1}], [path], tmp_path / "costs.csv")
