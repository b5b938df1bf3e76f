"""The configuration and its checks."""

import copy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue
from d4rl_automl.plan import config
from d4rl_automl.settings.kinds import NetworkSettings, NetworkSize
from tests.support.configs import SHIPPED, VALID
from tests.support.data_only import take_simulator

ROOT = Path(__file__).parents[2]


MINE = {"name": "mine", "provider": "file", "task": "hopper", "path": "x.hdf5"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_are_valid(path: Path) -> None:
    config.validated(yaml.safe_load(path.read_text()))


def test_defaults_are_filled_at_every_depth() -> None:
    filled = config.validated(
        {
            "datasets": ["hopper-medium-v2"],
            "teachers": [{"name": "t", "preset": "good"}],
            "methods": [{"name": "s", "kind": "student", "teacher": "t", "network": {"width": 64}}],
        }
    )
    assert filled.split == config.Split(seed=0, validation=0.1, test=0.1)
    assert filled.teachers[0].chain is True
    assert filled.teachers[0].time_limit == 600
    student = filled.methods[0]
    assert isinstance(student, NetworkSettings)
    assert student.network == NetworkSize(width=64, layers=2)
    assert filled.rollout.report_episodes == 200
    assert student.updates == 12_000


def test_validation_leaves_its_argument_alone() -> None:
    given = {"datasets": ["hopper-medium-v2"], "methods": [{"name": "mlp", "kind": "mlp"}]}
    before = copy.deepcopy(given)
    config.validated(given)
    assert given == before


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"sead": 1}, ["(top level)", "'sead'", "seeds"]),
        ({"rollout": {"fractions": [0.3, "x"]}}, ["rollout.fractions[1]", '"x"', "number"]),
        ({"rollout": {"episodes": 3}}, ["rollout", "'episodes'", "report_episodes"]),
        ({"split": {"test": 0.9}}, ["split.test", "0.9", "less than 0.5"]),
        ({"split": {"validation": -0.1}}, ["split.validation", "-0.1", "at least 0"]),
        ({"simulators": ["mujoco"]}, ["simulators[0]", '"mujoco"', "d4rl, gymnasium, gymnasium-v5"]),
        ({"seeds": [1, 1]}, ["seeds", "differ"]),
        ({"seeds": []}, ["seeds", "at least 1"]),
        ({"datasets": []}, ["datasets", "at least 1"]),
        ({"methods": [{"name": "s", "kind": "stoodent"}]}, ["methods[0].kind", '"stoodent"', "student"]),
        ({"methods": [{"name": "S!", "kind": "mlp"}]}, ["methods[0].name", '"S!"']),
        (
            {"methods": [{"name": "a", "kind": "student", "teacher": "t", "depth": 3}]},
            ["methods[0]", "'depth'", "network"],
        ),
        ({"methods": [{"name": "a", "kind": "student"}]}, ["methods[0]", "'teacher'", "missing"]),
        ({"methods": [{"name": "m", "kind": "mlp"}, {"name": "m", "kind": "mlp"}]}, ["methods", "'m'", "2 times"]),
        ({"methods": [{"name": "r", "kind": "rvs_r", "updates": 9}]}, ["methods[0]", "'updates'", "name, kind"]),
        ({"methods": [{"name": "rvs-r-small", "kind": "rvs"}]}, ["methods[0].name", "'rvs-r-small'", "kind rvs_r"]),
        ({"methods": [{"name": "rvs_r", "kind": "mlp"}]}, ["methods[0].name", "'rvs_r'", "kind is mlp"]),
        ({"methods": [{"name": "b", "kind": "bc", "best": 1.5}]}, ["methods[0].best", "1.5", "1"]),
        ({"seeds": [1.0]}, ["seeds[0]", "1.0", "integer"]),
        ({"rollout": {"fractions": [float("nan")]}}, ["rollout.fractions[0]", "NaN", "number"]),
        (
            {"teachers": [{"name": "t", "preset": "medium", "hyperparameters": {"GMB": {}}}]},
            ["teachers[0].hyperparameters", '"GMB"', "GBM"],
        ),
        (
            {"teachers": [{"name": "t", "preset": "medium", "datasets": ["hopper-x"]}]},
            ["teachers[0].datasets", "'hopper-x'"],
        ),
        (
            {"teachers": [{"name": "t", "preset": "medium", "datasets": ["hopper-random-v2"]}]},
            ["datasets", "'hopper-medium-v2'", "no method"],
        ),
        (
            {"datasets": [{"name": "mine", "provider": "flie", "task": "hopper"}]},
            ["datasets[0].provider", '"flie"', "file"],
        ),
        (
            {"datasets": [{"name": "mine", "provider": "file", "task": "ant", "path": "x"}]},
            ["datasets[0].task", '"ant"', "hopper"],
        ),
        ({"datasets": [{"name": "mine", "provider": "file", "task": "hopper"}]}, ["datasets[0]", "'path'"]),
        ({"datasets": [{"name": "Mine!", "provider": "file"}]}, ["datasets[0].name", '"Mine!"', "small letters"]),
        ({"datasets": ["hopper-x"]}, ["datasets[0]", "'hopper-x'", "hopper-medium-v2"]),
        ({"methods": ["mlp"]}, ["methods[0]", '"mlp"', "object"]),
        ({"mirrors": ["ftp://host/files"]}, ["mirrors[0]", '"ftp://host/files"', "https?://"]),
        ({"mirrors": "https://host"}, ["mirrors", '"https://host"', "array"]),
        ({"d4rl_dir": ""}, ["d4rl_dir", "not empty"]),
        ({"d4rl_dir": " "}, ["d4rl_dir", "' '", "not empty"]),
        ({"d4rl_dir": "~no-body/x"}, ["d4rl_dir", "'~no-body/x'", "user 'no-body'", "in full"]),
        ({"datasets": [MINE | {"path": ""}]}, ["datasets[0].path", '""', "not empty"]),
        (
            {"datasets": [MINE | {"path": "~no-body/x"}]},
            ["datasets[0].path", "'~no-body/x'", "user 'no-body'", "in full"],
        ),
        ({"datasets": [MINE | {"path": None}]}, ["datasets[0].path", "null", "quote it"]),
        ({"datasets": [MINE | {"name": date(2024, 10, 1)}]}, ["datasets[0].name", '"2024-10-01"', "date", "quote it"]),
        ({"datasets": [MINE | {"name": False}]}, ["datasets[0].name", "false", "yes, no, on and off", "quote it"]),
        ({"methods": [{"name": 12, "kind": "mlp"}]}, ["methods[0].name", "12", "quote it"]),
        (
            {"datasets": ["hopper-medium-v2", "antmaze-umaze-v2"], "simulators": ["d4rl", "gymnasium"]},
            ["simulators: antmaze-umaze-v2", "not played in the simulator 'gymnasium'", "are d4rl, mujoco-py"],
        ),
        (
            {
                "datasets": [
                    {
                        "name": "ant-embedded",
                        "provider": "embedded",
                        "task": "antmaze-huge",
                        "recipe": "medium",
                        "transitions": 5000,
                    }
                ]
            },
            ["datasets[0].task", '"antmaze-huge"', "hopper", "antmaze-umaze"],
        ),
    ],
)
def test_errors_name_path_found_and_allowed(change: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InputError) as error:
        config.validated(VALID | change)
    for part in parts:
        assert part in str(error.value), str(error.value)


