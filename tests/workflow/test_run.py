"""The main job, end to end at tiny size: real MuJoCo, real AutoGluon, real files, and what reruns after a change."""

import json
import os
import re
import shutil
from pathlib import Path

import h5py
import onnx
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.support.project import snakemake
from tests.support.tiny import ARGUMENTS, CONFIG, D4RL, EMBEDDED, MAZE, MINE

METHODS = {method["name"] for method in CONFIG["methods"] if method["kind"] not in ("rvs_r", "rvs_g")}


@pytest.fixture(scope="module")
def finished(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run."""
    return shutil.copytree(tiny_run, tmp_path_factory.mktemp("run") / "project", symlinks=True)


def planned(project: Path) -> str:
    return snakemake(*ARGUMENTS, "-n", directory=project).stdout


def rules(plan: str) -> set[str]:
    return {line.split()[1].rstrip(":") for line in plan.splitlines() if line.startswith(("rule ", "localrule "))}


def test_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(*ARGUMENTS, directory=finished).stdout


def test_what_the_run_would_take_was_reckoned_as_it_started(finished: Path) -> None:
    """Of every job that has run since."""
    told = pd.read_csv(finished / "results/benchmarks/estimate.csv")
    made = {str(p.relative_to(finished / "results/benchmarks")) for p in finished.glob("results/benchmarks/**/*.tsv")}
    assert {f"{job}.tsv" for job in told["job"]} == made
    assert (told["core"] > 0).all()


def test_every_method_is_played_and_scored(finished: Path) -> None:
    scores = pd.read_csv(finished / "results/scores.csv")
    assert set(scores["dataset"]) == {EMBEDDED, MINE, D4RL, MAZE}
    assert set(scores[scores["dataset"] == EMBEDDED]["method"]) == METHODS
    assert "rvs-r" in set(scores[scores["dataset"] == D4RL]["method"])
    assert set(scores["simulator"]) == {"d4rl"}
    report = pq.read_table(finished / f"results/{EMBEDDED}/rollouts/student-s0.d4rl.report.parquet").to_pandas()
    assert len(report) == 2 * 3
    selection = pq.read_table(finished / f"results/{EMBEDDED}/rollouts/student-s0.d4rl.selection.parquet").to_pandas()
    assert not set(report["seed"]) & set(selection["seed"])
    chosen = json.loads((finished / f"results/{EMBEDDED}/targets/student.d4rl.json").read_text())["fraction"]
    expected = report[report["fraction"] == chosen]["return"].mean()
    told = scores.query("dataset == @EMBEDDED and method == 'student' and target == 'selected'")
    assert told["mean_return"].item() == pytest.approx(expected)


def test_policies_of_antmaze_are_played_in_the_maze(finished: Path) -> None:
    """A network of random data does not get anywhere, but it gets all of its time."""
    played = pq.read_table(finished / f"results/{MAZE}/rollouts/mlp-s0.d4rl.report.parquet").to_pandas()
    # It is commanded a goal, of each episode its own, and no fractions of a return.
    assert len(played) == 3
    assert (played["length"] == 700).all()
    assert not played["success"].any()
    assert not played[["terminated", "diverged"]].any(axis=None)
    assert (played[["return", "normalised_score"]] == 0).all(axis=None)


def test_files_open_in_other_tools(finished: Path) -> None:
    folder = finished / "results" / EMBEDDED
    with h5py.File(folder / "raw.hdf5") as raw:
        assert raw["observations"].shape == (6000, 11)
    assert len(pd.read_parquet(folder / "transitions.parquet")) == 6000
    model = onnx.load(folder / "policies/student-s0.onnx")
    onnx.checker.check_model(model)
    assert {entry.key: entry.value for entry in model.metadata_props}["task"] == "hopper"
    assert len(pd.read_csv(folder / "teachers/tiny-s0/metrics.csv")) == 3
    assert set(pd.read_csv(folder / "students.csv")["method"]) == METHODS
    for figure in (
        "card",
        "reward_to_go",
        "actions-tiny-s0",
        "returns.d4rl",
        "calibration.d4rl",
        "curves",
        "importance",
    ):
        for ending in ("png", "svg", "csv"):
            assert (folder / "figures" / f"{figure}.{ending}").stat().st_size > 0
    assert "# " + EMBEDDED in (folder / "card.md").read_text()
    cards = pd.read_csv(finished / "results/cards.csv")
    assert cards["rows"].tolist() == [6000, 6000, 30, 1200]
    # The copy of the embedded file, too, is told to be made where it was.
    assert cards["simulator"].tolist() == ["d4rl", "d4rl", "not known", "none"]
    assert (cards["replay_99_percent"][:2] < 1e-4).all()
    page = (finished / "results/report/index.html").read_text()
    assert EMBEDDED in page
    # It shows addresses, and loads nothing from any.
    assert not re.search(r"""(src=|<link[^>]*href=|url\()["']?https?:|@import""", page)


def test_csv_target_writes_the_plain_format(finished: Path) -> None:
    snakemake(*ARGUMENTS, "csv", directory=finished)
    table = pd.read_csv(finished / f"results/{EMBEDDED}/transitions.csv")
    assert list(table) == [*(f"ob{i}" for i in range(11)), *(f"ac{i}" for i in range(3)), "rtg"]
    parquet = pd.read_parquet(finished / f"results/{EMBEDDED}/transitions.parquet")
    finished_rows = parquet[parquet["split"] != "unfinished"]
    assert table["rtg"].to_numpy() == pytest.approx(finished_rows["rtg"].to_numpy(), rel=1e-6)


def test_editing_a_figure_reruns_no_training(finished: Path) -> None:
    path = finished / "src/d4rl_automl/figures/returns.py"
    before = path.read_text()
    path.write_text(before + "\nEDITED = 1\n")
    try:
        # The violins by checkpoint have parts of it.
        assert rules(planned(finished)) == {"plot_returns", "plot_checkpoints", "report", "all"}
    finally:
        path.write_text(before)
    assert "Nothing to be done" in planned(finished)


def test_a_changed_dataset_reruns_only_its_own_descendants(finished: Path) -> None:
    path = finished / "mine.hdf5"
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    with h5py.File(path, "a") as raw:
        raw["rewards"][0] += 1.0
    try:
        plan = planned(finished)
        assert "fit_mlp" in rules(plan)
        assert not {"collect", "train_teacher", "distill_teacher", "fit_student"} & rules(plan)
        assert f"dataset={EMBEDDED}" not in plan
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(time, time))


def test_a_damaged_file_stops_its_own_branch_with_its_name_and_leaves_the_rest(finished: Path) -> None:
    path = finished / "mine.hdf5"
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    scores = (finished / "results/scores.csv").read_bytes()
    path.write_bytes(before[: len(before) // 2])
    try:
        done = snakemake(*ARGUMENTS, directory=finished, check=False)
        assert done.returncode != 0
        assert "error: " in done.stdout
        assert "mine.hdf5" in done.stdout
        assert (finished / f"results/{EMBEDDED}/policies/student-s0.onnx").exists()
        assert (finished / "results/scores.csv").read_bytes() == scores
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(time, time))
