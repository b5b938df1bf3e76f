"""Editing code changes the digest of the rules that use it, and of no others."""

import shutil
from pathlib import Path

import pytest

from d4rl_automl.plan import digests

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package and its scripts that the digest looks at."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "PACKAGE", tmp_path / "src" / "d4rl_automl")
    monkeypatch.setattr(digests, "SCRIPTS", tmp_path / "scripts")
    return tmp_path


def digest(*names: str) -> str:
    """The digest as a new Snakemake sees it."""
    for cached in (digests._read, digests.digest):
        cached.cache_clear()
    return digests.digest(*names)


def edit(path: Path, line: str) -> None:
    path.write_text(path.read_text() + f"\n{line}\n")


def test_own_script_and_imported_modules_count_and_others_do_not(tree: Path) -> None:
    before = {name: digest(name) for name in ("rollout", "plot_returns", "train_teacher")}
    edit(tree / "src/d4rl_automl/simulators/closed_loop.py", "MORE = 1")
    assert digest("rollout") != before["rollout"]
    assert digest("plot_returns") == before["plot_returns"]
    assert digest("train_teacher") == before["train_teacher"]
    edit(tree / "scripts/plot_returns.py", "MORE = 1")
    assert digest("plot_returns") != before["plot_returns"]
    assert digest("train_teacher") == before["train_teacher"]


def test_modules_found_by_name_count(tree: Path) -> None:
    student, mlp = digest("fit_policy", "methods.student"), digest("fit_policy", "methods.mlp")
    assert student != mlp
    edit(tree / "src/d4rl_automl/methods/student.py", "MORE = 1")
    assert digest("fit_policy", "methods.student") != student
    assert digest("fit_policy", "methods.mlp") == mlp


def test_modules_that_a_function_imports_count_where_they_are_named(tree: Path) -> None:
    before = digest("rollout"), digest("rollout", "policies.forest")
    edit(tree / "src/d4rl_automl/policies/forest.py", "MORE = 1")
    assert digest("rollout") == before[0]
    assert digest("rollout", "policies.forest") != before[1]


def test_packages_and_relative_imports_count(tree: Path) -> None:
    package = tree / "src/d4rl_automl"
    before = digest("fit_policy", "methods.mlp")
    edit(package / "methods/__init__.py", "MORE = 1")
    after = digest("fit_policy", "methods.mlp")
    assert after != before
    edit(package / "methods/mlp.py", "from . import bc\nfrom ..learners.forests import importance")
    linked = digest("fit_policy", "methods.mlp")
    edit(package / "methods/bc.py", "MORE = 1")
    assert digest("fit_policy", "methods.mlp") not in (after, linked)
    linked = digest("fit_policy", "methods.mlp")
    edit(package / "learners/forests.py", "MORE = 1")
    assert digest("fit_policy", "methods.mlp") != linked


def test_comments_docstrings_and_layout_do_not_count(tree: Path) -> None:
    before = digest("rollout")
    path = tree / "src/d4rl_automl/evaluation/rollout.py"
    path.write_text("# a comment\n" + path.read_text().replace('"""', '"""More. ', 1))
    assert digest("rollout") == before


def test_no_training_script_reaches_the_figures() -> None:
    for script in ("train_teacher", "fit_policy", "rollout", "collect", "make_transitions"):
        reached = digests._reached(digests.SCRIPTS / f"{script}.py")
        assert not [path for path in reached if "figures" in path.parts]


def test_unknown_script_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        digests.digest("no_such_script")
