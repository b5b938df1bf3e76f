"""A digest of the code behind a rule, so that editing code reruns the rules that use it and no others.

Snakemake compares a script by its time stamp and never sees an imported module. A rule that
carries `code=digest("its_script")` among its params is stale exactly when the script, a module
of this package that is imported with it (at any depth), or a named module or resource has changed
in content. Comments, docstrings and formatting do not count.

The package's own `__init__` does not count: it holds the names that others import, and no job uses them.

An import inside a function is not followed: such a module is loaded by some of the jobs alone, and
their rules name it, or name the function itself: of "methods.mlp:fit" the imports inside `fit` count as well.
tests/workflow/test_stale.py compares all this with what the jobs really load.
"""

import ast
import atexit
import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from d4rl_automl.core.files import RESOURCES, sha256, write_json

PACKAGE = Path(__file__).parents[1]
SCRIPTS = PACKAGE.parents[1] / "scripts"
CACHE = Path(__file__).parent / "__pycache__" / f"digests.{sys.implementation.cache_tag}.json"
"""What was read of every source, beside what Python keeps of this one: of a file that is as it was, it is right."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@functools.cache
def digest(script: str, *modules: str, resources: tuple[str, ...] = ()) -> str:
    """Hex digest (16 characters) of `scripts/{script}.py` and all of this package that it imports.

    `modules` adds modules that the script finds at run time ("policies.forest"), or a function of one
    ("methods.student:fit"), with what is imported inside it. `resources` adds files or folders below `resources/`, by
    content.
    """
    lines = [f"{path.relative_to(PACKAGE.parents[1])} {_read(path).digest}" for path in covered(script, *modules)]
    lines += [f"{name} {sha256(RESOURCES / name)}" for name in resources]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def covered(script: str, *modules: str) -> list[Path]:
    """The sources that `digest` covers, in order: the script, and what of this package it and `modules` import.

    Raises FileNotFoundError for a script or module, and LookupError for a function, that there is not.
    """
    script_file = SCRIPTS / f"{script}.py"
    found = {script_file} | _reached(script_file)
    for name in modules:
        module, _, function = name.partition(":")
        path = _module_file(f"{PACKAGE.name}.{module.removeprefix(f'{PACKAGE.name}.')}")
        if path is None:
            raise FileNotFoundError(f"no module {module!r} in {PACKAGE}")
        found |= _reached(path)
        for imported in _imported_inside(path, function) if function else ():
            found |= _reached(imported)
    return sorted(found)


def _reached(start: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_files(_read(path).imports))
            # Python runs the packages that a module is in before the module.
            waiting.extend(folder / "__init__.py" for folder in path.parents if PACKAGE in folder.parents)
    return found


class _Source(NamedTuple):
    """What is known of a source."""

    state: list[int]
    """What tells that the file is as it was: size and times, of which the last is set by the kernel alone."""
    digest: str
    """Of the source without comments, docstrings and layout."""
    imports: list[str]
    """Names within this package that are imported: modules, or what is in them."""
    inside: dict[str, list[str]]
    """The same of the functions at its top level, by their names."""


@functools.cache
def _read(path: Path) -> _Source:
    """A source, read or, if it is as it was, remembered."""
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = _remembered().get(str(path))
    if known is None or known[0] != state:
        known = _remembered()[str(path)] = _parsed(path, state)
        _tell_later()
    return _Source(*known)


def _parsed(path: Path, state: list[int]) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = _imported(_statements(tree, functions=False), path)
    functions = [node for node in tree.body if isinstance(node, _FUNCTIONS)]
    inside = {node.name: _imported(_statements(node, functions=True), path) for node in functions}
    for node in (tree, *_statements(tree, functions=True)):
        if isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS)):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    digest = hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()
    return _Source(state, digest, imports, inside)


@functools.cache
def _remembered() -> dict[str, Any]:
    """What `_read` found, in this process and in those before it, by the path as text."""
    try:
        found = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    # With this module changes what it says of the others.
    return found if isinstance(found, dict) and found.pop("by", None) == sha256(__file__) else {}


@functools.cache
def _tell_later() -> None:
    """When this process ends, let those to come know what was read, where they can be told."""
    atexit.register(_tell)


def _tell() -> None:
    with contextlib.suppress(OSError):
        write_json(CACHE, {"by": sha256(__file__), **_remembered()})


def _imported_inside(path: Path, function: str) -> set[Path]:
    """The files of this package that a function at a module's top level imports."""
    inside = _read(path).inside
    if function not in inside:
        raise LookupError(f"no function {function!r} in {path}")
    return _files(inside[function])


def _imported(statements: Iterable[ast.AST], path: Path) -> list[str]:
    """The names within this package that some statements of a source import."""
    names: set[str] = set()
    for node in statements:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(path.parents[node.level - 1].relative_to(PACKAGE.parent).parts) if node.level else ""
            module = ".".join(filter(None, (origin, node.module)))
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return sorted(name for name in names if name.split(".")[0] == PACKAGE.name)


def _files(names: Iterable[str]) -> set[Path]:
    """The modules among these names, but for the package's own `__init__`."""
    return {file for name in names if (file := _module_file(name)) not in (None, PACKAGE / "__init__.py")}


def _statements(node: ast.AST, *, functions: bool) -> Iterator[ast.AST]:
    """Every node below `node` but expressions, with or without those inside functions; none that is for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) or (isinstance(child, _FUNCTIONS) and not functions) or _is_for_types(child):
            continue
        yield child
        yield from _statements(child, functions=functions)


def _is_for_types(statement: ast.AST) -> bool:
    """Whether it is `if TYPE_CHECKING:`, which no job executes."""
    test = statement.test if isinstance(statement, ast.If) else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


@functools.cache
def _module_file(name: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
