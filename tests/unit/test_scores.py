from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rliable.library
import rliable.metrics
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl import tasks
from d4rl_automl.core import doubts, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import intervals, score_tables, standings, statistics, targets
from d4rl_automl.tasks import scores
from tests.support import synthetic

FINITE = st.floats(-1e5, 1e5)
DATASET = "hopper-medium-expert-embedded-v1"


# D4RL's own published numbers: infos.py of Farama-Foundation/D4RL.
@pytest.mark.parametrize(
    ("task", "low", "high"),
    [
        ("halfcheetah", -280.178953, 12135.0),
        ("hopper", -20.272305, 3234.3),
        ("walker2d", 1.629008, 4592.3),
    ],
)
def test_random_is_0_and_expert_is_100(task: str, low: float, high: float) -> None:
    np.testing.assert_allclose(scores.normalise(task, [low, high, (low + high) / 2]), [0, 100, 50], atol=1e-12)
    assert tasks.get(task).target(0.0) == pytest.approx(low / 1000)
    assert tasks.get(task).target(1.0) == pytest.approx(high / 1000)


@given(task=st.sampled_from(sorted(tasks.TASKS)), fraction=st.floats(-2, 3))
def test_a_commanded_fraction_asks_for_its_own_score(task: str, fraction: float) -> None:
    steps = tasks.get(task).episode_steps
    assert scores.normalise(task, tasks.get(task).target(fraction) * steps) == pytest.approx(100 * fraction, abs=1e-9)


def chosen(fraction: float | None, method: str = "medium-student", dataset: str = DATASET) -> dict[str, Any]:
    return {"dataset": dataset, "method": method, "simulator": "d4rl", "fraction": fraction}


def test_a_row_is_what_numpy_says_of_its_episodes() -> None:
    rollouts = pd.concat([synthetic.rollouts(training_seed=seed, episodes=7) for seed in (0, 1)], ignore_index=True)
    rollouts.loc[3, "diverged"] = True
    table = score_tables.score_table(rollouts, [chosen(0.9)], {DATASET: "embedded"})
    assert list(table["target"]) == ["selected", "selected", "fixed", "fixed", "all", "all"]
    assert list(table["seed"]) == [0, 1] * 3
    for row in table.to_dict("records"):
        own = rollouts[rollouts["training_seed"] == row["seed"]]
        fraction = {"selected": 0.9, "fixed": 1.0, "all": None}[row["target"]]
        if fraction is None:
            assert np.isnan(row["fraction"])
        else:
            own = own[own["fraction"] == fraction]
            assert row["fraction"] == fraction
        returns = own["return"].to_numpy()
        assert row["episodes"] == len(returns) == (70 if fraction is None else 7)
        assert row["mean_return"] == pytest.approx(np.sum(returns) / len(returns))
        assert row["std_return"] == pytest.approx(np.std(returns))
        assert row["mean_length"] == pytest.approx(np.mean(own["length"].to_numpy()))
        assert row["terminated"] == pytest.approx(np.count_nonzero(own["terminated"]) / len(own))
        assert row["normalised"] == pytest.approx(100 * (returns.mean() + 20.272305) / (3234.3 + 20.272305))
        assert row["diverged"] == (1 if row["target"] == "all" and row["seed"] == 0 else 0)
        assert (row["provider"], row["kind"]) == ("embedded", "student")


MAZE = "antmaze-medium-play-v2"


