"""What a run makes: every file, job and option that the rules ask the plan for."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from d4rl_automl import tasks
from d4rl_automl.core import paths
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.evaluation import costs
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.figures import planned
from d4rl_automl.plan.run import MOST_ROWS, Plan, autogluon_minutes, expand, options
from tests.support.data_only import take_simulator

HOPPER, CHEETAH, ANT = "hopper-medium-v2", "halfcheetah-random-embedded-v1", "antmaze-umaze-v2"
SEEDS = (0, 3)
CONFIG: dict[str, Any] = {
    "datasets": [HOPPER, CHEETAH, ANT],
    "seeds": list(SEEDS),
    "simulators": ["d4rl", "gymnasium"],
    "teachers": [
        {"name": "t", "preset": "medium", "rows": 50_000, "datasets": [HOPPER]},
        {"name": "all-rows", "preset": "best", "rows": None, "datasets": [CHEETAH]},
    ],
    "methods": [
        {"name": "m-teacher", "kind": "teacher", "teacher": "t", "report_episodes": 7},
        {"name": "m-exported", "kind": "teacher", "teacher": "t", "export": True},
        {"name": "m-distilled", "kind": "autogluon_student", "teacher": "t"},
        {"name": "m-student", "kind": "student", "teacher": "t"},
        {"name": "m-catboost", "kind": "catboost_student", "teacher": "t"},
        {"name": "m-mlp", "kind": "mlp"},
        {"name": "m-bc", "kind": "bc", "datasets": [CHEETAH]},
        {"name": "m-rwdtp", "kind": "rwdtp", "datasets": [CHEETAH]},
    ],
    "rollout": {"fractions": [0.5, 1.0], "selection_episodes": 4, "report_episodes": 9},
}


def plan_of(**changes: Any) -> Plan:
    return Plan(validated(CONFIG | changes))


@pytest.fixture(scope="module", autouse=True)
def _data_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        take_simulator(monkeypatch, "antmaze-umaze")
        yield


@pytest.fixture(scope="module")
def plan(_data_only: None) -> Plan:
    return plan_of()


def test_expand_fills_in_every_combination_the_last_changing_fastest() -> None:
    assert expand("{a}-{b}-{c}", a=["x", "y"], b=range(2), c="text") == ["x-0-text", "x-1-text", "y-0-text", "y-1-text"]
    assert expand("{a}", a=[]) == []
    assert expand("{a}{b}", a=1, b="{kept}") == ["1{kept}"]


def test_options_reach_a_shell_as_they_are() -> None:
    given = {"labels": "it's $(x) `y`; *", "several_files": ["a b", "c"], "seed": 3, "share": 0.1, "none": []}
    told = options(given)
    assert shlex.split(told) == [
        *("--labels", "it's $(x) `y`; *"),
        *("--several-files", "a b", "c"),
        *("--seed", "3"),
        *("--share", "0.1"),
        "--none",
    ]
    assert "--several-files 'a b' c" in told
    assert options({}) == ""


def test_datasets_are_learned_from_where_their_policies_can_be_played(plan: Plan) -> None:
    assert list(plan.datasets) == [HOPPER, CHEETAH, ANT]
    assert plan.learned == [HOPPER, CHEETAH]
    assert plan.providers == ["d4rl", "embedded"]
    assert plan.provided_by("d4rl") == [HOPPER, ANT]
    assert plan.provided_by("embedded") == [CHEETAH]
    assert plan.provided_by("file") == []
    assert [len(plan.dimensions(dataset)) for dataset in plan.datasets] == [3, 6, 8]
    assert {name for provider in PROVIDERS for name in plan.provided_by(provider)} == set(plan.datasets)


def test_files_of_teachers(plan: Plan) -> None:
    expected = [
        f"results/{HOPPER}/teachers/t-s0/metrics.csv",
        f"results/{HOPPER}/teachers/t-s3/metrics.csv",
        f"results/{CHEETAH}/teachers/all-rows-s0/metrics.csv",
        f"results/{CHEETAH}/teachers/all-rows-s3/metrics.csv",
    ]
    assert plan.of_teachers(paths.TEACHER_METRICS) == expected
    assert plan.of_teachers(paths.TEACHER_METRICS, [CHEETAH]) == expected[2:]
    assert plan.of_teachers(paths.TEACHER_METRICS, [ANT]) == []
    deployed = plan.per_dimension(paths.DEPLOYED, HOPPER, teacher="t", seed=0)
    assert deployed == [f"results/{HOPPER}/teachers/t-s0/deployed/ac{i}" for i in range(3)]


def test_every_method_is_made_in_one_way(plan: Plan) -> None:
    made = {making.rule: own for _, making, points, own in plan.makings() if not points}
    assert len(made) == sum(len(method.makings) for method in METHODS.values())
    assert sorted(name for own in made.values() for name in own) == sorted(plan.methods)
    assert made["fit_teacher"] == ["m-teacher"]
    assert made["export_teacher"] == ["m-exported"]
    assert made["fit_autogluon_student"] == ["m-distilled"]
    assert made["export_autogluon_student"] == []
    assert plan.making("m-teacher").format == "autogluon"
    assert plan.making("m-exported").format == "onnx"
    assert plan.distilled() == ["m-distilled"]


DEPLOYED = [f"results/{HOPPER}/teachers/t-s0/deployed/ac{i}" for i in range(3)]
DISTILLED = [f"results/{HOPPER}/distilled/m-distilled-s0/ac{i}" for i in range(3)]
LABELS = [f"results/{HOPPER}/labels/t-s0.parquet"]


@pytest.mark.parametrize(
    ("method", "taught", "files"),
    [
        ("m-teacher", {"deployed": DEPLOYED}, DEPLOYED),
        ("m-exported", {"deployed": DEPLOYED}, [f"results/{HOPPER}/policies/m-exported-s0.onnx"]),
        ("m-distilled", {"deployed": DISTILLED}, DISTILLED),
        ("m-student", {"labels": LABELS}, [f"results/{HOPPER}/policies/m-student-s0.onnx"]),
        ("m-catboost", {"labels": LABELS}, [f"results/{HOPPER}/policies/m-catboost-s0.cbm"]),
        ("m-mlp", {}, [f"results/{HOPPER}/policies/m-mlp-s0.onnx"]),
        ("m-rwdtp", {}, [f"results/{HOPPER}/policies/m-rwdtp-s0.ubj"]),
    ],
)
def test_what_a_policy_is_fitted_to_and_points_at(
    plan: Plan, method: str, taught: dict[str, list[str]], files: list[str]
) -> None:
    assert plan.taught(HOPPER, method, 0) == taught
    assert plan.policy_files(HOPPER, method, 0) == files


def test_policies_of_a_dataset_are_those_of_its_methods(plan: Plan) -> None:
    found = plan.policies(CHEETAH)
    names = ["m-mlp", "m-bc", "m-rwdtp"]
    assert found["policies"] == [f"results/{CHEETAH}/policies/{name}-s{seed}.json" for name in names for seed in SEEDS]
    endings = [".onnx", ".onnx", ".ubj"]
    assert found["files"] == [
        f"results/{CHEETAH}/policies/{name}-s{seed}{ending}"
        for name, ending in zip(names, endings, strict=True)
        for seed in SEEDS
    ]
    assert plan.policies(ANT) == {"policies": [], "files": []}
    # A teacher and the distilled point at directories, others at one file a seed.
    hopper = plan.policies(HOPPER)
    assert len(hopper["policies"]) == 6 * 2
    assert len(hopper["files"]) == (3 + 3 + 1 + 1 + 1 + 1) * 2


def test_code_that_makes_and_loads_policies(plan: Plan) -> None:
    digests = {method: plan.fitted_by(method) for method in plan.methods}
    assert len(set(digests.values())) == len(digests)
    assert plan.loaded_by(["m-mlp", "m-exported", "m-student"]) == ["d4rl_automl.policies.onnx"]
    assert plan.loaded_by(["m-rwdtp", "m-teacher", "m-catboost"]) == [
        "d4rl_automl.policies.forest",
        "d4rl_automl.policies.autogluon",
    ]


def test_rollouts_are_of_every_method_seed_and_simulator(plan: Plan) -> None:
    names = ["m-mlp", "m-bc", "m-rwdtp"]
    expected = [
        f"results/{CHEETAH}/rollouts/{name}-s{seed}.{simulator}.report.parquet"
        for name in names
        for simulator in ("d4rl", "gymnasium")
        for seed in SEEDS
    ]
    assert sorted(plan.reported(CHEETAH)) == sorted(expected)
    assert plan.reported(CHEETAH, ["gymnasium"]) == [path for path in expected if ".gymnasium." in path]
    assert plan.played(paths.TARGET, [CHEETAH], ["d4rl"]) == [
        f"results/{CHEETAH}/targets/{name}.d4rl.json" for name in names
    ]
    every = plan.played(paths.TARGET)
    assert len(every) == len(set(every)) == (6 + 3) * 2
    assert plan.reported(ANT) == []


def test_episodes_are_the_methods_own_or_the_configs(plan: Plan) -> None:
    assert plan.episodes("m-teacher", "report") == 7
    assert plan.episodes("m-teacher", "selection") == 4
    assert plan.episodes("m-mlp", "report") == 9
    assert plan.episodes("m-mlp", "selection") == 4


def test_only_what_is_conditional_is_commanded(plan: Plan) -> None:
    commanded = {method: plan.commanded(HOPPER, method) for method in plan.methods}
    assert {method for method, fractions in commanded.items() if fractions == ()} == {"m-bc", "m-rwdtp"}
    assert {fractions for fractions in commanded.values() if fractions} == {(0.5, 1.0)}


def test_what_is_left_beside_policies(plan: Plan) -> None:
    assert plan.left("curve", CHEETAH) == [
        f"results/{CHEETAH}/policies/{name}-s{seed}.curve.csv"
        for name in ("m-mlp", "m-bc", "m-rwdtp")
        for seed in SEEDS
    ]
    # Predictors leave none.
    assert [path for path in plan.left("curve", HOPPER) if "-s0." in path] == [
        f"results/{HOPPER}/policies/{name}-s0.curve.csv" for name in ("m-student", "m-catboost", "m-mlp")
    ]
    assert plan.left("importance", HOPPER) == [
        f"results/{HOPPER}/policies/m-catboost-s{seed}.importance.csv" for seed in SEEDS
    ]
    assert plan.importance(HOPPER) == [
        *plan.left("importance", HOPPER),
        *(f"results/{HOPPER}/teachers/t-s{seed}/importance.csv" for seed in SEEDS),
    ]
    assert plan.importance(ANT) == plan.left("curve", ANT) == []


OWN = f"{HOPPER}/policies/{{}}-s3"
TAUGHT = [f"{HOPPER}/teachers/t-s3/ac{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("method", "own", "before"),
    [
        ("m-mlp", [], []),
        # Of a teacher's own policy the training is its own.
        ("m-teacher", TAUGHT, []),
        ("m-exported", TAUGHT, []),
        ("m-distilled", [f"{HOPPER}/distilled/m-distilled-s3/ac{i}" for i in range(3)], TAUGHT),
        ("m-student", [], [*TAUGHT, f"{HOPPER}/labels/t-s3"]),
        ("m-catboost", [], [*TAUGHT, f"{HOPPER}/labels/t-s3"]),
    ],
)
def test_jobs_that_made_a_policy(plan: Plan, method: str, own: list[str], before: list[str]) -> None:
    assert plan.jobs(HOPPER, method, 3) == ([OWN.format(method), *own], before)


def test_costs_are_told_of_every_policy(plan: Plan) -> None:
    words = shlex.split(plan.made(HOPPER))
    starts = [i for i, word in enumerate(words) if word == "--policy"]
    ends = [*starts[1:], len(words)]
    policies = [costs.Policy.of(words[i + 1 : j]) for i, j in zip(starts, ends, strict=True)]
    assert [(policy.method, policy.seed) for policy in policies] == [
        (method.name, seed) for method in plan.config.methods_for(HOPPER) for seed in SEEDS
    ]
    for policy in policies:
        assert (policy.own, policy.before) == plan.jobs(HOPPER, policy.method, policy.seed)


def test_memory_and_minutes(plan: Plan) -> None:
    assert plan.autogluon_memory(HOPPER, "t") == 3000 + 100
    assert plan.autogluon_memory(CHEETAH, "all-rows") == 3000 + MOST_ROWS // 500
    # Predictors are heavy, what else is played is small, an exported teacher too; each process holds its own.
    heavy = {"m-teacher", "m-distilled"}
    for processes in (1, 3):
        found = plan_of(rollout={"processes": processes})
        memory = {method: found.rollout_memory(method) for method in found.methods}
        assert memory == {method: processes * (4000 if method in heavy else 1000) for method in memory}
    assert [autogluon_minutes(limit) for limit in (1, 60, 600, 0.5, 90.0)] == [30, 32, 50, 30, 33]


def test_methods_are_compared_where_one_shares_a_dataset_with_the_reference(plan: Plan) -> None:
    assert plan.config.reference == "m-mlp"
    assert plan.is_compared("d4rl", "gym") and plan.is_compared("embedded", "gym")
    assert not plan.is_compared("file", "gym") and not plan.is_compared("d4rl", "antmaze")
    elsewhere = plan_of(reference="m-student")
    assert elsewhere.is_compared("d4rl", "gym")
    assert not elsewhere.is_compared("embedded", "gym")
    alone = plan_of(teachers=[], methods=[{"name": "m", "kind": "mlp"}])
    assert not alone.is_compared("d4rl", "gym")


# Figures ---------------------------------------------------------------------------------------


def test_figures_of_a_run(plan: Plan) -> None:
    expected = [
        *(f"results/{dataset}/figures/card" for dataset in plan.datasets),
        *(f"results/{dataset}/figures/reward_to_go" for dataset in (HOPPER, CHEETAH)),
        *(
            f"results/{dataset}/figures/{name}"
            for dataset in (HOPPER, CHEETAH)
            for name in (
                *(
                    f"{name}.{simulator}"
                    for name in ("returns", "calibration", "budget")
                    for simulator in ("d4rl", "gymnasium")
                ),
                *("l2", "curves", "importance"),
            )
        ),
        *(f"results/{HOPPER}/figures/actions-t-s{seed}" for seed in SEEDS),
        *(f"results/{CHEETAH}/figures/actions-all-rows-s{seed}" for seed in SEEDS),
        *(
            f"results/figures/{name.format(provider)}.{simulator}"
            for name in ("improvement.{}.gym", "costs.{}.gym")
            for provider in ("d4rl", "embedded")
            for simulator in ("d4rl", "gymnasium")
        ),
        # Of one dataset there is no profile, and its line of scores stands in a table beside published ones alone.
        *(f"results/figures/heat_table.d4rl.{simulator}" for simulator in ("d4rl", "gymnasium")),
    ]
    found = planned(plan)
    assert sorted(found) == sorted(f"{path}.png" for path in expected)
    assert len(found) == len(set(found))
    # Kinds come in the order of the report.
    kinds = [next(name for name in FIGURES if f"/{name}" in path) for path in found]
    assert kinds == sorted(kinds, key=list(FIGURES).index)


def test_in_a_maze_goals_are_drawn_and_statistics_are_of_its_suite_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SIMULATED", tuple(tasks.TASKS))
    mixed = plan_of(
        datasets=[HOPPER, CHEETAH, ANT],
        simulators=["d4rl"],
        teachers=[],
        methods=[{"name": name, "kind": "mlp"} for name in ("m", "n")],
    )
    found = [path.removeprefix("results/").removesuffix(".png") for path in planned(mixed)]
    of_the_maze = [path.removeprefix(f"{ANT}/figures/") for path in found if path.startswith(f"{ANT}/")]
    assert of_the_maze == ["card", "success.d4rl", "map.d4rl", "l2", "curves"]
    assert not [path for path in found if path.startswith((HOPPER, CHEETAH)) and ("success" in path or "map" in path)]
    groups = ["d4rl.gym", "d4rl.antmaze", "embedded.gym"]
    for name in ("improvement", "costs"):
        own = [path for path in found if path.startswith(f"figures/{name}.")]
        assert sorted(own) == sorted(f"figures/{name}.{group}.d4rl" for group in groups)
    assert not [path for path in found if "profiles" in path]
    assert _overall(seeds=[0]) == {"costs"}
    assert _overall(datasets=[CHEETAH, "hopper-medium-embedded-v1"], seeds=[0]) == {"heat_table", "profiles", "costs"}
    assert mixed.summarised("d4rl", "gym") == [HOPPER] and mixed.summarised("d4rl", "antmaze") == [ANT]
    assert mixed.summarised("embedded", "antmaze") == []
    these = {"dataset": ANT, "simulator": "d4rl"}
    assert FIGURES["success"].inputs(mixed, these)["scores"] == f"results/{ANT}/scores.csv"
    assert FIGURES["map"].inputs(mixed, these)["rollouts"] == mixed.reported(ANT)


def _overall(**changes: Any) -> set[str]:
    """The kinds of figures over all datasets of a run of embedded data."""
    run = {"datasets": [CHEETAH], "simulators": ["d4rl"], "teachers": [], **changes}
    found = planned(plan_of(**run, methods=[{"name": name, "kind": "mlp"} for name in ("m", "n")]))
    return {Path(path).name.split(".")[0] for path in found if path.startswith("results/figures/")}


def test_figures_that_would_be_empty_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = plan_of(
        datasets=[HOPPER],
        teachers=[{"name": "t", "preset": "medium"}],
        methods=[{"name": "m", "kind": "teacher", "teacher": "t"}],
    )
    names = {path.split("/")[-1].split(".")[0] for path in planned(bare)}
    # A teacher leaves no curve, and there is nothing to compare it with.
    assert not names & {"curves", "improvement"}
    assert "importance" in names
    alone = plan_of(datasets=[HOPPER], teachers=[], methods=[{"name": "m", "kind": "mlp"}])
    names = {path.split("/")[-1].split(".")[0] for path in planned(alone)}
    assert not names & {"importance", "improvement"}
    assert not any(name.startswith("actions") for name in names)
    monkeypatch.setattr(tasks, "SIMULATED", ())
    data = plan_of(datasets=[CHEETAH, ANT], teachers=[], methods=[{"name": "m", "kind": "mlp"}])
    expected = [(CHEETAH, "card"), (ANT, "card"), (CHEETAH, "reward_to_go")]
    assert planned(data) == [f"results/{dataset}/figures/{name}.png" for dataset, name in expected]


def test_figures_are_drawn_from_files_of_the_run(plan: Plan) -> None:
    these = {"dataset": HOPPER, "provider": "d4rl", "suite": "gym", "simulator": "gymnasium", "teacher": "t", "seed": 3}
    files = {name: figure.inputs(plan, these) for name, figure in FIGURES.items()}
    assert files["returns"] == {
        "rollouts": plan.reported(HOPPER, ["gymnasium"]),
        "targets": plan.played(paths.TARGET, [HOPPER], ["gymnasium"]),
        "episodes": f"results/{HOPPER}/episodes.parquet",
    }
    assert files["actions"] == {
        "predictions": f"results/{HOPPER}/teachers/t-s3/predictions.parquet",
        "metrics": f"results/{HOPPER}/teachers/t-s3/metrics.csv",
    }
    assert files["l2"]["metrics"] == plan.of_teachers(paths.TEACHER_METRICS, [HOPPER])
    assert files["curves"]["curves"] == plan.left("curve", HOPPER)
    assert files["importance"]["parts"] == plan.importance(HOPPER)
    every = [
        file for inputs in files.values() for own in inputs.values() for file in ([own] if own == str(own) else own)
    ]
    assert every
    assert not [file for file in every if "{" in file or not file.startswith("results/")]


def test_settings_of_figures_come_from_the_config(plan: Plan) -> None:
    these = {"dataset": HOPPER, "provider": "d4rl", "suite": "gym", "simulator": "gymnasium"}
    assert FIGURES["reward_to_go"].settings(plan, these) == {"fractions": (0.5, 1.0)}
    assert FIGURES["l2"].settings(plan, these) == {"dataset": HOPPER, "provider": "d4rl"}
    assert FIGURES["improvement"].settings(plan, these) == {
        "reference": "m-mlp",
        "provider": "d4rl",
        "suite": "gym",
        "simulator": "gymnasium",
        "methods": plan.in_order([HOPPER]),
    }
    assert FIGURES["heat_table"].settings(plan, these) == {"provider": "d4rl", "simulator": "gymnasium"}
    assert FIGURES["returns"].settings(plan, these) == {"methods": plan.in_order([HOPPER])}
    # Those of the config up to the last that the datasets have: what is added after it changes no figure.
    mixed = plan_of(
        datasets=[HOPPER, CHEETAH],
        teachers=[],
        methods=[
            {"name": "a", "kind": "mlp", "datasets": [CHEETAH]},
            {"name": "b", "kind": "mlp"},
            {"name": "c", "kind": "mlp", "datasets": [CHEETAH]},
        ],
    )
    assert mixed.in_order([HOPPER]) == ["a", "b"] and mixed.in_order([HOPPER, CHEETAH]) == ["a", "b", "c"]
