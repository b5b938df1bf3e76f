"""The figures over several datasets, and the table of squared errors."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import score_tables, statistics
from d4rl_automl.evaluation.costs import COLUMNS
from d4rl_automl.figures import costs, heat_table, improvement, l2, profiles, style
from d4rl_automl.figures.table import FIGURES, OF_ALL
from tests.support.overlaps import overlaps

METHODS = ["mlp", "student", "rwdtp"]


def drawn(prefix: Path, *titles: str) -> pd.DataFrame:
    """The CSV of a figure whose PNG and SVG are sound; `titles` must stand in the SVG."""
    with Image.open(f"{prefix}.png") as image:
        image.load()
        facts = json.loads(image.info["d4rl_automl"])
    assert FIGURES[facts["kind"]].job.startswith(OF_ALL) == ("dataset" not in facts)
    root = ElementTree.parse(f"{prefix}.svg").getroot()
    text = " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for title in titles:
        assert title in text
    return pd.read_csv(f"{prefix}.csv")


def scored(folder: Path, datasets: list[str], provider: str, seeds: int, mazes: tuple[str, ...] = ()) -> Path:
    """The scores of some datasets, and with them the comparisons; those of `mazes` are of another suite."""
    generator = np.random.default_rng(len(datasets))
    rows = [
        (dataset, provider, suite, method, seed, "d4rl", rule, 40 + 20 * index + generator.normal(0, 3))
        for rule in score_tables.TARGET_RULES
        for dataset, suite in (*((name, "gym") for name in datasets), *((name, "antmaze") for name in mazes))
        for index, method in enumerate(METHODS)
        for seed in range(seeds)
    ]
    path = folder / "scores.csv"
    table = pd.DataFrame(rows, columns=score_tables.SCORE_COLUMNS)
    table.to_csv(path, index=False)
    statistics.compare(table).to_csv(folder / "comparisons.csv", index=False)
    return path


def test_the_heat_table_shows_published_scores_on_d4rls_data_alone(tmp_path: Path) -> None:
    names = ["halfcheetah-medium-v2", "hopper-random-v2"]
    heat_table.plot(scored(tmp_path, names, "d4rl", 2), "d4rl", "d4rl", tmp_path / "real")
    table = drawn(tmp_path / "real", "published: CORL README@eeeeef2, 4 seeds, final scores", "TD3+BC", "student")
    own = table[table["source"] == "this run"].set_index(["dataset", "method"])
    values = pd.read_csv(tmp_path / "scores.csv").query("target == 'selected' and method == 'mlp'")
    values = values.loc[values["dataset"] == names[0], "normalised"].to_numpy()
    assert own.loc[(names[0], "mlp"), "score"] == pytest.approx(values.mean())
    assert own.loc[(names[0], "mlp"), "spread"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    others = table[table["source"] != "this run"].set_index(["dataset", "method"])
    assert tuple(others.loc[(names[0], "BC"), ["score", "spread", "convention"]]) == (42.40, 0.19, "final")
    assert set(others.index.get_level_values("dataset")) == {names[0]}  # CORL has no random data
    for provider in ("embedded", "file"):
        heat_table.plot(scored(tmp_path, names, provider, 1), provider, "d4rl", tmp_path / provider)
        assert set(drawn(tmp_path / provider)["source"]) == {"this run"}
    with pytest.raises(InputError, match="no score of provider 'd4rl'"):
        heat_table.plot(tmp_path / "scores.csv", "d4rl", "d4rl", tmp_path / "figure")


def test_another_simulator_has_no_published_scores(tmp_path: Path) -> None:
    table = pd.read_csv(scored(tmp_path, ["halfcheetah-medium-v2"], "d4rl", 1))
    assert set(heat_table.table(table, "d4rl", "gymnasium")["source"]) == {"this run"}


@pytest.mark.parametrize("seeds", [1, 3])
def test_profiles_and_improvement(tmp_path: Path, seeds: int) -> None:
    scores = scored(tmp_path, ["a", "b"], "embedded", seeds, mazes=("c",))
    where = {"provider": "embedded", "suite": "gym", "simulator": "d4rl"}
    titles = ["target: selected", "target: fixed", "target: all"] + ["no intervals"] * (seeds == 1)
    profiles.plot(scores, METHODS, **where, prefix=tmp_path / "profiles")
    lines = drawn(tmp_path / "profiles", *titles, *METHODS)
    assert lines["low"].isna().all() == (seeds == 1)
    # 0 is below every score and 100 above: all runs, then none.
    assert list(lines.loc[lines["threshold"] == 0, "share"]) == [1.0] * 9
    assert list(lines.loc[lines["threshold"] == 100, "share"]) == [0.0] * 9
    assert set(lines["datasets"]) == {2}
    improvement.plot(tmp_path / "comparisons.csv", "mlp", METHODS, **where, prefix=tmp_path / "improvement")
    points = drawn(tmp_path / "improvement", *titles, "Probability of scoring above mlp")
    # The methods are further apart than their noise.
    assert list(points["probability"]) == [1.0] * 6
    assert list(points["method"]) == ["student", "rwdtp"] * 3
    assert set(points["datasets"]) == {2}
    with pytest.raises(InputError, match="no method is compared with 'teacher'"):
        improvement.plot(tmp_path / "comparisons.csv", "teacher", METHODS, **where, prefix=tmp_path / "none")
    with pytest.raises(InputError, match="no score of provider 'd4rl' and suite 'gym'"):
        profiles.plot(scores, METHODS, **(where | {"provider": "d4rl"}), prefix=tmp_path / "none")


def test_costs(tmp_path: Path) -> None:
    scores = scored(tmp_path, ["a", "b"], "embedded", 2, mazes=("c",))
    rows = [(d, m, "k", s, 1, 1, 100, 2, 10 * (s + 1), 5, 7) for d in "abc" for m in METHODS for s in (0, 1)]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "costs.csv", index=False)
    where = {"provider": "embedded", "suite": "gym", "simulator": "d4rl", "prefix": tmp_path / "figure"}
    costs.plot(tmp_path / "costs.csv", scores, METHODS, **where)
    table = drawn(tmp_path / "figure", "Score against cost", *METHODS)
    assert set(table["shared"]) == {"a b"}
    assert list(table["with_teacher_core_seconds"]) == [15.0] * 3
    selected = pd.read_csv(scores).query("target == 'selected' and suite == 'gym'")
    expected = statistics.summarise(selected)["iqm"]
    np.testing.assert_allclose(table["iqm"], expected)
    # A method of some datasets alone is compared on these, with all others on the same ones.
    some = pd.read_csv(scores)
    some[(some["method"] != METHODS[0]) | (some["dataset"] == "a")].to_csv(scores, index=False)
    costs.plot(tmp_path / "costs.csv", scores, METHODS, **where)
    table = drawn(tmp_path / "figure", "all 2 datasets", "1 of 2 datasets: a", *METHODS)
    assert list(zip(table["shared"], table["method"], strict=True)) == [
        *(("a b", method) for method in METHODS[1:]),
        *(("a", method) for method in METHODS),
    ]
    on_a = selected[(selected["dataset"] == "a") & (selected["method"] == METHODS[1])]["normalised"]
    assert table.set_index(["shared", "method"])["mean"]["a", METHODS[1]] == pytest.approx(on_a.mean())


def test_methods_without_a_dataset_in_common_are_not_compared() -> None:
    apart = pd.DataFrame({"dataset": ["a", "b", "b", "c"], "method": ["m", "m", "n", "o"]})
    assert costs.shared(apart) == [(["b"], ["m", "n"])]
    assert costs.shared(apart[apart["method"] == "o"]) == [(["c"], ["o"])]


@pytest.mark.parametrize("count", [2, 6, 12, 18])
def test_no_text_lies_on_another(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = [f"halfcheetah-medium-replay-{index}-v2" for index in range(count)]
    methods = [*METHODS, *(f"medium-unchained-autogluon-student-{index}" for index in range(count))]
    generator = np.random.default_rng(count)
    rows = [
        (dataset, "embedded", "gym", method, seed, "d4rl", rule, float(generator.normal(60, 15)))
        for rule in score_tables.TARGET_RULES
        for dataset in datasets
        for method in methods
        for seed in range(2)
        if method != methods[-1] or dataset == datasets[0]
    ]
    scores = pd.DataFrame(rows, columns=score_tables.SCORE_COLUMNS)
    scores.to_csv(tmp_path / "scores.csv", index=False)
    pairs = [(one, other) for one in methods for other in methods[:1] if one != other]
    facts = {"provider": "embedded", "suite": "gym", "simulator": "d4rl"}
    where = {**facts, "prefix": tmp_path / "figure"}
    pd.DataFrame(
        [
            facts | {"target": rule, "method": one, "against": other, "datasets": count, "seeds": 2}
            | {"probability": 0.4, "low": 0.2, "high": 0.7, "no_interval": None}
            for rule in score_tables.TARGET_RULES
            for one, other in pairs
        ]
    ).to_csv(tmp_path / "comparisons.csv", index=False)  # fmt: skip
    place = dict(zip(methods, itertools.count(), strict=False))
    spent = [
        (dataset, method, "k", 0, 1, 1, 100, 2, 10 * 1.5 ** (place[method] % 7), 5, 2 + place[method] % 3)
        for dataset in datasets
        for method in methods
    ]
    pd.DataFrame(spent, columns=COLUMNS).to_csv(tmp_path / "costs.csv", index=False)
    shown = []
    monkeypatch.setattr(style, "save", lambda figure, *_: shown.append(figure))

    def wide(*draws: np.ndarray, statistic: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Without a bootstrap, which takes long."""
        return statistic(*draws) - 2, statistic(*draws) + 2

    monkeypatch.setattr(statistics, "interval", wide)
    heat_table.plot(tmp_path / "scores.csv", "embedded", "d4rl", tmp_path / "figure")
    if count in (2, 18):
        profiles.plot(tmp_path / "scores.csv", methods, **where)
        improvement.plot(tmp_path / "comparisons.csv", methods[0], methods, **where)
    costs.plot(tmp_path / "costs.csv", tmp_path / "scores.csv", methods, **where)
    for figure in shown:
        assert overlaps(figure) == [], figure.get_suptitle()