def test_in_a_maze_success_has_an_interval_and_time_and_distance() -> None:
    played = pd.concat(
        [synthetic.maze_rollouts(dataset=MAZE, training_seed=seed, skill=skill) for seed, skill in ((0, 0.5), (1, 0.0))]
    )
    robot = synthetic.rollouts("rvs-g", fractions=[None])
    table = score_tables.score_table(
        pd.concat([played, robot], ignore_index=True),
        [chosen(None, "rvs-g", dataset) for dataset in (MAZE, DATASET)],
        {MAZE: "d4rl", DATASET: "embedded"},
    )
    selected = table[table["target"] == "selected"].set_index(["suite", "seed"])
    for seed in (0, 1):
        row, own = selected.loc["antmaze", seed], played[played["training_seed"] == seed]
        n, share = len(own), own["success"].mean()
        # The interval of Wilson (1927): where the share is 1.96 of its standard deviations from what it would be.
        z = scipy.stats.norm.ppf(0.975)
        middle, width = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        expected = [(middle - width) / (1 + z**2 / n), (middle + width) / (1 + z**2 / n)]
        assert [row["success_low"], row["success_high"]] == pytest.approx(expected, abs=1e-9)
        assert row["success_rate"] == share == row["mean_return"] == row["normalised"] / 100
        assert row["mean_distance_left"] == pytest.approx(own["distance_left"].mean())
    reached = played[(played["training_seed"] == 0) & played["success"]]
    assert selected.loc[("antmaze", 0), "median_steps_to_goal"] == np.median(reached["length"])
    assert 0 < len(reached) < 20 and np.isnan(selected.loc[("antmaze", 1), "median_steps_to_goal"])
    assert selected.loc["gym", list(score_tables.SUCCESS_COLUMNS)].isna().all(axis=None)


def test_an_unconditional_method_scores_the_same_by_every_rule() -> None:
    rollouts = synthetic.rollouts("bc", fractions=[None])
    table = score_tables.score_table(rollouts, [chosen(None, "bc")], {DATASET: "embedded"})
    assert list(table["target"]) == ["selected", "fixed", "all"]
    assert table["mean_return"].nunique() == 1
    assert table["mean_return"][0] == pytest.approx(np.mean(rollouts["return"].to_numpy()))


def test_without_fraction_1_there_is_no_fixed_score(caplog: pytest.LogCaptureFixture) -> None:
    rollouts = synthetic.rollouts(fractions=[0.5, 0.8])
    table = score_tables.score_table(rollouts, [chosen(0.8)], {DATASET: "embedded"})
    assert list(table["target"]) == ["selected", "all"]
    assert "fraction 1.0 was not commanded" in caplog.text


def test_what_cannot_be_scored_is_refused() -> None:
    rollouts = synthetic.rollouts()
    with pytest.raises(InputError, match="report episodes only"):
        score_tables.score_table(synthetic.rollouts(purpose="selection"), [chosen(0.9)], {DATASET: "embedded"})
    with pytest.raises(InputError, match="targets: none was chosen"):
        score_tables.score_table(rollouts, [], {DATASET: "embedded"})
    with pytest.raises(InputError, match=r"no episode at the chosen 0\.95"):
        score_tables.score_table(rollouts, [chosen(0.95)], {DATASET: "embedded"})
    with pytest.raises(InputError, match=DATASET):
        score_tables.score_table(rollouts, [chosen(0.9)], {"another": "embedded"})


def grid(values: np.ndarray, provider: str = "embedded", method: str = "mlp", suite: str = "gym") -> pd.DataFrame:
    """Scores of shape (training seeds, datasets) as a table."""
    return pd.DataFrame(
        [
            {
                "provider": provider,
                "suite": suite,
                "method": method,
                "simulator": "d4rl",
                "target": "selected",
                "dataset": f"dataset-{d}",
                "seed": s,
                "normalised": values[s, d],
            }
            for s in range(values.shape[0])
            for d in range(values.shape[1])
        ]
    )


def iqm_interval(values: np.ndarray) -> tuple[float, float]:
    low, high = statistics.interval(values, statistic=lambda draw: np.array([statistics.interquartile_mean(draw)]))
    return low[0], high[0]


def test_the_iqm_is_the_mean_of_the_middle_half() -> None:
    values = np.random.default_rng(0).normal(50, 20, (4, 6))
    (row,) = statistics.summarise(grid(values)).to_dict("records")
    assert row["iqm"] == pytest.approx(np.sort(values.ravel())[6:18].mean())
    assert row["mean"] == pytest.approx(values.sum() / 24)
    assert (row["datasets"], row["seeds"]) == (6, 4)
    assert row["iqm"] == pytest.approx(scipy.stats.trim_mean(values, 0.25, axis=None))
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]
    assert row["no_interval"] is None


def test_the_optimality_gap_by_hand() -> None:
    # Above 100 nothing is missing: (90 + 0 + 60 + 0) / 4.
    values = np.array([[10.0, 120.0], [40.0, 100.0]])
    (row,) = statistics.summarise(grid(values)).to_dict("records")
    assert row["optimality_gap"] == pytest.approx(37.5)
    assert row["optimality_gap_low"] <= 37.5 <= row["optimality_gap_high"]


