"""What tests share stands in tests/support, and nowhere else."""

import ast
import contextlib
from collections.abc import Iterator
from importlib.util import resolve_name

import pytest

from tests.support.project import ROOT


def imported(code: str, package: str) -> Iterator[str]:
    """Every name that code of a package imports, and that a string imports which is code (for another process)."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        # A string's code has no package: it is relative to whatever it becomes part of.
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            with contextlib.suppress(SyntaxError):
                yield from imported(node.value, "")


def borrowed(code: str, package: str) -> list[str]:
    """What is imported of tests, and not of their support."""
    names = [name.split(".") for name in imported(code, package)]
    return [".".join(name) for name in names if name[0] == "tests" and name[1:2] != ["support"]]


def test_tests_import_of_tests_their_support_alone() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    assert len(paths) > 50
    packages = {path: ".".join(path.relative_to(ROOT).parent.parts) for path in paths}
    found = {str(path): borrowed(path.read_text(), package) for path, package in packages.items()}
    assert {path: names for path, names in found.items() if names} == {}


# Not whole, or they would be found themselves.
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import {}", "tests.unit.test_policy"),
        ("import {} as policies", "tests.unit.test_policy"),
        ("def test():\n    from {} import test_policy", "tests.unit"),
        ("from {}.test_policy import write_policy", "tests.unit"),
        ("from {} import test_policy", "."),
        ("from {}conftest import Run", "."),
        ("from {}faults.conftest import Run", ".."),
        ("KILLED = '''\nimport sys\nfrom {} import samples\n'''", "tests.unit.test_network"),
    ],
)
def test_other_imports_would_be_found(code: str, name: str) -> None:
    assert len(borrowed(code.format(name), "tests.unit")) == 1


@pytest.mark.parametrize(
    "code", ["from tests import support", "import tests.support", "from ..support import datasets"]
)
def test_their_support_may_be_imported(code: str) -> None:
    assert borrowed(code, "tests.unit") == []