def test_l2(tmp_path: Path) -> None:
    dataset = "halfcheetah-medium-expert-v2"
    paths = []
    for seed in (0, 1):
        paths.append(tmp_path / f"metrics-{seed}.csv")
        facts = {"dataset": dataset, "teacher": "t", "seed": seed, "preset": "good", "chain": True}
        errors = {"mse": [0.1 + seed, 0.3], "acting_mse": [0.1, 0.5]}
        pd.DataFrame(facts | {"dimension": [0, 1]} | errors).to_csv(paths[-1], index=False)
    # The teacher is compared with two teachers, RvS-R was trained on the test rows.
    none = [np.nan] * 2
    errors = {"l2_data": [0.2, 0.2, *none], "l2_data_ac0": [0.1, 0.1, *none], "l2_data_ac1": [0.3, 0.3, *none]}
    compared = pd.DataFrame({"method": ["t", "t", "rvs_r", "rvs_r"], "seed": 0} | errors)
    compared.to_csv(tmp_path / "students.csv", index=False)
    l2.plot(dataset, "d4rl", metrics=paths, students=tmp_path / "students.csv", prefix=tmp_path / "figure")
    table = drawn(tmp_path / "figure", "t (preset good), own earlier actions", "method t", "published: preset best")
    cells = table.set_index(["row", "dimension"])["l2"]
    assert cells["t (preset good), true earlier actions", "ac0"] == pytest.approx(0.6)
    assert cells["t (preset good), true earlier actions", "mean"] == pytest.approx(0.45)
    assert cells["t (preset good), own earlier actions", "ac1"] == pytest.approx(0.5)
    assert list(cells["method t"][["ac0", "ac1", "mean"]]) == pytest.approx([0.1, 0.3, 0.2])
    assert cells["published: preset medium", "ac0"] == 0.203319
    assert not table["row"].str.contains("rvs_r").any()
    for name, provider in ((dataset, "file"), ("halfcheetah-medium-v2", "d4rl")):
        with_none = l2.table(name, provider, [], tmp_path / "students.csv")
        assert set(with_none["source"]) == {"this run"}
    with pytest.raises(InputError, match="expected other alone"):
        l2.table("other", "file", paths, tmp_path / "students.csv")