def test_the_probability_of_improvement_by_hand() -> None:
    ours, theirs = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.0, 9.0], [3.0, 5.0]])
    # First dataset: 1 and 3 against 2 and 3: one win, one tie of four. Second: two ties of four.
    assert statistics.probability_of_improvement(ours, theirs) == pytest.approx((1.5 / 4 + 1 / 4) / 2)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_probability_of_improvement_is_rliables(seeds: int, others: int, datasets: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    ours, theirs = (generator.integers(0, 4, (n, datasets)).astype(float) for n in (seeds, others))
    found = statistics.probability_of_improvement(ours, theirs)
    assert found == pytest.approx(rliable.metrics.probability_of_improvement(ours, theirs))
    assert found + statistics.probability_of_improvement(theirs, ours) == pytest.approx(1)


def named(values: np.ndarray, method: str) -> pd.DataFrame:
    return grid(values).assign(method=method)


def test_every_pair_is_compared_on_the_datasets_of_both() -> None:
    generator = np.random.default_rng(5)
    a, b, c = generator.normal(50, 10, (3, 2)), generator.normal(60, 10, (3, 3)), np.full((3, 2), 1000.0)
    both = pd.concat([named(a, "a"), named(b, "b"), named(c, "c")])
    table = statistics.compare(both).set_index(["method", "against"])
    assert len(table) == 6
    row = table.loc["a", "b"]
    wins = [x > y for d in (0, 1) for x in a[:, d] for y in b[:, d]]
    assert row["probability"] == pytest.approx(np.mean(wins))
    assert (row["datasets"], row["seeds"]) == (2, 3)
    assert 0 <= row["low"] <= row["probability"] <= row["high"] <= 1
    mirrored = table.loc["b", "a"]
    assert [mirrored["low"], mirrored["high"]] == pytest.approx([1 - row["high"], 1 - row["low"]])
    assert table.loc["c", "a"]["probability"] == table.loc["c", "a"]["low"] == 1.0
    pd.testing.assert_frame_equal(statistics.compare(both), statistics.compare(both))
    assert statistics.compare(named(a, "a")).empty


def test_a_profile_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    values = np.array([[10.0, 50.0], [30.0, 90.0]])
    both = pd.concat([named(values, "whole"), named(values[:, :1], "part")])
    table = statistics.profiles(both, np.array([0.0, 10.0, 49.0, 89.9, 90.0]))
    assert list(table["share"]) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert list(table["method"].unique()) == ["whole"]
    assert "part is left out" in caplog.text
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()
    low, high = (table.set_index("threshold")[name] for name in ("low", "high"))
    # Of the second dataset both seeds score above 49, whichever are drawn.
    assert (low[49.0], high[49.0]) == (0.5, 0.5)
    peer, _ = rliable.library.create_performance_profile(
        {"whole": values}, np.array([0.0, 10.0, 49.0, 89.9, 90.0]), reps=2
    )
    np.testing.assert_allclose(table["share"], peer["whole"])


def test_the_interval_agrees_with_scipy_and_is_repeatable() -> None:
    values = np.random.default_rng(1).normal(50, 20, (12, 1))
    low, high = iqm_interval(values)
    # With one dataset the stratified bootstrap is the ordinary one.
    peer = scipy.stats.bootstrap(
        (values[:, 0],),
        lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = peer.high - peer.low
    assert low == pytest.approx(peer.low, abs=0.06 * width)
    assert high == pytest.approx(peer.high, abs=0.06 * width)
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert iqm_interval(values) == (low, high)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_the_bootstrap_draws_within_each_dataset() -> None:
    # Far apart datasets without spread over seeds: drawn within datasets, nothing moves.
    values = np.tile([10.0, 90.0], (5, 1))
    assert iqm_interval(values) == (50.0, 50.0)


@pytest.mark.parametrize("datasets", [1, 12])
def test_one_seed_has_no_interval(datasets: int) -> None:
    (row,) = statistics.summarise(grid(np.arange(datasets, dtype=float)[None] * 8)).to_dict("records")
    assert np.isnan(row["iqm_low"])
    assert np.isnan(row["iqm_high"])
    assert np.isnan(row["optimality_gap_low"])
    assert row["no_interval"] == "one training seed"
    profile = statistics.profiles(grid(np.arange(datasets, dtype=float)[None] * 8), np.array([8.0]))
    assert profile[["low", "high"]].isna().all(axis=None)
    pair = pd.concat([named(np.ones((1, datasets)), "a"), named(np.zeros((1, datasets)), "b")])
    compared = statistics.compare(pair)
    assert list(compared["probability"]) == [1.0, 0.0]
    assert compared[["low", "high"]].isna().all(axis=None)
    assert (compared["no_interval"] == "one training seed").all()


def test_providers_and_suites_are_never_put_together_and_gaps_are_refused() -> None:
    parts = {("embedded", "gym"): 10.0, ("d4rl", "gym"): 90.0, ("d4rl", "antmaze"): 30.0}
    mixed = pd.concat([grid(np.full((2, 1), score), *key[:1], suite=key[1]) for key, score in parts.items()])
    table = statistics.summarise(mixed)
    assert dict(zip(zip(table["provider"], table["suite"], strict=True), table["iqm"], strict=True)) == parts
    both = pd.concat([mixed, mixed.assign(method="other", normalised=mixed["normalised"] + 1)])
    compared = statistics.compare(both)
    assert compared.groupby(["provider", "suite"], sort=False).size().to_dict() == dict.fromkeys(parts, 2)
    assert set(compared["datasets"]) == {1}
    shares = statistics.profiles(mixed, np.array([20.0, 50.0])).set_index(["provider", "suite", "threshold"])["share"]
    assert [shares["d4rl", "antmaze", 20.0], shares["d4rl", "antmaze", 50.0], shares["d4rl", "gym", 50.0]] == [1, 0, 1]
    with pytest.raises(InputError, match="mlp has no score of training seed 1 on dataset-1"):
        statistics.summarise(grid(np.ones((2, 2))).iloc[:-1])


@given(st.lists(st.lists(FINITE, min_size=1, max_size=8), min_size=1, max_size=4))
def test_the_interval_of_the_mean_lies_within_the_values(groups: list[list[float]]) -> None:
    arrays = [np.array(group) for group in groups]
    mean, low, high = intervals.mean_interval(arrays)
    slack = 1e-6 * (1 + np.abs(np.concatenate(arrays)).max())
    assert mean == pytest.approx(np.mean([np.mean(a) for a in arrays]))
    assert min(map(min, groups)) - slack <= low <= high <= max(map(max, groups)) + slack
    assert intervals.mean_interval(arrays) == (mean, low, high)


def test_the_interval_of_the_mean_agrees_with_scipy() -> None:
    generator = np.random.default_rng(3)

    def peer(values: np.ndarray) -> tuple[float, float]:
        found = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=generator)
        return found.confidence_interval.low, found.confidence_interval.high

    one = generator.normal(100, 30, 50)
    _, low, high = intervals.mean_interval([one])
    assert (low, high) == pytest.approx(peer(one), abs=1.0)
    # Seeds without spread inside: only the draw of seeds is left.
    levels = np.array([10.0, 20.0, 40.0, 45.0, 70.0, 90.0])
    _, low, high = intervals.mean_interval([np.full(30, level) for level in levels])
    assert (low, high) == pytest.approx(peer(levels), abs=3.0)


def write_metrics(path: Path, dataset: str, said: dict[tuple[int, int], str] | None = None) -> None:
    """Of the teacher t with two training seeds and action dimensions; `said`: its doubts."""
    keys = [(seed, dimension) for seed in (0, 1) for dimension in (0, 1)]
    lines = [f"{dataset},t,{seed},{dimension},{(said or {}).get((seed, dimension), '')}" for seed, dimension in keys]
    path.write_text("\n".join(["dataset,teacher,seed,dimension,doubts", *lines]))


def test_doubts_about_a_teacher_are_told_of_each_dimension(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.csv", "d", {(1, 0): "No CAT.", (1, 1): "Nor XGB."})
    assert doubts.on_teacher(tmp_path / "metrics.csv") == [
        "Doubtful: d, teacher t, seed 1, ac0: No CAT.",
        "Doubtful: d, teacher t, seed 1, ac1: Nor XGB.",
    ]
    write_metrics(tmp_path / "metrics.csv", "d")
    assert doubts.on_teacher(tmp_path / "metrics.csv") == doubts.on_teacher(tmp_path / "absent.csv") == []


def test_from_files_to_files(tmp_path: Path) -> None:
    datasets = ("hopper-random-embedded-v1", DATASET)
    rollouts: dict[str, list[Path]] = {dataset: [] for dataset in datasets}
    choices: dict[str, list[Path]] = {dataset: [] for dataset in datasets}
    for dataset in datasets:
        for method in ("teacher", "mlp"):
            selection = []
            for seed in (0, 1):
                what: dict[str, Any] = {"method": method, "training_seed": seed, "dataset": dataset, "episodes": 5}
                name = f"{dataset}-{method}-{seed}"
                rollouts[dataset].append(synthetic.write_rollouts(tmp_path / f"{name}.parquet", **what))
                selection.append(synthetic.write_rollouts(tmp_path / f"{name}.s.parquet", purpose="selection", **what))
            choices[dataset].append(tmp_path / f"{dataset}-{method}.json")
            targets.choose_file(selection, choices[dataset][-1])
    own = {dataset: tmp_path / f"{dataset}.csv" for dataset in datasets}
    cards = {dataset: tmp_path / f"{dataset}.card.json" for dataset in datasets}
    said = {datasets[0]: ["Half of it is missing.", "So is the rest."], datasets[1]: []}
    for dataset in datasets:
        files.write_json(cards[dataset], {"dataset": dataset, "provider": "embedded", "doubts": said[dataset]})
    written = {name: tmp_path / f"{name}.csv" for name in ("output", "summary", "comparisons")}
    output, summary, compared = written.values()

    metrics = {dataset: tmp_path / f"{dataset}.metrics.csv" for dataset in datasets}
    told = "Teacher t, ac0: No CAT. ac1: Nor XGB."
    write_metrics(metrics[datasets[0]], datasets[0])
    write_metrics(metrics[DATASET], DATASET, {(1, 0): "No CAT.", (1, 1): "Nor XGB."})

    def write() -> str:
        for dataset in datasets:
            score_tables.score_dataset(
                rollouts[dataset],
                choices[dataset],
                cards[dataset],
                own[dataset],
                teachers=[metrics[dataset]],
                taught={"teacher": "t"},
            )
        return statistics.score(list(own.values()), **written)

    text = write()
    table = pd.read_csv(output)
    assert len(table) == 2 * 2 * 2 * 3
    # Datasets in the order given, methods in the order of the files.
    assert list(table["dataset"].unique()) == list(datasets)
    assert list(table["method"].unique()) == ["teacher", "mlp"]
    selected = table[(table["target"] == "selected") & (table["method"] == "mlp")]
    row = pd.read_csv(summary).query("method == 'mlp' and target == 'selected'").iloc[0]
    assert row["iqm"] == pytest.approx(scipy.stats.trim_mean(selected["normalised"], 0.25))
    assert f"{row['iqm']:.2f}" in text
    assert set(pd.read_csv(compared)["target"]) == {"selected", "fixed", "all"}
    first = [path.read_bytes() for path in (output, summary, compared)]
    write()
    assert [path.read_bytes() for path in (output, summary, compared)] == first
    # Through the files of every dataset nothing is lost: the same table, as of all rollouts at once.
    at_once = score_tables.score_table(
        tables.read_rollouts([path for dataset in datasets for path in rollouts[dataset]], "report"),
        [tables.read_json(path, ()) for dataset in datasets for path in choices[dataset]],
        dict.fromkeys(datasets, "embedded"),
    )
    at_once["doubts"] = [" ".join(said[dataset]) for dataset in at_once["dataset"]]
    at_once["teacher_doubts"] = np.where(
        (at_once["dataset"] == DATASET) & (at_once["method"] == "teacher") & (at_once["seed"] == 1), told, ""
    )
    assert output.read_text() == at_once.to_csv(index=False)
    assert text.count("Doubtful") == 2 and f"Doubtful: {DATASET}: {told}\n" in text
    assert f"Doubtful: {datasets[0]}: Half of it is missing. So is the rest.\n" in text
    with pytest.raises(InputError, match="column purpose: found 'selection'"):
        score_tables.score_dataset(selection, choices[DATASET], cards[DATASET], own[DATASET])
    with pytest.raises(InputError, match=r"output\.csv: cannot be read as JSON"):
        score_tables.score_dataset(rollouts[DATASET], [output], cards[DATASET], own[DATASET])
    every = [path for dataset in datasets for path in rollouts[dataset]]
    with pytest.raises(InputError, match=f"column dataset: found .*{DATASET}; pass tables of one dataset only"):
        score_tables.score_dataset(every, choices[DATASET], cards[DATASET], own[DATASET])
    with pytest.raises(InputError, match=rf"{datasets[0]}\.card\.json: is of dataset '{datasets[0]}'"):
        score_tables.score_dataset(rollouts[DATASET], choices[DATASET], cards[datasets[0]], own[DATASET])


def test_read_csv_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content, said in (("", "cannot be read"), ("a,b\n", "no row"), ("a\n1\n", "column 'b' is missing")):
        path.write_text(content)
        with pytest.raises(InputError, match=rf"a\.csv: .*{said}"):
            tables.read_csv(path, ("a", "b"))


def _told(path: Path, dataset: str, scores: dict[str, tuple[float, float]], **changes: Any) -> pd.DataFrame:
    """The standings of methods whose 40 episodes have these means and standard deviations."""
    parts, choices = [], []
    for method, (mean, spread) in scores.items():
        table = synthetic.rollouts(method, dataset=dataset, fractions=[1.0], episodes=40)
        drawn = np.random.default_rng(len(parts)).normal(0, 1, 40)
        drawn = mean + spread * (drawn - drawn.mean()) / drawn.std()
        parts.append(table.assign(normalised_score=drawn, **changes))
        choices.append(path / f"{method}.json")
        facts = {"dataset": dataset, "method": method, "simulator": "d4rl", "fraction": 1.0}
        files.write_json(choices[-1], facts)
    return standings.standings(pd.concat(parts, ignore_index=True), choices)


def test_standings(tmp_path: Path) -> None:
    table = _told(tmp_path, DATASET, {"near": (79.0, 12.0), "best": (80.0, 12.0), "far": (60.0, 12.0)})
    assert list(table) == standings.COLUMNS and list(table["method"]) == ["near", "best", "far"]
    assert list(table["behind"].round(6)) == [1.0, 0.0, 20.0]
    # Of normal scores the interval of the difference is that of the t-test, nearly.
    half = scipy.stats.t.ppf(0.975, 78) * 12 * (2 / 40) ** 0.5
    far = table.iloc[2]
    assert (far["behind_low"], far["behind_high"]) == pytest.approx((20 - half, 20 + half), abs=0.6)
    assert list(table["level"]) == [True, True, False]
    # A goal reached in all episodes, and in nearly all: the bootstrap alone would be sure of the first.
    mazes = _told(tmp_path, DATASET, {"always": (100.0, 0.0)}, success=True)
    assert mazes["low"].item() == pytest.approx(100 * intervals.success_interval(40, 40)[0])


def test_a_single_episode_leaves_all_open(tmp_path: Path) -> None:
    table = pd.concat([synthetic.rollouts(name, fractions=[None], episodes=1) for name in "ab"], ignore_index=True)
    for name in "ab":
        files.write_json(tmp_path / name, {"dataset": DATASET, "method": name, "simulator": "d4rl", "fraction": None})
    found = standings.standings(table, [tmp_path / name for name in "ab"])
    assert found["low"].isna().all() and found["level"].all()


@given(*[st.tuples(FINITE, st.floats(0, 10), st.floats(0, 10))] * 2)
def test_the_interval_of_a_difference(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    first, second = [(mean, mean - below, mean + above) for mean, below, above in (one, other)]
    difference, low, high = intervals.difference_interval(first, second)
    assert low <= difference <= high
    back = intervals.difference_interval(second, first)
    assert back == pytest.approx((-difference, -high, -low), abs=1e-9 * (1 + abs(difference)))


def test_the_interval_of_a_difference_of_shares_is_newcombes() -> None:
    # Newcombe (1998), table II, (a): 56/70 - 48/80, method 10.
    shares = [(56 / 70, *intervals.success_interval(56, 70)), (48 / 80, *intervals.success_interval(48, 80))]
    _, low, high = intervals.difference_interval(*shares)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
