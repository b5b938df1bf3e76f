"""Editing code changes the digest of the rules that use it, and of no others."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan import digests

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package and its scripts that the digest looks at."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "PACKAGE", tmp_path / "src" / "d4rl_automl")
    monkeypatch.setattr(digests, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(digests, "CACHE", tmp_path / "digests.json")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """What has been read is read anew, as a new Snakemake does."""
    for cached in (digests._read, digests._remembered, digests._module_file, digests.digest):
        cached.cache_clear()


def digest(*names: str) -> str:
    """The digest as a new Snakemake sees it."""
    forget()
    return digests.digest(*names)


def edit(path: Path, line: str) -> None:
    path.write_text(path.read_text() + f"\n{line}\n")


def test_what_was_read_is_remembered_while_the_file_is_as_it_was(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    before = digests.digest("rollout"), digests.digest("fit_policy", "methods.mlp:fit")
    digests._tell()
    read: list[Path] = []
    parsed = digests._parsed
    monkeypatch.setattr(digests, "_parsed", lambda path, state: read.append(path) or parsed(path, state))
    assert (digest("rollout"), digest("fit_policy", "methods.mlp:fit")) == before and not read
    # Another text of the same size, and with the old time.
    path = tree / "src/d4rl_automl/evaluation/rollout.py"
    times = path.stat()
    path.write_text(path.read_text().replace("episodes", "episodez"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    assert digest("rollout") != before[0] and read == [path]


@pytest.mark.parametrize("content", ["", "{", '{"by": "another version of this module"}', "[]"])
def test_what_another_version_remembers_or_is_damaged_is_passed_over(tree: Path, content: str) -> None:
    before = digest("rollout")
    (tree / "digests.json").write_text(content)
    assert digest("rollout") == before


def test_own_script_and_imported_modules_count_and_others_do_not(tree: Path) -> None:
    jobs = {"rollout": ("rollout",), "plot": ("plot", "figures.returns"), "teacher": ("train_teacher",)}
    before = {name: digest(*job) for name, job in jobs.items()}
    edit(tree / "src/d4rl_automl/simulators/closed_loop.py", "MORE = 1")
    assert digest(*jobs["rollout"]) != before["rollout"]
    assert digest(*jobs["plot"]) == before["plot"]
    assert digest(*jobs["teacher"]) == before["teacher"]
    for file in ("scripts/plot.py", "src/d4rl_automl/figures/returns.py"):
        edit(tree / file, "MORE = 1")
        assert digest(*jobs["plot"]) != before["plot"]
        assert digest(*jobs["teacher"]) == before["teacher"]
        before["plot"] = digest(*jobs["plot"])


def test_of_the_figures_only_the_named_one_counts(tree: Path) -> None:
    before = digest("plot", "figures.returns"), digest("plot", "figures.card")
    edit(tree / "src/d4rl_automl/figures/card.py", "MORE = 1")
    assert digest("plot", "figures.returns") == before[0]
    assert digest("plot", "figures.card") != before[1]


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


def fits() -> dict[str, str]:
    """The digests of what makes policies, as the rules ask for them, by kind and format."""
    forget()
    return {
        f"{kind}, {making.format}": digests.digest("fit_policy", f"methods.{kind}:fit", *making.modules)
        for kind, method in METHODS.items()
        for making in method.makings
    }


def test_what_a_named_function_imports_counts(tree: Path) -> None:
    """An edit of the networks changes what every network is fitted by, and no forest."""
    package = tree / "src/d4rl_automl"
    before = fits()
    edit(package / "learners/networks.py", "MORE = 1")
    after = fits()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{kind}, onnx" for kind in ("student", "mlp", "rvs_r", "rvs_g", "rvs", "bc")}
    edit(package / "learners/forests.py", "MORE = 1")
    again = fits()
    changed = {name for name in before if after[name] != again[name]}
    assert changed == {"catboost_student, catboost", "rcdtp, xgboost", "rwdtp, xgboost"}


def test_the_exporter_counts_where_predictors_are_exported(tree: Path) -> None:
    before = fits()
    edit(tree / "src/d4rl_automl/teachers/export.py", "MORE = 1")
    after = fits()
    assert {name for name in before if before[name] != after[name]} == {"teacher, onnx", "autogluon_student, onnx"}


def test_a_method_without_its_function_counts_only_what_it_imports_at_the_top(tree: Path) -> None:
    before = digest("fit_policy", "methods.mlp"), digest("fit_policy", "methods.mlp:fit")
    assert before[0] != before[1]
    edit(tree / "src/d4rl_automl/learners/fitting.py", "MORE = 1")
    assert digest("fit_policy", "methods.mlp") == before[0]
    assert digest("fit_policy", "methods.mlp:fit") != before[1]


def test_a_new_import_inside_the_function_counts(tree: Path) -> None:
    package = tree / "src/d4rl_automl"
    mlp = package / "methods/mlp.py"
    mlp.write_text(
        mlp.read_text().replace("    train = read(", "    from ..teachers import labels\n\n    train = read(")
    )
    linked = digest("fit_policy", "methods.mlp:fit")
    edit(package / "teachers/labels.py", "MORE = 1")
    assert digest("fit_policy", "methods.mlp:fit") != linked


def test_a_provider_counts_what_its_fetch_imports(tree: Path) -> None:
    """The collector counts for embedded datasets alone, the downloader for D4RL's files alone."""
    package = tree / "src/d4rl_automl"

    def fetches() -> dict[str, str]:
        forget()
        return {name: digests.digest("fetch_dataset", f"data.providers.{name}:fetch") for name in PROVIDERS}

    for module, provider in (
        ("data/collection.py", "embedded"),
        ("data/downloading.py", "d4rl"),
        ("data/providers/file.py", "file"),
    ):
        before = fetches()
        edit(package / module, "MORE = 1")
        after = fetches()
        assert {name for name in before if before[name] != after[name]} == {provider}, module


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


