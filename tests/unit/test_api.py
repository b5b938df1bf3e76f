"""The public API: its names, what importing it costs, its examples, and that the base install is all it needs."""

import ast
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import d4rl_automl
from tests.support.public_api import CONSUMER, check, prepare

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/d4rl_automl"
# Types, which the examples of the others show.
TYPES = {"Dataset", "InputError", "Policy"}


def for_types() -> dict[str, str]:
    """What type checkers and editors see: the name, and the module that it is from."""
    blocks = [node for node in ast.parse((SOURCE / "__init__.py").read_text()).body if isinstance(node, ast.If)]
    (block,) = (node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING")
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.module
        found |= {alias.name: node.module for alias in node.names if alias.name == alias.asname}
    return found


def test_every_name_is_where_type_checkers_look_for_it() -> None:
    assert sorted(for_types()) == d4rl_automl.__all__
    for name, module in for_types().items():
        value = getattr(d4rl_automl, name)
        assert value is getattr(importlib.import_module(module), name)
        assert (value.__module__, value.__name__) == (module, name)
        assert inspect.getdoc(value)
    assert set(d4rl_automl.__all__) <= set(dir(d4rl_automl))


def test_an_unknown_name_is_told_which_there_are() -> None:
    with pytest.raises(AttributeError, match=r"'d4rl_automl' has no attribute 'lode_policy'; it has .*, load_policy, "):
        _ = d4rl_automl.lode_policy
    with pytest.raises(ImportError):
        from d4rl_automl import lode_policy  # noqa: F401, PLC0415


def test_the_package_imports_nothing_by_itself_and_its_modules_nothing_of_the_names() -> None:
    """Otherwise a rule would depend on what its digest leaves out (plan.digests)."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "d4rl_automl":
                assert not {alias.name for alias in node.names} & set(d4rl_automl.__all__), path
    top = [node for node in ast.parse((SOURCE / "__init__.py").read_text()).body if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in top} == {"typing"}


def test_importing_takes_less_than_a_tenth_of_a_second() -> None:
    seconds = []
    for _ in range(5):
        command = [sys.executable, "-X", "importtime", "-c", "import d4rl_automl"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        (line,) = re.findall(r"\| +(\d+) \| d4rl_automl$", told, re.M)
        seconds.append(int(line) / 1e6)
    assert min(seconds) <= 0.1


@pytest.mark.parametrize("name", sorted(set(d4rl_automl.__all__) - TYPES))
def test_the_example_of_a_name_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(d4rl_automl, name), name, globs={})
    assert len(example.examples) >= 2
    runner = doctest.DocTestRunner()
    told: list[str] = []
    runner.run(example, out=told.append)
    assert not told, "".join(told)


def of_extras_alone() -> set[str]:
    """Top-level modules that are installed here, and that the base install has not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    base: set[str] = {"d4rl-automl"}
    while waiting:
        requirement = waiting.pop()
        extras = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
        name = canonicalize_name(requirement.name)
        if name in base and not requirement.extras:
            continue
        base.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate(extra) for extra in extras):
                waiting.append(needed)
    providers = metadata.packages_distributions()
    here = {module for module, names in providers.items() if base & {canonicalize_name(name) for name in names}}
    return providers.keys() - here - set(sys.stdlib_module_names)


BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def test_the_base_install_is_all_it_needs(tmp_path: Path) -> None:
    """Every name is called where whatever the extras bring cannot be imported, in processes started from there too."""
    blocked = of_extras_alone()
    assert {"torch", "autogluon", "pandas", "matplotlib", "onnx", "snakemake", "xgboost", "yaml"} <= blocked
    assert not {"numpy", "mujoco", "gymnasium", "h5py", "pyarrow", "onnxruntime", "pydantic"} & blocked
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BLOCKED.format(modules=sorted(blocked)))
    (tmp_path / "work").mkdir()
    prepare(tmp_path / "work")
    done = subprocess.run(
        [sys.executable, str(CONSUMER), str(tmp_path / "work")],
        env={"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT / 'src'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout), tmp_path / "work")
