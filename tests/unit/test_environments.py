"""The conda files, the lock, pyproject.toml and what is installed tell the same versions.

A rule's environment holds what its script imports. The conda files are parsed, not solved: that needs their channel.
"""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.planner import Job, Planner
from tests.support.project import ROOT, copy_project

ENVIRONMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")}
VARIANTS = ("learning-cpu", "learning-cuda")
# Of these the rules import nothing: what AutoGluon fits with, and what rliable needs at one version.
NOT_IMPORTED = {"learning-cpu": {"lightgbm", "pytabkit", "scikit-learn", "scipy"}, "figures": {"seaborn"}}
# A process of D4RL's own environment (envs/mujoco-py) imports these.
ELSEWHERE = {"d4rl", "gym", "mujoco_py"}


def locked(*locks: str) -> dict[str, str]:
    """The pins of some locks, by default of what jobs are submitted with."""
    texts = [(ROOT / f"envs/{lock}.txt").read_text() for lock in locks or ("lock", "lock-cluster")]
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", "\n".join(texts), re.M)
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize(("extra", "package"), [("cluster", "snakemake-executor-plugin-slurm"), ("docs", "sphinx")])
def test_what_is_locked_apart_adds_to_what_is_locked(extra: str, package: str) -> None:
    assert not locked("lock").keys() & locked(f"lock-{extra}").keys()
    assert package in locked(f"lock-{extra}")


def required() -> dict[str, Requirement]:
    """What the workflow takes; where the base install would take several versions, the one that it pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["workflow"], *extras["cluster"]]
    return {canonicalize_name(r.name): r for r in map(Requirement, listed)}


def pip_lines(environment: str) -> list[str]:
    dependencies = ENVIRONMENTS[environment]["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def listed(environment: str) -> dict[str, Requirement]:
    requirements = (Requirement(line) for line in pip_lines(environment) if not line.startswith("--"))
    return {canonicalize_name(r.name): r for r in requirements}


def test_lock_satisfies_the_project_and_leaves_torch_to_its_own_step() -> None:
    pins = locked()
    for name, requirement in required().items():
        if name == "torch":
            assert name not in pins
            for step in ("Makefile", "envs/container.sh"):
                assert set(re.findall(r"torch(==[\d.]+)", (ROOT / step).read_text())) == {str(requirement.specifier)}
        else:
            assert requirement.specifier.contains(pins[name]), name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_file_pins_what_the_lock_pins(environment: str) -> None:
    specification = ENVIRONMENTS[environment]
    assert set(specification) == {"channels", "dependencies"}
    assert specification["channels"] == ["conda-forge", "nodefaults"]
    python, pip, _ = specification["dependencies"]
    assert pip == "pip"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(python.removeprefix("python=") + ".0")
    torch = str(required()["torch"].specifier).removeprefix("==")
    pins = locked() | {"torch": torch}
    pins["xgboost"] = pins["xgboost-cpu"]
    found = {name: str(r.specifier).removeprefix("==").removesuffix("+cpu") for name, r in listed(environment).items()}
    assert found == {name: pins[name] for name in found}


def test_conda_files_together_hold_what_the_project_requires() -> None:
    assert {name for environment in ENVIRONMENTS for name in listed(environment)} >= required().keys()
    extras = {name: r.extras for name, r in required().items()}
    for name in ("learning-cpu", "data", "figures", "snakemake"):
        assert all(r.extras == extras[key] for key, r in listed(name).items() if key in extras), name


def test_where_snakemake_runs_is_what_the_rules_import(tmp_path: Path) -> None:
    """Tables of kinds find their modules by name: all of them count."""
    source = tmp_path / "rules.py"
    texts = [path.read_text() for path in (ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk"))]
    source.write_text("\n".join(re.findall(r"^(?:import|from) .*", "\n".join(texts), re.M)))
    kinds = [*(ROOT / "src/d4rl_automl/methods").glob("*.py"), *(ROOT / "src/d4rl_automl/data/providers").glob("*.py")]
    used = reached([source, *kinds], anywhere=False)
    assert {"pydantic", "pyyaml", "snakemake"} <= used
    brought = {canonicalize_name(Requirement(line).name) for line in metadata.requires("snakemake") or []}
    assert "pyyaml" in brought
    assert used <= held("snakemake") | brought


def test_installed_are_the_pinned_versions() -> None:
    for environment in ENVIRONMENTS.keys() - {"learning-cuda"}:
        # The cluster's plugin is installed where there is a cluster.
        for name, requirement in ((n, r) for n, r in listed(environment).items() if n not in locked("lock-cluster")):
            # A CUDA build of torch has a local version of its own, or none.
            wanted = str(requirement.specifier).removeprefix("==").removesuffix("+cpu")
            installed = distributions()["xgboost"][0] if name == "xgboost-cpu" else name
            assert metadata.version(installed).split("+")[0] == wanted, name


def test_variants_differ_in_what_needs_the_gpu_alone() -> None:
    cpu, cuda = (set(pip_lines(variant)) for variant in VARIANTS)
    assert {re.split(r"[\[=]", line)[0] for line in cpu ^ cuda} == {
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "autogluon.tabular",
        "torch",
        "xgboost",
        "xgboost-cpu",
    }
    # The extra that is left out is all that would bring the other build of XGBoost.
    autogluon = [listed(variant)["autogluon-tabular"].extras for variant in VARIANTS]
    assert autogluon[0] - autogluon[1] == {"xgboost"}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """The jobs that start a script, of a config with every kind there is."""
    project = copy_project(tmp_path_factory.mktemp("plan") / "project")
    with Planner() as planner:
        planned = planner.plan(project, "config/every-kind.yaml", ("all", "csv", "films", "behaviour"), every=True)
    return [job for job in planned.values() if job.command]


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath("src", *module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def imports(path: Path, *, anywhere: bool = True) -> tuple[frozenset[Path], frozenset[str]]:
    """The project's files that a source imports, wherever in it or when it is imported, and the other packages."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: a relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    # The package itself holds the names that others import, for which it loads nothing.
    own = {file for name in names if name.startswith("d4rl_automl.") and (file := file_of(name))}
    others = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"d4rl_automl"}
    return frozenset(own), frozenset(others)


