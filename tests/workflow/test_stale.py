"""What reruns after which change: every key of the config, script, module, resource and kind of input.

Jobs are Snakemake's of a dry run, in a copy of the project where `--touch` recorded every job of a config with all
kinds of methods as done. What must rerun is the jobs that a change is said to touch first, and all that is made of
theirs. Which jobs a script touches first is read from the commands; a module, from what the jobs of a real run loaded.
"""

import contextlib
import copy
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from d4rl_automl.plan.schema import schema
from tests.support import tiny
from tests.support.planner import Job, Planner
from tests.support.project import ROOT, copy_project, snakemake

EMBEDDED, MINE, D4RL, MAZE = "an-embedded", "my-hopper", "hopper-medium-v2", "antmaze-umaze-v2"
HERE = [EMBEDDED]
RESOURCES = "src/d4rl_automl/resources"
EPISODES = {"selection_episodes": 4, "report_episodes": 5}
# Of every kind a method, by the name of its kind.
CONFIG: dict[str, Any] = {
    "datasets": [
        {"name": EMBEDDED, "provider": "embedded", "task": "hopper", "recipe": "medium-expert", "transitions": 6000},
        {"name": MINE, "provider": "file", "task": "hopper", "path": "mine.hdf5"},
        D4RL,
        MAZE,
    ],
    "seeds": [0],
    "device": "cpu",
    "teachers": [
        {"name": "one", "preset": "medium", "datasets": HERE},
        {"name": "two", "preset": "good", "datasets": HERE},
    ],
    "methods": [
        {"name": "teacher", "kind": "teacher", "teacher": "one", **EPISODES},
        {"name": "autogluon_student", "kind": "autogluon_student", "teacher": "one", "export": True},
        {"name": "student", "kind": "student", "teacher": "one"},
        {"name": "catboost_student", "kind": "catboost_student", "teacher": "one"},
        {"name": "mlp", "kind": "mlp", "datasets": [EMBEDDED, MINE, D4RL]},
        {"name": "rvs_r", "kind": "rvs_r", "datasets": HERE},
        {"name": "rvs_g", "kind": "rvs_g", "datasets": [MAZE]},
        {"name": "rvs", "kind": "rvs", "checkpoints": 2, "datasets": HERE},
        {"name": "bc", "kind": "bc", "datasets": [EMBEDDED, MAZE]},
        {"name": "rcdtp", "kind": "rcdtp", "datasets": HERE},
        {"name": "rwdtp", "kind": "rwdtp", "datasets": HERE},
    ],
    "rollout": {"fractions": [0.3, 1.0], "seed": 3, "selection_episodes": 2, "report_episodes": 6},
}
KINDS = {method["kind"]: method for method in CONFIG["methods"]}
# The rule that first sees a method's settings.
FIRST = {kind: f"fit_{kind}" for kind in KINDS}
FIRST |= {"autogluon_student": "distill_teacher", "rvs": "fit_rvs_with_2_checkpoints"}
TARGETS = ("all", "csv", "films", "behaviour")
ARGUMENTS = (*TARGETS, "--configfile", "mine.yaml", "--cores", "2")


