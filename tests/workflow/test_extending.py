"""docs/extending.md says how to add a method, a provider, a figure, a task and a key of the config: it is done here."""

import json
import re
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.project import ROOT, copy_project, snakemake

DATASET = "my-archive"
CONFIG = {
    "datasets": [
        {"name": DATASET, "provider": "npz", "task": "hopper-short", "archive": "mine.npz"},
    ],
    "device": "cpu",
    "teachers": [],
    "methods": [{"name": "linear", "kind": "linear"}],
    "rollout": {"fractions": [0.3, 1.0], "selection_episodes": 1, "report_episodes": 2},
    "split": {"validation": 0.2, "test": 0.2},
    "note": "A note.",
}
ARGUMENTS = ("--configfile", "own.yaml", "--cores", "2")
REPORT = "results/report/index.html"


def code(section: str, language: str) -> list[str]:
    """The code of one language in a section of the page, without its place in a list."""
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return [textwrap.dedent(found) for found in re.findall(rf"^   ```{language}\n(.*?)^   ```", body, re.M | re.S)]


def insert(path: Path, before: str, text: str) -> None:
    """Put a text before a line that is there once."""
    content = path.read_text(encoding="utf-8")
    assert content.count(before) == 1, f"{before!r} in {path}"
    path.write_text(content.replace(before, text + before), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all that the page adds, and a run of it."""
    project = copy_project(tmp_path_factory.mktemp("extended") / "project")
    package = project / "src/d4rl_automl"
    (package / "methods/linear.py").write_text(*code("A method", "python"))
    insert(package / "methods/table.py", '    "rwdtp",\n', '    "linear",\n')
    (package / "data/providers/npz.py").write_text(*code("A provider", "python"))
    insert(package / "data/providers/table.py", '"file")', '"npz", ')
    plot, entry = code("A figure", "python")
    (package / "figures/lengths.py").write_text(plot)
    (package / "report/captions/lengths.rst").write_text(*code("A figure", "rst"))
    listed = textwrap.indent(f"{entry.rstrip()},\n", " " * 8)
    insert(package / "figures/table.py", '        Figure(\n            "heat_table",\n', listed)
    (package / "tasks/short.py").write_text(*code("A task", "python"))
    insert(
        package / "tasks/__init__.py", "from d4rl_automl.tasks import antmaze", "from d4rl_automl.tasks import short\n"
    )
    insert(package / "tasks/__init__.py", "        antmaze,\n", "        short,\n")
    (key,) = code("A key of the config", "python")
    insert(package / "plan/config.py", "    d4rl_dir: Place", textwrap.indent(key, " " * 4))
    # A hopper that stands still falls within a hundred steps; of each episode the archive has the states.
    rng = np.random.default_rng(0)
    rows = np.arange(600)
    np.savez(
        project / "mine.npz",
        observations=rng.uniform(0, 0.1, (600, 11)).astype(np.float32),
        actions=rng.uniform(-1, 1, (600, 3)).astype(np.float32),
        rewards=np.ones(600, np.float32),
        terminals=np.zeros(600, bool),
        timeouts=rows % 50 == 49,
    )
    (project / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake(*ARGUMENTS, directory=project)
    return project


def rules(plan: str) -> set[str]:
    return set(re.findall(r"^(?:local)?rule (\w+):", plan, re.M))


def test_a_method(extended: Path) -> None:
    played = pq.read_table(extended / f"results/{DATASET}/rollouts/linear-s0.d4rl.report.parquet").to_pandas()
    assert len(played) == 4
    # An edit of the module makes its policy anew.
    path = extended / "src/d4rl_automl/methods/linear.py"
    before = path.read_text()
    path.write_text(before + "\nEDITED = 1\n")
    try:
        assert "fit_linear" in rules(snakemake(*ARGUMENTS, "-n", directory=extended).stdout)
    finally:
        path.write_text(before)
    # A setting that it does not have is refused.
    wrong = {**CONFIG, "methods": [{"name": "linear", "kind": "linear", "depth": 3}]}
    (extended / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    done = snakemake("--configfile", "wrong.yaml", "-n", directory=extended, check=False)
    assert done.returncode and "'depth'" in done.stdout


def test_a_provider(extended: Path) -> None:
    with h5py.File(extended / f"results/{DATASET}/raw.hdf5") as file:
        assert file["observations"].shape == (600, 11)
    # Where the archive stands makes nothing stale, what is in it does.
    moved = (extended / "mine.npz").rename(extended / "moved.npz")
    elsewhere = {**CONFIG, "datasets": [{**CONFIG["datasets"][0], "archive": "moved.npz"}]}
    (extended / "moved.yaml").write_text(yaml.safe_dump(elsewhere))
    try:
        plan = snakemake("--configfile", "moved.yaml", "-n", directory=extended).stdout
        assert rules(plan) == {"report", "all"}
    finally:
        moved.rename(extended / "mine.npz")
    content = (extended / "mine.npz").read_bytes()
    with np.load(extended / "mine.npz") as arrays:
        np.savez(extended / "mine.npz", **{**arrays, "rewards": 2 * arrays["rewards"]})
    try:
        assert "unpack" in rules(snakemake(*ARGUMENTS, "-n", directory=extended).stdout)
    finally:
        (extended / "mine.npz").write_bytes(content)


def test_a_figure(extended: Path) -> None:
    drawn = pd.read_csv(extended / f"results/{DATASET}/figures/lengths.d4rl.csv")
    assert drawn["method"].tolist() == ["linear"]
    assert "Lengths of the episodes" in (extended / REPORT).read_text()


def test_a_task(extended: Path) -> None:
    played = pq.read_table(extended / f"results/{DATASET}/rollouts/linear-s0.d4rl.report.parquet").to_pandas()
    assert played["length"].max() <= 100
    expected = 100 * (played["return"] + 2.0) / 302.0
    np.testing.assert_allclose(played["normalised_score"], expected)
    assert json.loads((extended / f"results/{DATASET}/card.json").read_text())["task"] == "hopper-short"


def test_a_key_of_the_config(extended: Path) -> None:
    assert "A note." in (extended / REPORT).read_text()
    (extended / "wrong.yaml").write_text(yaml.safe_dump({**CONFIG, "note": 3}))
    done = snakemake("--configfile", "wrong.yaml", "-n", directory=extended, check=False)
    assert done.returncode and "note: found 3; allowed: string" in done.stdout