# Scripts that find a module by its name, and the folder that it is in.
NAMED = {"fit_policy": "methods", "fetch_dataset": "data/providers", "plot": "figures"}


def packages(script: str) -> set[str]:
    """Distributions that a script imports itself or through this package."""
    start = [ROOT / "scripts" / f"{script}.py"]
    if script in NAMED:
        start += (ROOT / "src/d4rl_automl" / NAMED[script]).glob("*.py")
    return reached(start, anywhere=True)


def reached(start: list[Path], *, anywhere: bool) -> set[str]:
    """Distributions that some sources import themselves or through this package."""
    waiting = list(start)
    seen: set[Path] = set()
    modules: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            own, others = imports(path, anywhere=anywhere)
            waiting += own
            modules |= others
    return {distribution(module) for module in modules - ELSEWHERE}


@cache
def distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def distribution(module: str) -> str:
    # AutoGluon's packages share theirs; pydantic pins its core.
    found = {"autogluon": "autogluon-tabular", "pydantic_core": "pydantic"}.get(module) or distributions()[module][0]
    return {"xgboost-cpu": "xgboost"}.get(canonicalize_name(found), canonicalize_name(found))


def held(environment: str) -> set[str]:
    """What an environment lists; either build of XGBoost is called xgboost."""
    return {name.removesuffix("-cpu") for name in listed(environment)}


def variants(environment: str) -> tuple[str, ...]:
    """The files of an environment that a rule of the CPU names, or the one that there is."""
    return VARIANTS if environment == "learning-cpu" else (environment,)


def test_environment_of_a_job_holds_what_its_script_imports(jobs: list[Job]) -> None:
    for script, environment in {(job.command[0], job.environment) for job in jobs}:
        for variant in variants(environment):
            assert packages(script) <= held(variant), f"{script} with {variant}"


@pytest.mark.parametrize("environment", ["data", "figures", "learning-cpu"])
def test_environment_holds_nothing_else(jobs: list[Job], environment: str) -> None:
    scripts = {job.command[0] for job in jobs if job.environment == environment}
    used = set().union(*map(packages, scripts))
    for variant in variants(environment):
        assert held(variant) - used == NOT_IMPORTED.get(environment, set())


def test_every_environment_is_that_of_some_jobs(jobs: list[Job]) -> None:
    assert {variant for job in jobs for variant in variants(job.environment)} | {"snakemake"} == set(ENVIRONMENTS)


def test_conda_file_for_mujoco_py_has_what_its_installation_asks_for() -> None:
    specification = yaml.safe_load((ROOT / "envs/mujoco-py/conda.yaml").read_text())
    packages = dict(re.match(r"([a-z]+)(.*)", line).groups() for line in specification["dependencies"])
    assert packages.keys() == {"python", "gcc", "patchelf", "mesalib"}
    script = (ROOT / "envs/mujoco-py/install.sh").read_text()
    assert "({}, {})".format(*packages["python"].removeprefix("=").split(".")) in script
    assert "missing+=(gcc)" in script and "missing+=(patchelf)" in script and "libosmesa6-dev" in script


def test_docker_and_apptainer_make_the_same() -> None:
    docker, apptainer = ((ROOT / name).read_text() for name in ("Dockerfile", "Apptainer.def"))
    base = re.search(r"^FROM (\S+)$", docker, re.M)
    assert base and f"\nFrom: {base[1]}\n" in apptainer
    packages = [re.findall(r"apt-get install .*-recommends ([\w ]+\w)", text) for text in (docker, apptainer)]
    assert packages[0] == packages[1] != []
    copied = re.findall(r"^    (\S+) /opt/d4rl-automl/\1$", apptainer, re.M)
    assert copied == re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    assert all((ROOT / part).exists() for part in copied)
    for text, device in ((docker, '"$DEVICE"'), (apptainer, "{{ DEVICE }}")):
        assert f"/opt/d4rl-automl/envs/container.sh {device}\n" in text


def test_lock_has_a_hash_for_every_pin() -> None:
    text = (ROOT / "envs/lock.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)
    for block in filter(None, (block.strip() for block in blocks)):
        if not block.startswith("#"):
            assert "--hash=sha256:" in block, block.splitlines()[0]