@pytest.mark.parametrize("home", ["", "/somewhere/of/mine"])
def test_home_is_a_folder_or_is_refused(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    for change in ({"datasets": [MINE | {"path": "~/x.hdf5"}]}, {"datasets": [MINE], "d4rl_dir": "~"}):
        if home:
            made = config.validated(VALID | change)
            assert made.datasets[0].path in ("/somewhere/of/mine/x.hdf5", "x.hdf5")
            assert made.d4rl_dir in ("~", catalogue.D4RL_DIR)
        else:
            with pytest.raises(InputError, match=r"(datasets\[0\].path|d4rl_dir): found '~.*HOME is empty.*in full"):
                config.validated(VALID | change)
    # The default is nobody's word: who needs it finds out.
    config.validated(VALID)


def test_numbers_that_yaml_takes_for_text_are_numbers_in_autogluons_settings_too() -> None:
    given = yaml.safe_load("{GBM: [{learning_rate: 1e-3, extra_trees: true, x: {y: [1E2, text]}}], XGB: {a: 0.5}}")
    assert given["GBM"][0]["learning_rate"] == "1e-3"
    teacher = {"name": "t", "preset": "medium", "hyperparameters": given}
    assert config.validated(VALID | {"teachers": [teacher]}).teachers[0].hyperparameters == {
        "GBM": [{"learning_rate": 0.001, "extra_trees": True, "x": {"y": [100.0, "text"]}}],
        "XGB": {"a": 0.5},
    }


def test_an_entry_that_is_wrong_is_told_once() -> None:
    with pytest.raises(InputError) as error:
        config.validated(VALID | {"seeds": [1.0], "methods": [{"name": "m", "kind": "mlp", "rows": 3}]})
    assert str(error.value) == (
        "config: seeds[0]: found 1.0; allowed: integer; methods[0].rows: found 3; allowed: at least 100"
    )


def test_the_reference_is_named_or_the_control() -> None:
    assert config.validated(VALID).reference == "s"
    both = VALID | {"methods": [*VALID["methods"], {"name": "control", "kind": "mlp"}]}
    assert config.validated(both).reference == "control"
    assert config.validated(both | {"reference": "s"}).reference == "s"
    with pytest.raises(InputError, match="reference: found 'nobody'; methods of this config: s, control"):
        config.validated(both | {"reference": "nobody"})


def test_methods_follow_their_teachers_datasets() -> None:
    validated = config.validated(
        {
            "datasets": ["hopper-medium-v2", "hopper-random-v2"],
            "teachers": [{"name": "t", "preset": "best", "datasets": ["hopper-random-v2"]}],
            "methods": [{"name": "s", "kind": "student", "teacher": "t"}, {"name": "mlp", "kind": "mlp"}],
        }
    )
    assert [m.name for m in validated.methods_for("hopper-medium-v2")] == ["mlp"]
    assert [m.name for m in validated.methods_for("hopper-random-v2")] == ["s", "mlp"]


@pytest.mark.parametrize("kind", ["teacher", "autogluon_student", "student", "catboost_student"])
def test_a_taught_method_may_be_made_for_fewer_datasets_than_its_teacher(kind: str) -> None:
    given = VALID | {"datasets": ["hopper-medium-v2", "hopper-random-v2"]}
    taught = {"name": "s", "kind": kind, "teacher": "t", "datasets": ["hopper-random-v2"]}
    given |= {"teachers": [{"name": "t", "preset": "medium"}], "methods": [{"name": "mlp", "kind": "mlp"}, taught]}
    validated = config.validated(given)
    assert [m.name for m in validated.methods_for("hopper-medium-v2")] == ["mlp"]
    assert [m.name for m in validated.methods_for("hopper-random-v2")] == ["mlp", "s"]


def test_a_dataset_without_simulator_gets_no_teacher_and_no_method(monkeypatch: pytest.MonkeyPatch) -> None:
    take_simulator(monkeypatch, "antmaze-umaze")
    mine = {"name": "mine", "provider": "file", "task": "antmaze-umaze", "path": "x"}
    given = {
        "datasets": ["antmaze-umaze-v2", "hopper-medium-v2", mine],
        "teachers": [{"name": "t", "preset": "medium"}],
        "methods": [{"name": "s", "kind": "student", "teacher": "t"}, {"name": "mlp", "kind": "mlp"}],
    }
    validated = config.validated(given)
    for name in ("antmaze-umaze-v2", "mine"):
        assert validated.teachers_for(name) == validated.methods_for(name) == []
    assert [m.name for m in validated.methods_for("hopper-medium-v2")] == ["s", "mlp"]
    for key, entry in (("teachers", {"name": "t", "preset": "medium"}), ("methods", {"name": "m", "kind": "mlp"})):
        with pytest.raises(InputError) as error:
            config.validated(given | {key: [entry | {"datasets": ["antmaze-umaze-v2"]}]})
        for part in (f"{key}[0].datasets", "'antmaze-umaze-v2'", "no simulator", "snakemake transitions"):
            assert part in str(error.value)


def test_data_alone_need_no_method_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    take_simulator(monkeypatch, "antmaze-umaze")
    validated = config.validated(VALID | {"datasets": ["antmaze-umaze-v2"]})
    assert validated.methods_for("antmaze-umaze-v2") == []


NOTHING_HELD_OUT = {"split": {"validation": 0, "test": 0}, "teachers": []}
NO_NEED = [{"name": kind.replace("_", "-"), "kind": kind} for kind in ("rvs", "rvs_r", "bc", "rcdtp", "rwdtp")]


def test_what_needs_no_held_out_episodes_is_made_without() -> None:
    validated = config.validated(VALID | NOTHING_HELD_OUT | {"methods": NO_NEED})
    assert (validated.split.validation, validated.split.test) == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": [*NO_NEED, {"name": "m", "kind": "mlp"}]}, "split.validation: found 0.* needed by method m;"),
        (
            {"split": {"validation": 0.1, "test": 0}, "teachers": [{"name": "t", "preset": "medium"}]},
            "split.test: found 0.* needed by teacher t, method s;",
        ),
        ({"teachers": [{"name": "t", "preset": "medium"}], "methods": NO_NEED}, "needed by teacher t;"),
    ],
)
def test_what_needs_held_out_episodes_is_refused_without(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.validated(VALID | NOTHING_HELD_OUT | change)


def test_held_out_episodes_are_needed_by_what_is_made_alone() -> None:
    """A method of datasets that this run does not have asks for nothing."""
    elsewhere = {"name": "m", "kind": "mlp", "datasets": ["hopper-random-v2"]}
    config.validated(VALID | NOTHING_HELD_OUT | {"methods": [*NO_NEED, elsewhere]})


def test_rows_in_no_order_are_for_methods_that_need_no_episodes() -> None:
    mine = {"name": "mine", "provider": "file", "task": "hopper", "path": "x.hdf5", "ends": "none"}
    cloning, best = {"name": "bc", "kind": "bc"}, {"name": "best", "kind": "bc", "best": 0.5}
    teacher = {"name": "t", "preset": "medium"}
    made = config.validated({"datasets": [mine], "methods": [cloning]})
    assert [method.name for method in made.methods_for("mine")] == ["bc"]
    for methods, teachers, wrong in (
        ([cloning, best], [], "methods[1]: 'best'"),
        ([{"name": "m", "kind": "mlp"}], [], "methods[0]: 'm'"),
        ([cloning], [teacher], "teachers[0]: 't'"),
    ):
        given = {"datasets": [mine, "hopper-medium-v2"], "methods": methods, "teachers": teachers}
        with pytest.raises(InputError, match="are in no order") as error:
            config.validated(given)
        assert wrong in str(error.value)
        elsewhere = {"datasets": ["hopper-medium-v2"]}
        given |= {"methods": [cloning, *({**m, **elsewhere} for m in methods if m is not cloning)]}
        config.validated(given | {"teachers": [{**t, **elsewhere} for t in teachers]})
    with pytest.raises(InputError, match=r"datasets\[0\]\.ends.*none"):
        config.validated({"datasets": [{**mine, "ends": "no"}], "methods": [cloning]})
    with pytest.raises(InputError, match=r"datasets\[0\]\.scale_actions"):
        config.validated({"datasets": [{**mine, "scale_actions": 0}], "methods": [cloning]})