class Project:
    """A copy of the project in which every job of `CONFIG` counts as done."""

    def __init__(self, path: Path, planner: Planner) -> None:
        self.path = copy_project(path)
        self._planner = planner
        self._pretend_to_be_d4rl(D4RL, MAZE)
        (self.path / "mine.hdf5").touch()
        self.write_config(CONFIG)
        self.jobs = self.plan(every=True)
        for output in (self.path / output for job in self.jobs.values() for output in job.output):
            if re.search(r"/ac\d+$|behaviour/[a-z0-9]+$", str(output)):
                output.mkdir(parents=True)
                (output / "content").touch()
            else:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.touch()
        snakemake(*ARGUMENTS, "--touch", "--forceall", directory=self.path)

    def write_config(self, config: dict[str, Any]) -> None:
        (self.path / "mine.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def plan(self, *, every: bool = False) -> dict[str, Job]:
        """The jobs that a run would have, or every job that there is."""
        return self._planner.plan(self.path, "mine.yaml", TARGETS, every=every)

    def made_of(self, *first: str) -> set[str]:
        """The jobs that are told, each as `Job.fits` reads it, and all that are made of what they make."""
        for told in first:
            assert any(job.fits(told) for job in self.jobs.values()), told
        return self.downstream({id for id, job in self.jobs.items() if any(map(job.fits, first))})

    def downstream(self, first: set[str]) -> set[str]:
        """These jobs and all that are made of what they make."""
        found: set[str] = set()
        waiting = list(first)
        while waiting:
            job = self.jobs[waiting.pop()]
            if job.id not in found:
                found.add(job.id)
                waiting.extend(id for id, other in self.jobs.items() if not set(job.output).isdisjoint(other.input))
        return found

    def _pretend_to_be_d4rl(self, *names: str) -> None:
        """Let the catalogue expect an empty file for these datasets."""
        rows = read_rows(self.path / f"{RESOURCES}/catalogue.csv")
        for row in rows:
            if row["name"] in names:
                row |= {"size_bytes": "0", "sha256": hashlib.sha256(b"").hexdigest()}
        write_rows(self.path / f"{RESOURCES}/catalogue.csv", rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    with Planner() as started:
        yield started


@pytest.fixture(scope="module")
def done(planner: Planner, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("stale") / "project", planner)


@contextlib.contextmanager
def edited(path: Path, edit: Callable[[str], str]) -> Iterator[None]:
    """The text of a file edited for a while."""
    before, times = path.read_bytes(), path.stat()
    after = edit(before.decode())
    assert after.encode() != before, f"{path} is not changed"
    path.write_text(after)
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def more_code(text: str) -> str:
    return f"{text}\nEDITED = 1\n"


def put(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of `config` with another value at a key like methods.mlp.network.width."""
    config = copy.deepcopy(config)
    node: Any = config
    *steps, last = key.split(".")
    for step in steps:
        if isinstance(node, list):
            entries = [entry for entry in node if isinstance(entry, dict)]
            node = next(entry for entry in entries if step in (entry["name"], entry.get("provider")))
        else:
            node = node.setdefault(step, {})
    assert last not in node or node[last] != value
    node[last] = value
    return config


def test_nothing_reruns_after_no_change(done: Project) -> None:
    assert done.plan() == {}


FITTED_TO_DATA = tuple(FIRST[kind] for kind in ("mlp", "rvs_r", "rvs_g", "rvs", "bc", "rcdtp", "rwdtp"))
OF_RETURN = tuple(f"rollout method={kind}" for kind in KINDS if kind not in ("bc", "rwdtp", "rvs_g"))

# The config. A case: the key, its new value, and the jobs that see it first, each told as in `Job.fits`; the report,
# which shows the config, sees all. Where jobs come and go with the value, the rules alone are compared.

CONFIG_CASES: list[tuple[str, Any, tuple[str, ...]]] = [
    ("d4rl_dir", "elsewhere", ()),
    ("mirrors", ["https://example.org"], ()),
    # Of one training seed no improvement is drawn.
    ("reference", "rvs", ()),
    ("device", "cuda", ()),
    ("split.seed", 1, ("make_transitions",)),
    ("split.validation", 0.2, ("make_transitions",)),
    ("split.test", 0.2, ("make_transitions",)),
    *((f"labels.{key}", value, ("label_teacher",)) for key, value in {
        "recorded": 10, "perturbed": 10, "commanded": 10, "noise": 0.5}.items()),
    ("rollout.seed", 1, ("rollout",)),
    ("rollout.fractions", [0.3, 0.5, 1.0], ("plot_reward_to_go", *OF_RETURN)),
    ("rollout.fractions", [0.3, 1.1], ("plot_reward_to_go", "label_teacher", *OF_RETURN)),
    *((f"rollout.{purpose}_episodes", 9, tuple(
        f"rollout method={kind}" for kind in KINDS if kind != "teacher"
    )) for purpose in ("selection", "report")),
    ("rollout.checkpoint_episodes", 9, ("rollout_checkpoints",)),
    ("rollout.processes", 2, ()),
    # The target `films` makes them anyway.
    ("films", ["best.median"], ()),
    ("datasets.embedded.recipe", "medium", (f"collect dataset={EMBEDDED}",)),
    ("datasets.embedded.transitions", 7000, (f"collect dataset={EMBEDDED}",)),
    ("datasets.embedded.seed", 1, (f"collect dataset={EMBEDDED}",)),
    ("datasets.file.task", "walker2d", (f"link dataset={MINE}",)),
    ("datasets.file.path", "tiny.hdf5", (f"link dataset={MINE}",)),
    ("datasets.file.ends", "flags", (f"link dataset={MINE}",)),
    ("datasets.file.scale_actions", 2.0, (f"link dataset={MINE}",)),
    *((f"teachers.one.{key}", value, ("train_teacher teacher=one",)) for key, value in {
        "preset": "high", "rows": 500, "time_limit": 5, "threads": 3, "chain": False,
        "hyperparameters": {"GBM": {}}}.items()),
    # Its dataset's task has no goal.
    ("teachers.one.goal_draws", 2, ()),
]  # fmt: skip
FITTED, FORESTS = ("mlp", "rvs", "bc", "student"), ("rcdtp", "rwdtp", "catboost_student")
# The same for keys of methods, changed in all kinds that have them; the rule is that of the method.
METHOD_CASES: list[tuple[str, Any, tuple[str, ...], str]] = [
    *((key, value, kinds, "{first} method={kind}") for key, value, kinds in (
        ("network.width", 8, FITTED),
        ("network.layers", 1, FITTED),
        ("updates", 10, FITTED),
        ("batch_size", 10, FITTED),
        ("learning_rate", 0.5, (*FITTED, *FORESTS)),
        ("precision", "tf32", (*FITTED, "rvs_r", "rvs_g")),
        ("rows", 500, ("mlp", "rvs", "bc", "rcdtp", "rwdtp")),
        ("best", 0.5, ("bc",)),
        ("trees", 5, FORESTS),
        ("depth", 2, FORESTS),
        ("return_power", 1, ("rwdtp",)),
        ("time_limit", 5, ("autogluon_student",)),
        ("hyperparameters", {"GBM": {}}, ("autogluon_student",)),
    )),
    *((f"{purpose}_episodes", 9, tuple(KINDS), "rollout method={kind}")
        for purpose in ("selection", "report")),
    # Which of its teacher's datasets a method is for does not shape it.
    ("datasets", HERE, ("teacher", "autogluon_student", "student", "catboost_student"), ""),
]  # fmt: skip
# What makes new jobs: the changes, the jobs of `CONFIG` that such new ones are like, and which rules run besides.
UNTAUGHT = ("rvs_r", "rvs", "bc", "rcdtp", "rwdtp")
TAUGHT = ("teacher", "autogluon_student", "student", "catboost_student")
NEW_JOBS: list[tuple[dict[str, Any], tuple[str, ...], set[str]]] = [
    ({"seeds": [0, 1]}, ("train_teacher", *FITTED_TO_DATA), {"plot_improvement"}),
    ({"simulators": ["d4rl", "mujoco-py"]}, ("rollout",), {"make_card", "plot_card", "merge_cards"}),
    ({"datasets.embedded.name": "another-embedded"}, ("collect",), set()),
    ({"datasets.embedded.task": "walker2d"}, ("collect",), set()),
    ({"datasets.file.name": "another"}, ("link",), set()),
    ({"teachers.one.name": "three"}, ("train_teacher",), set()),
    ({"teachers.one.datasets": [EMBEDDED, MINE]}, ("train_teacher teacher=one",), set()),
    (
        {f"methods.{kind}.name": f"another-{kind}" for kind in KINDS},
        tuple(f"{FIRST[kind]} method={kind}" for kind in KINDS),
        set(),
    ),
    (
        {
            **{f"methods.{kind}.datasets": [EMBEDDED, MINE, MAZE] for kind in UNTAUGHT},
            "methods.mlp.datasets": [EMBEDDED, D4RL],
        },
        tuple(f"{FIRST[kind]} method={kind}" for kind in UNTAUGHT),
        set(),
    ),
    # Another dataset that it is for, but which is not among those of the config.
    ({"methods.rvs_g.datasets": [MAZE, "antmaze-medium-play-v2"]}, (), set()),
    (
        {f"methods.{kind}.teacher": "two" for kind in TAUGHT},
        tuple(f"{FIRST[kind]} method={kind}" for kind in TAUGHT),
        {"label_teacher"},
    ),
]


@pytest.mark.parametrize(("key", "value", "first"), CONFIG_CASES, ids=[case[0] for case in CONFIG_CASES])
def test_a_key_of_the_config(done: Project, key: str, value: Any, first: tuple[str, ...]) -> None:
    config = put(CONFIG, key, value)
    (done.path / "tiny.hdf5").touch()
    done.write_config(config)
    assert set(done.plan()) == done.made_of("report", *first)


@pytest.mark.parametrize(("key", "value", "kinds", "first"), METHOD_CASES, ids=[case[0] for case in METHOD_CASES])
def test_a_key_of_methods(done: Project, key: str, value: Any, kinds: tuple[str, ...], first: str) -> None:
    config = CONFIG
    for kind in kinds:
        config = put(config, f"methods.{kind}.{key}", value)
    done.write_config(config)
    seen = {first.format(kind=kind, first=FIRST[kind]) for kind in kinds} - {""}
    assert set(done.plan()) == done.made_of("report", *seen)


@pytest.mark.parametrize(("changes", "like", "others"), NEW_JOBS, ids=["-".join(case[0]) for case in NEW_JOBS])
def test_keys_that_make_new_jobs(
    done: Project, changes: dict[str, Any], like: tuple[str, ...], others: set[str]
) -> None:
    config = CONFIG
    for key, value in changes.items():
        config = put(config, key, value)
    for old, new in (("one", "three"), (EMBEDDED, "another-embedded"), (MINE, "another")):
        if new in changes.values():
            # Teachers and methods name it, too.
            config = yaml.safe_load(re.sub(rf"\b{old}\b", new, yaml.safe_dump(config)))
    done.write_config(config)
    rules = {done.jobs[id].rule for id in done.made_of("report", *like)}
    assert {job.rule for job in done.plan().values()} == rules | others


EXPORT = {"methods.teacher.export": True, "methods.autogluon_student.export": False}


def test_export_of_a_method(done: Project) -> None:
    config = CONFIG
    for key, value in EXPORT.items():
        config = put(config, key, value)
    done.write_config(config)
    before = {"fit_teacher", "export_autogluon_student"}
    rules = {done.jobs[id].rule for id in done.made_of("report", *before)}
    assert {job.rule for job in done.plan().values()} == rules - before | {"export_teacher", "fit_autogluon_student"}


NETWORKS = ("mlp", "rvs_r", "rvs_g", "bc", "student")
CHECKPOINTS = {f"methods.{kind}.checkpoints": 3 for kind in (*NETWORKS, "rvs")}


def test_checkpoints_of_a_method(done: Project) -> None:
    """Those that were not kept take another fit."""
    config = CONFIG
    for key, value in CHECKPOINTS.items():
        config = put(config, key, value)
    done.write_config(config)
    before = {FIRST[kind] for kind in (*NETWORKS, "rvs")}
    rules = {done.jobs[id].rule for id in done.made_of("report", *before)} - before
    others = {"rollout_checkpoints", "plot_checkpoints"}
    assert {job.rule for job in done.plan().values()} == rules | others | {
        f"fit_{kind}_with_3_checkpoints" for kind in (*NETWORKS, "rvs")
    }


def test_no_checkpoints_any_more(done: Project) -> None:
    """The policies are the same."""
    done.write_config(put(CONFIG, "methods.rvs.checkpoints", 0))
    assert set(done.plan()) == done.made_of("report")


def test_a_tracker_makes_nothing_stale(done: Project) -> None:
    done.write_config({**CONFIG, "tracker": "tensorboard"})
    assert set(done.plan()) == {"results/tracker/run.json", "all"}


def keys_of(node: dict[str, Any], path: str) -> Iterator[str]:
    """The keys below `path` of the config, by the schema."""
    node = schema()["$defs"].get(node.get("$ref", "").removeprefix("#/$defs/"), node)
    if isinstance(node.get("items"), dict) and "$ref" in node["items"]:
        yield from keys_of(node["items"], f"{path}.*")
    elif "properties" in node:
        for key, child in node["properties"].items():
            yield from keys_of(child if isinstance(child, dict) else {}, f"{path}.{key}")
    else:
        yield path


def test_every_key_of_the_schema_has_a_case() -> None:
    top = schema()["properties"]
    known = {key for name in top.keys() - {"datasets", "methods"} for key in keys_of(top[name], name)}
    known |= {key for kind in KINDS for key in keys_of({"$ref": f"#/$defs/{kind}_method"}, f"methods.{kind}")}
    for provider in ("embedded", "file"):
        known |= set(keys_of({"$ref": f"#/$defs/{provider}_dataset"}, f"datasets.{provider}"))
    # Another kind, or provider, is another entry under the same name: below.
    known = {key for key in known if not key.endswith((".kind", ".provider"))}
    tested = {key for key, *_ in CONFIG_CASES} | {key for changes, *_ in NEW_JOBS for key in changes} | EXPORT.keys()
    tested |= CHECKPOINTS.keys() | {"tracker"}
    tested |= {f"methods.{kind}.{key}" for key, _, kinds, _ in METHOD_CASES for kind in kinds}
    assert {key.replace("teachers.one.", "teachers.*.") for key in tested} == known
    assert {f"{kind}_method" for kind in KINDS} == {name for name in schema()["$defs"] if name.endswith("_method")}


def test_another_kind_of_method_under_the_same_name(done: Project) -> None:
    done.write_config(put(CONFIG, "methods.mlp.kind", "rvs"))
    assert set(done.plan()) == done.made_of("report", "fit_mlp method=mlp")


def test_another_provider_of_a_dataset_under_the_same_name(done: Project) -> None:
    entry = {"name": EMBEDDED, "provider": "file", "task": "hopper", "path": "mine.hdf5"}
    done.write_config({**CONFIG, "datasets": [entry, *CONFIG["datasets"][1:]]})
    rules = {done.jobs[id].rule for id in done.made_of("report", "collect")}
    # Profiles are of several datasets of a provider, which it has now.
    assert {job.rule for job in done.plan().values()} == rules - {"collect"} | {"link", "admit", "plot_profiles"}


def test_a_dataset_more_leaves_the_others_alone(done: Project) -> None:
    more = "antmaze-medium-play-v2"
    config = put(CONFIG, "methods.bc.datasets", [EMBEDDED, MAZE, more])
    done.write_config({**config, "datasets": [*CONFIG["datasets"], more]})
    plan = done.plan()
    assert {"download", "make_transitions", "fit_bc", "rollout", "score_dataset"} <= {job.rule for job in plan.values()}
    assert {job.wildcards["dataset"] for job in plan.values() if "dataset" in job.wildcards} == {more}


@pytest.mark.parametrize("written", ["comments", "keys in another order", "defaults spelled out"])
def test_how_the_config_is_written_is_no_change(done: Project, written: str) -> None:
    if written == "comments":
        text = "# A comment.\n" + yaml.safe_dump(CONFIG, default_flow_style=True)
    elif written == "keys in another order":
        text = yaml.safe_dump(turned(CONFIG), sort_keys=False)
    else:
        mlp = {"updates": 12000, "network": {"layers": 2, "width": 256}, **KINDS["mlp"]}
        methods = [mlp if method["kind"] == "mlp" else method for method in CONFIG["methods"]]
        text = yaml.safe_dump({**CONFIG, "simulators": ["d4rl"], "methods": methods}, sort_keys=False)
    (done.path / "mine.yaml").write_text(text)
    assert done.plan() == {}


def test_a_file_of_ones_own_that_is_moved(done: Project) -> None:
    (done.path / "elsewhere").mkdir()
    moved = (done.path / "mine.hdf5").rename(done.path / "elsewhere/mine.hdf5")
    try:
        done.write_config(put(CONFIG, "datasets.file.path", "elsewhere/mine.hdf5"))
        assert set(done.plan()) == done.made_of("report")
    finally:
        moved.rename(done.path / "mine.hdf5")


def turned(value: Any) -> Any:
    """`value` with the keys of every mapping in reverse."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


# Code. A digest covers what the jobs of a real run loaded, no more and no less; what it covers, and is edited, makes
# its jobs run again.


def told(what: str, text: str) -> set[str]:
    """What a trace (tests/support/trace.py) says was loaded, or read."""
    return set(re.findall(rf"^{what} (\S+)$", text, re.M))


@pytest.fixture(scope="module")
def traced(planner: Planner, tiny_run: Path) -> list[tuple[Job, str]]:
    """The jobs of the tiny run that start a script, each with its trace."""
    jobs = planner.plan(tiny_run, "tiny.yaml", tiny.TARGETS, every=True, code=True).values()
    return [(job, (tiny_run / job.log).read_text()) for job in jobs if job.command]


def sources(job: Job) -> set[str]:
    """The modules and scripts that a job's digest covers, as a trace tells them."""
    return {file.removeprefix("src/d4rl_automl/") for file in job.code if file.endswith(".py")}


# What was let pass stays so: a change of code makes nothing stale there.
WITHOUT_CODE = {"admit"}


def test_digests_cover_what_their_jobs_load(traced: list[tuple[Job, str]]) -> None:
    for job, trace in traced:
        if job.rule in WITHOUT_CODE:
            assert not job.code
            continue
        loaded = told("loaded", trace) - {"__init__.py"}
        assert sources(job) == loaded | {f"scripts/{job.command[0]}.py"}, job.id


BEHAVIOUR = {"train_behaviour", "choose_behaviour", "plot_behaviour"}


def test_every_rule_has_jobs_in_the_run_that_is_traced(
    planner: Planner, done: Project, traced: list[tuple[Job, str]]
) -> None:
    """All but those that train behaviour policies, which takes half an hour: of them, what they load at first."""
    rules = {job.rule for job, _ in traced}
    assert {job.rule for job in done.jobs.values() if job.command} - rules == BEHAVIOUR
    jobs = planner.plan(done.path, "mine.yaml", TARGETS, every=True, code=True).values()
    trace = done.path / "src/sitecustomize.py"
    shutil.copy(ROOT / "tests/support/trace.py", trace)
    try:
        for rule in sorted(BEHAVIOUR):
            job = next(job for job in jobs if job.rule == rule)
            loaded = told("loaded", help_of(done.path, *job.command)) - {"__init__.py"}
            # The training starts a program of its own, which the digest covers too.
            others = {"behaviour/training_worker.py"} if rule == "train_behaviour" else set()
            assert loaded | others | {f"scripts/{job.command[0]}.py"} <= sources(job), rule
            assert rule == "train_behaviour" or loaded | {f"scripts/{job.command[0]}.py"} == sources(job), rule
    finally:
        trace.unlink()


def help_of(project: Path, script: str, *words: str) -> str:
    """What a script loads before it looks at its arguments."""
    command = [sys.executable, str(project / f"scripts/{script}.py"), *words, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr


@pytest.mark.parametrize(
    "file",
    [
        "src/d4rl_automl/core/files.py",
        "src/d4rl_automl/learners/networks.py",
        "src/d4rl_automl/methods/mlp.py",
        "src/d4rl_automl/policies/forest.py",
        "src/d4rl_automl/simulators/robots.py",
        "src/d4rl_automl/figures/returns.py",
        "src/d4rl_automl/plan/run.py",
        "scripts/rollout.py",
        "scripts/plot.py",
    ],
)
def test_an_edit_reruns_the_jobs_whose_digests_cover_it(done: Project, planner: Planner, file: str) -> None:
    done.write_config(CONFIG)
    jobs = planner.plan(done.path, "mine.yaml", TARGETS, every=True, code=True)
    first = {id for id, job in jobs.items() if file in job.code}
    assert bool(first) == ("plan/" not in file)
    with edited(done.path / file, more_code):
        assert set(done.plan()) == done.downstream(first)


def replaced(before: str, after: str) -> Callable[[str], str]:
    return lambda text: text.replace(before, after)


COSMETIC = {
    "a name that others import": ("src/d4rl_automl/__init__.py", more_code),
    "a comment in a module": ("src/d4rl_automl/evaluation/rollout.py", lambda text: f"# A comment.\n{text}"),
    "a docstring": ("src/d4rl_automl/data/transitions.py", lambda text: text.replace('"""', '"""More. ', 1)),
    "the format of a script": ("scripts/rollout.py", replaced(", required=True", ",   required = True")),
    "a comment in a rule": ("workflow/rules/teacher.smk", replaced("    params:", "    # A comment.\n    params:")),
    "a rule's docstring": ("workflow/rules/rollout.smk", replaced('    """', '    """More. ')),
    "memory": ("workflow/rules/figures.smk", replaced("mem_mb=", "disk_mb=1, mem_mb=")),
    "threads": ("workflow/rules/policy.smk", replaced("threads: 1", "threads: 2")),
    "logs": ("workflow/rules/dataset.smk", replaced('paths.log("', 'paths.log("elsewhere/')),
    "benchmark files": ("workflow/rules/policy.smk", replaced('paths.benchmark("', 'paths.benchmark("elsewhere/')),
    "the software environment": ("envs/figures.yaml", replaced("==", "<=")),
    "what a key of the config means": ("src/d4rl_automl/plan/config.py", replaced('."""', '. More."""')),
    "policies that no recipe here uses": (f"{RESOURCES}/behaviour/levels.csv", replaced("SAC", "PPO")),
}


@pytest.mark.parametrize("change", COSMETIC)
def test_what_no_result_depends_on(done: Project, change: str) -> None:
    path, edit = COSMETIC[change]
    done.write_config(CONFIG)
    with edited(done.path / path, edit):
        assert done.plan() == {}


# Other files of the project, how they are edited, and the jobs that see it first.
FILES: dict[str, tuple[str, Callable[[str], str], tuple[str, ...]]] = {
    "a command": ("workflow/rules/teacher.smk", replaced("script evaluate_teacher", "script  evaluate_teacher"),
                  ("evaluate_teacher",)),
    "a caption": ("src/d4rl_automl/report/captions/returns.rst", more_code, ("report",)),
    "the report's template": ("src/d4rl_automl/report/template.html.j2", more_code, ("report",)),
    "the report's style": ("src/d4rl_automl/report/style.css", more_code, ("report",)),
    "the report's script": ("src/d4rl_automl/report/script.js", more_code, ("report",)),
    "the catalogue, a dataset in use": (
        f"{RESOURCES}/catalogue.csv", replaced(hashlib.sha256(b"").hexdigest(), "0" * 64),
        ("download", "link", "report")),
    "the catalogue, where a dataset in use is": (
        f"{RESOURCES}/catalogue.csv", replaced("http://", "https://"), ("report",)),
    "the catalogue, another dataset": (f"{RESOURCES}/catalogue.csv", replaced("237338037", "237338038"), ()),
    "inertias": (f"{RESOURCES}/mujoco210_inertia.json", replaced("{", "{ "),
                 ("collect", "identify_simulator", "rollout", "rollout_checkpoints", "film", "train_behaviour",
                  "choose_behaviour")),
    "published scores": (f"{RESOURCES}/published_scores.csv", more_code, ("plot_heat_table",)),
    "published errors": (f"{RESOURCES}/autogluon_l2.csv", more_code, ("plot_l2",)),
    "a recipe in use": (f"{RESOURCES}/behaviour/recipes.csv",
                        replaced("expert,hopper-medium.npz,0.5", "expert,hopper-medium.npz,0.6"), ("collect",)),
    "another recipe": (f"{RESOURCES}/behaviour/recipes.csv", replaced("walker2d,random", "walker2d,randomly"), ()),
    "the training of behaviour policies": (f"{RESOURCES}/behaviour/training.yaml", replaced("seed: 1", "seed: 2"),
                                           ("train_behaviour task=halfcheetah", "choose_behaviour")),
}  # fmt: skip


@pytest.mark.parametrize("change", FILES)
def test_another_file_of_the_project(done: Project, change: str) -> None:
    path, edit, first = FILES[change]
    done.write_config(CONFIG)
    with edited(done.path / path, edit):
        assert set(done.plan()) == done.made_of(*first)


def test_jobs_read_no_resource_that_has_no_case(traced: list[tuple[Job, str]]) -> None:
    tested = {path for path, *_ in (*FILES.values(), *COSMETIC.values())}
    for job, trace in traced:
        read = {path for path in told("read", trace) if not path.startswith("src/d4rl_automl/report/captions/")}
        # The policies that collect have their SHA-256 among its params.
        assert {path for path in read if not path.endswith(".npz")} <= tested, job.id
        seen = {path for path, _, first in FILES.values() if job.rule in first}
        assert job.rule in {"collect", *WITHOUT_CODE} or read <= seen, job.id


@pytest.mark.parametrize(("policy", "first"), [("hopper-medium.npz", ("collect",)), ("walker2d-medium.npz", ())])
def test_a_behaviour_policy(done: Project, policy: str, first: tuple[str, ...]) -> None:
    path = done.path / RESOURCES / "behaviour" / policy
    before = path.read_bytes()
    done.write_config(CONFIG)
    path.write_bytes(before + b"0")
    try:
        assert set(done.plan()) == done.made_of(*first)
    finally:
        path.write_bytes(before)


# Data, by what is done to a file of the run: the jobs that see it first.

HOUR = 3600 * 10**9


@contextlib.contextmanager
def changed(path: Path, later: int) -> Iterator[None]:
    """Another content for a while, `later` nanoseconds after the old."""
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(b"another")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + later))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def touched(path: Path) -> Iterator[None]:
    """The same content with a later time stamp for a while."""
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + HOUR))
    yield
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def deleted(path: Path) -> Iterator[None]:
    """Without the file or folder for a while."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    yield
    aside.rename(path)


RUN = f"results/{EMBEDDED}"


@pytest.mark.parametrize(
    ("happened", "path", "first"),
    [
        ("a newer file in its place", "mine.hdf5", (f"link dataset={MINE}",)),
        ("an older file in its place", "mine.hdf5", (f"link dataset={MINE}",)),
        ("touched", "mine.hdf5", (f"link dataset={MINE}",)),
        ("a newer file in its place", f"{RUN}/raw.hdf5",
         (f"identify_simulator dataset={EMBEDDED}", f"make_transitions dataset={EMBEDDED}",
          f"make_card dataset={EMBEDDED}")),
        ("touched", f"{RUN}/raw.hdf5", ()),
        ("deleted", f"{RUN}/raw.hdf5", ()),
        ("deleted", f"{RUN}/transitions.parquet", ()),
        ("touched", f"{RUN}/teachers/one-s0/ac0/content", ()),
        ("touched", f"{RUN}/teachers/one-s0/ac0", ()),
        ("deleted", f"{RUN}/teachers/one-s0/ac0/content", ()),
        ("deleted", f"{RUN}/teachers/one-s0/ac0", ()),
        ("a newer file in its place", f"{RUN}/policies/student-s0.json",
         ("rollout method=student", f"compare_students dataset={EMBEDDED}")),
        ("deleted", f"{RUN}/policies/student-s0.onnx", ()),
        ("a newer file in its place", f"{RUN}/rollouts/mlp-s0.d4rl.selection.parquet",
         (f"choose_target dataset={EMBEDDED} method=mlp", f"plot_budget dataset={EMBEDDED}")),
        ("deleted", f"{RUN}/rollouts/mlp-s0.d4rl.selection.parquet", ()),
        ("deleted", f"{RUN}/figures/returns.d4rl.png", (f"plot_returns dataset={EMBEDDED}",)),
        ("deleted", "results/figures/costs.d4rl.gym.d4rl.png", ("plot_costs provider=d4rl suite=gym",)),
        ("deleted", "results/summary.csv", ("score",)),
        ("deleted", f"{RUN}/students.csv", (f"compare_students dataset={EMBEDDED}",)),
        ("deleted", f"{RUN}/card.md", (f"make_card dataset={EMBEDDED}",)),
        ("deleted", "results/report/index.html", ("report",)),
    ],
)  # fmt: skip
def test_a_file_of_the_run(done: Project, happened: str, path: str, first: tuple[str, ...]) -> None:
    change = {
        "a newer file in its place": lambda file: changed(file, HOUR),
        "an older file in its place": lambda file: changed(file, -HOUR),
        "touched": touched,
        "deleted": deleted,
    }[happened]
    done.write_config(CONFIG)
    with change(done.path / path):
        assert set(done.plan()) == done.made_of(*first)


@pytest.mark.parametrize("kept", ["logs", "results/benchmarks"])
def test_logs_and_benchmark_files_may_go(done: Project, kept: str) -> None:
    (done.path / kept).mkdir(exist_ok=True)
    done.write_config(CONFIG)
    with deleted(done.path / kept):
        assert done.plan() == {}