def test_the_names_that_others_import_do_not_count(tree: Path) -> None:
    before = digest("rollout"), digest("fit_policy", "methods.mlp:fit")
    edit(tree / "src/d4rl_automl/__init__.py", "MORE = 1")
    assert (digest("rollout"), digest("fit_policy", "methods.mlp:fit")) == before


def test_comments_docstrings_and_layout_do_not_count(tree: Path) -> None:
    before = digest("rollout")
    path = tree / "src/d4rl_automl/evaluation/rollout.py"
    path.write_text("# a comment\n" + path.read_text().replace('"""', '"""More. ', 1))
    assert digest("rollout") == before


def test_no_training_reaches_the_figures() -> None:
    for script in ("train_teacher", "fit_policy", "rollout", "fetch_dataset", "make_transitions"):
        reached = digests._reached(digests.SCRIPTS / f"{script}.py")
        assert not [path for path in reached if "figures" in path.parts]
    found_by_name = [(f"methods/{kind}.py", "fit") for kind in METHODS]
    found_by_name += [(f"data/providers/{provider}.py", "fetch") for provider in PROVIDERS]
    for module, function in found_by_name:
        imported = digests._imported_inside(digests.PACKAGE / module, function)
        reached = {path for file in (digests.PACKAGE / module, *imported) for path in digests._reached(file)}
        assert imported
        assert not [path for path in reached if "figures" in path.parts]


def test_unknown_script_module_and_function_are_errors() -> None:
    with pytest.raises(FileNotFoundError):
        digests.digest("no_such_script")
    with pytest.raises(FileNotFoundError, match=r"no module 'methods\.no_such'"):
        digests.digest("fit_policy", "methods.no_such:fit")
    with pytest.raises(LookupError, match="no function 'fitt'"):
        digests.digest("fit_policy", "methods.mlp:fitt")


def test_resources_count_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "RESOURCES", tmp_path)
    (tmp_path / "behaviour").mkdir()
    found = []
    for content in ("1", "2"):
        (tmp_path / "behaviour/policy.npz").write_text(content)
        digests.digest.cache_clear()
        found.append([digests.digest("rollout"), digests.digest("rollout", resources=("behaviour",))])
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]
