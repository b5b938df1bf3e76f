"""How the time of a fit is shared, and what is told where it did not suffice."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl.teachers import training, turns
from d4rl_automl.teachers.settings import TeacherSettings
from d4rl_automl.teachers.turns import Turn

NO_FAILURE = pd.DataFrame()


def shares(hyperparameters: dict[str, list[dict[str, Any]]], bagged: bool = False) -> list[tuple[str, float]]:
    """Family and share of every model, in AutoGluon's order of fitting."""
    found = []
    for name, entries in turns.shared(hyperparameters, bagged).items():
        for entry in entries:
            key = entry.get("ag_args_ensemble", {}) if bagged else entry
            found.append((-entry["ag_args"]["priority"], name, key.get(turns.SHARE, 1.0)))
    return [(name, share) for _, name, share in sorted(found, key=lambda one: one[0])]


@given(st.lists(st.sampled_from(["GBM", "CAT", "XGB", "NN_TORCH", "TABM"]), min_size=1, max_size=12), st.booleans())
def test_every_family_gets_its_part_even_where_all_take_all_they_may(names: list[str], bagged: bool) -> None:
    given_: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for place, name in enumerate(names):
        given_[name].append({"ag_args": {"priority": -place}})
    left, got = 1.0, dict.fromkeys(names, 0.0)
    for name, share in shares(given_, bagged):
        got[name] = got[name] or left * share
        left *= 1 - share
    last = max(names.index(name) for name in names)
    assert list(got.values()) == pytest.approx([1 / (last + 1)] * len(got))
    assert left == 0


def test_the_medium_preset_comes_to_its_networks() -> None:
    hyperparameters = training.with_seed(training.preset_hyperparameters("medium"), 0)
    assert list(hyperparameters) == ["NN_TORCH", "GBM", "CAT", "XGB"]
    made = turns.shared(hyperparameters, bagged=False)
    # LightGBM twice, CatBoost, XGBoost; the network may take all that they leave, and so may what comes after it.
    assert [entry.get(turns.SHARE) for entry in made["GBM"]] == [1 / 5, 1 / 4, None]
    assert made["CAT"][0][turns.SHARE] == 1 / 3 and made["XGB"][0][turns.SHARE] == 1 / 2
    assert turns.SHARE not in made["NN_TORCH"][0]
    assert not any(turns.SHARE in entry for entries in hyperparameters.values() for entry in entries)


def test_a_share_of_the_user_is_kept() -> None:
    made = turns.shared({"GBM": [{turns.SHARE: 0.9}], "XGB": [{}]}, bagged=False)
    assert made == {"GBM": [{turns.SHARE: 0.9}], "XGB": [{}]}


def test_a_family_without_a_model_is_told_with_the_cause() -> None:
    failures = pd.DataFrame(
        [
            {"model": "LightGBM", "exc_type": "TimeLimitExceeded", "exc_str": ""},
            {"model": "XGBoost", "exc_type": "ValueError", "exc_str": "what it says"},
        ]
    )
    taken = [
        Turn("LightGBMXT", "GBM", 9, 3, True),
        Turn("LightGBM", "GBM", 6, 1, False),
        Turn("XGBoost", "XGB", 5, 1, False),
        Turn("CatBoost", "CAT", 0, 0, False),
        Turn("NeuralNetTorch", "NN_TORCH", -1, 0, False),
    ]
    families = ["GBM", "XGB", "CAT", "NN_TORCH", "TABM"]
    assert turns.doubts(taken, families, failures, budget="10 s on 1 thread") == [
        "AutoGluon fitted no model of TABM with 10 s on 1 thread: AutoGluon left it out, see its log",
        "AutoGluon fitted no model of XGB with 10 s on 1 thread: failed (ValueError: what it says)",
        "AutoGluon fitted no model of CAT and NN_TORCH with 10 s on 1 thread: no time was left",
    ]
    board = turns.tried(pd.DataFrame({"model": ["LightGBMXT", "WeightedEnsemble_L2"]}), taken, failures)
    told = board.set_index("model")
    assert list(told.status[["LightGBMXT", "LightGBM", "CatBoost"]]) == [
        "fitted",
        "it would have taken too long",
        "no time was left",
    ]
    assert list(told.family[["LightGBMXT", "XGBoost"]]) == ["GBM", "XGB"]
    assert turns.doubts(taken[:1], ["GBM"], NO_FAILURE, budget="") == []


def test_who_broke_the_limit_is_told() -> None:
    taken = [Turn("A", "GBM", 100, 40, True), Turn("B", "RF", 60, 75, True), Turn("C", "XGB", -15, 1, False)]
    assert turns.over(taken, seconds=109, limit=100, refit=0) == []
    assert turns.over(taken, seconds=116, limit=100, refit=0) == [
        "the fit took 116 s of 100 s: B took 75 s where 60 s were left to it"
    ]
    assert turns.over(taken, seconds=140, limit=100, refit=24) == [
        "the fit took 140 s of 100 s: to fit the models anew to all rows took 24 s"
    ]


def test_fewer_threads_have_as_much_more_time() -> None:
    settings = TeacherSettings(name="t", preset="medium", time_limit=600, threads=4)
    assert settings.budget == 2400
    assert [settings.seconds(threads) for threads in (1, 2, 4, 8)] == [2400, 1200, 600, 600]
    assert settings.seconds(2, 120) == 240
