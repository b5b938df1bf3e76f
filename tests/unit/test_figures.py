import itertools
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.spacing import apart
from d4rl_automl.evaluation import budget, score_tables, targets
from d4rl_automl.figures import actions, calibration, map, returns, reward_to_go, style, success
from d4rl_automl.figures import budget as budget_figure
from d4rl_automl.figures import curves as curve_figure
from d4rl_automl.figures import importance as importance_figure
from d4rl_automl.figures.table import FIGURES, OF_DATASET
from d4rl_automl.learners import curves, importance
from d4rl_automl.tasks import scores
from tests.support import synthetic

DATASET = "hopper-medium-expert-embedded-v1"
NAMES = [f"method-{index}" for index in range(9)]
"""The methods of the run."""


def test_a_matplotlibrc_of_the_users_changes_no_figure(tmp_path: Path) -> None:
    tables, _ = played(tmp_path, 2)
    files = []
    for index, own in enumerate(({}, {"font.size": 40, "lines.linewidth": 9, "axes.facecolor": "red"})):
        with matplotlib.rc_context(own):
            prefix = tmp_path / str(index)
            calibration.plot(tables, NAMES, prefix)
            files.append([Path(f"{prefix}.{ending}").read_bytes() for ending in ("png", "svg")])
            assert all(matplotlib.rcParams[name] == value for name, value in own.items())
    assert files[0] == files[1]


def drawn(prefix: Path, *titles: str, dataset: str = DATASET) -> pd.DataFrame:
    """The CSV of a figure whose PNG and SVG are sound; `titles` must stand in the SVG."""
    with Image.open(f"{prefix}.png") as image:
        image.load()
        assert min(image.size) > 300
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        facts = json.loads(image.info["d4rl_automl"])
    assert facts["dataset"] == dataset
    assert FIGURES[facts["kind"]].job.startswith(OF_DATASET)
    root = ElementTree.parse(f"{prefix}.svg").getroot()
    text = " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for title in titles:
        assert title in text
    return pd.read_csv(f"{prefix}.csv")


def played(folder: Path, methods: int, *, seeds: int = 2, episodes: int = 12) -> tuple[list[Path], list[Path]]:
    """Report tables and chosen targets; every fourth method is unconditional."""
    tables, choices = [], []
    for index in range(methods):
        name = f"method-{index}"
        fractions = [None] if index % 4 == 3 else synthetic.FRACTIONS
        selection = []
        for seed in range(seeds):
            path = folder / f"{name}-s{seed}"
            tables.append(
                synthetic.write_rollouts(
                    path.with_suffix(".report.parquet"),
                    method=name,
                    training_seed=seed,
                    fractions=fractions,
                    episodes=episodes,
                )
            )
            selection.append(
                synthetic.write_rollouts(
                    path.with_suffix(".selection.parquet"),
                    method=name,
                    training_seed=seed,
                    fractions=fractions,
                    episodes=3,
                    purpose="selection",
                )
            )
        choices.append(folder / f"{name}.json")
        targets.choose_file(selection, choices[-1])
    return tables, choices


@pytest.mark.parametrize("episodes", [2, 90])
def test_reward_to_go(tmp_path: Path, episodes: int) -> None:
    transitions, ends = synthetic.dataset_tables(tmp_path, episodes)
    reward_to_go.plot(transitions, ends, [0.5, 1.0], tmp_path / "figure")
    data = drawn(tmp_path / "figure", DATASET, "average reward-to-go (per step)", "normalised score")
    finished = pd.read_parquet(ends).query("split != 'unfinished'")
    points = data[data["panel"] == "average reward-to-go"]
    assert points["episode"].nunique() == min(60, episodes - 1)
    # The whole range of returns is in the sample.
    assert points["return"].min() == pytest.approx(finished["return"].min())
    assert points["return"].max() == pytest.approx(finished["return"].max())
    # Every point is the sum of the rewards to come over the steps to go.
    rewards = pd.read_parquet(transitions, columns=["episode", "step", "reward"])
    for episode, own in itertools.islice(points.groupby("episode"), 5):
        reward = rewards[rewards["episode"] == episode].sort_values("step")["reward"].to_numpy(np.float64)
        steps = own["step"].to_numpy(int)
        assert steps[0] == 0
        assert steps[-1] == len(reward) - 1
        expected = [reward[step:].sum() / (1000 - step) for step in steps]
        np.testing.assert_allclose(own["average_reward_to_go"], expected, rtol=1e-4, atol=1e-4)
    bars = data[data["panel"] == "returns"]
    below = np.searchsorted(np.sort(finished["return"]), bars["bin_high"].iloc[:-1], side="left")
    np.testing.assert_array_equal(bars["episodes"].cumsum(), [*below, len(finished)])
    goals = data[data["panel"] == "targets"]
    np.testing.assert_allclose(goals["target"], [(-20.272305 + f * 3254.572305) / 1000 for f in (0.5, 1.0)])


def test_reward_to_go_refuses(tmp_path: Path) -> None:
    transitions, ends = synthetic.dataset_tables(tmp_path, 3)
    table = pd.read_parquet(ends)
    synthetic.write_parquet(tmp_path / "none.parquet", table[table["split"] == "unfinished"])
    with pytest.raises(InputError, match="no episode is finished"):
        reward_to_go.plot(transitions, tmp_path / "none.parquet", [1.0], tmp_path / "figure")
    synthetic.write_parquet(tmp_path / "other.parquet", table.assign(episode=table["episode"] + 50))
    with pytest.raises(InputError, match="episode 50 of the episode table is missing"):
        reward_to_go.plot(transitions, tmp_path / "other.parquet", [1.0], tmp_path / "figure")
    with pytest.raises(InputError, match="metadata key 'dataset' is missing"):
        reward_to_go.plot(tmp_path / "none.parquet", ends, [1.0], tmp_path / "figure")
    assert not list(tmp_path.glob("figure*"))


@pytest.mark.parametrize("dimensions", [1, 3, 8])
def test_actions(tmp_path: Path, dimensions: int) -> None:
    predictions, metrics = synthetic.predictions(tmp_path, dimensions)
    actions.plot(predictions, metrics, tmp_path / "figure")
    errors = pd.read_csv(metrics)["acting_rmse"]
    data = drawn(tmp_path / "figure", DATASET, *(f"ac{i}, RMSE {error:.3f}" for i, error in enumerate(errors)))
    table = pd.read_parquet(predictions)
    assert len(data) == 50 * dimensions
    for name, own in data.groupby("action"):
        for column, source in (("recorded", name), ("predicted", f"predicted_{name}")):
            values = table[source].to_numpy(np.float64)
            assert own[column].sum() == pytest.approx(1)
            # The cumulative share up to a bin's upper border is the empirical distribution function.
            inner = own.iloc[:-1]
            expected = np.searchsorted(np.sort(values), inner["bin_high"], side="left") / len(values)
            np.testing.assert_allclose(inner[column].cumsum(), expected, atol=1.5 / len(values))


def test_actions_refuses(tmp_path: Path) -> None:
    predictions, metrics = synthetic.predictions(tmp_path, 2)
    table = pd.read_parquet(predictions)
    for value in (1.5, np.nan):
        broken = synthetic.write_parquet(tmp_path / "broken.parquet", table.assign(predicted_ac1=value))
        with pytest.raises(InputError, match="column predicted_ac1: 4000 values"):
            actions.plot(broken, metrics, tmp_path / "figure")
    with pytest.raises(InputError, match="column 'predicted_ac1' is missing"):
        fewer = synthetic.write_parquet(tmp_path / "fewer.parquet", table.drop(columns="predicted_ac1"))
        actions.plot(fewer, metrics, tmp_path / "figure")


@pytest.mark.parametrize("methods", [1, 5, 8])
def test_returns(tmp_path: Path, methods: int) -> None:
    tables, choices = played(tmp_path, methods)
    _, ends = synthetic.dataset_tables(tmp_path, 30)
    returns.plot(tables, ends, choices, NAMES, tmp_path / "figure")
    names = [f"method-{index}" for index in range(methods)]
    data = drawn(tmp_path / "figure", f"{DATASET}, simulator d4rl", *names)
    expected = pd.concat([pd.read_parquet(path) for path in tables], ignore_index=True)
    played_rows = data[data["method"] != "demonstrator"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        played_rows[["method", "fraction", "episode", "return", "normalised_score"]],
        expected[["method", "fraction", "episode", "return", "normalised_score"]],
        check_dtype=False,
    )
    demonstrated = data[data["method"] == "demonstrator"]
    finished = pd.read_parquet(ends).query("split != 'unfinished'")
    np.testing.assert_allclose(demonstrated["return"], finished["return"])
    np.testing.assert_allclose(data["normalised_score"], scores.normalise("hopper", data["return"]))


def test_one_episode_per_target_can_be_drawn(tmp_path: Path) -> None:
    tables, choices = played(tmp_path, 1, seeds=1, episodes=1)
    _, ends = synthetic.dataset_tables(tmp_path, 2)
    returns.plot(tables, ends, choices, NAMES, tmp_path / "violins")
    calibration.plot(tables, NAMES, tmp_path / "line")
    assert len(drawn(tmp_path / "violins")) == len(synthetic.FRACTIONS) + 1
    line = drawn(tmp_path / "line")
    np.testing.assert_allclose(line["low"], line["mean_return"])
    np.testing.assert_allclose(line["high"], line["mean_return"])


def test_returns_refuses(tmp_path: Path) -> None:
    tables, choices = played(tmp_path, 2)
    _, ends = synthetic.dataset_tables(tmp_path, 5)
    with pytest.raises(InputError, match=r"none was chosen for .*method-1"):
        returns.plot(tables, ends, choices[:1], NAMES, tmp_path / "figure")
    other = synthetic.write_rollouts(tmp_path / "other.parquet", simulator="gymnasium")
    with pytest.raises(InputError, match="column simulator"):
        returns.plot([*tables, other], ends, choices, NAMES, tmp_path / "figure")
    choices[0].write_text(json.dumps(json.loads(choices[0].read_text()) | {"simulator": "gymnasium"}))
    with pytest.raises(InputError, match=r"method-0\.json: is of .*gymnasium"):
        returns.plot(tables, ends, choices, NAMES, tmp_path / "figure")
    with pytest.raises(InputError, match="column purpose"):
        returns.plot(sorted(tmp_path.glob("*.selection.parquet")), ends, choices, NAMES, tmp_path / "figure")


def test_calibration(tmp_path: Path) -> None:
    tables, _ = played(tmp_path, 5)
    calibration.plot(tables, NAMES, tmp_path / "figure")
    data = drawn(tmp_path / "figure", f"{DATASET}, simulator d4rl", "method-4", "method-3 (no target)")
    # Methods in the order of the files, targets from small to large.
    assert list(data["method"].unique()) == [f"method-{index}" for index in range(5)]
    assert list(data["fraction"].dropna()) == synthetic.FRACTIONS * 4
    rows = pd.concat([pd.read_parquet(path) for path in tables])
    for row in data.itertuples():
        same = rows["fraction"].isna() if np.isnan(row.fraction) else rows["fraction"] == row.fraction
        own = rows[(rows["method"] == row.method) & same]
        by_seed = [np.mean(own.loc[own["training_seed"] == seed, "return"].to_numpy()) for seed in (0, 1)]
        assert row.mean_return == pytest.approx((by_seed[0] + by_seed[1]) / 2)
        assert row.low < row.mean_return < row.high
        assert (row.training_seeds, row.episodes) == (2, 24)
    conditional = data.dropna(subset="fraction")
    expected = -20.272305 + conditional["fraction"] * (3234.3 + 20.272305)
    np.testing.assert_allclose(conditional["commanded_return"], expected)


def test_the_same_data_give_the_same_files(tmp_path: Path) -> None:
    tables, choices = played(tmp_path, 1)
    transitions, ends = synthetic.dataset_tables(tmp_path, 10)
    for name in ("first", "second"):
        reward_to_go.plot(transitions, ends, [1.0], tmp_path / f"{name}.rtg")
        returns.plot(tables, ends, choices, NAMES, tmp_path / f"{name}.returns")
        calibration.plot(tables, NAMES, tmp_path / f"{name}.calibration")
    for file in tmp_path.glob("first.*"):
        other = file.with_name(file.name.replace("first", "second"))
        assert file.read_bytes() == other.read_bytes(), file.name


def test_a_method_looks_the_same_whatever_stands_beside_it() -> None:
    every = [f"method-{index}" for index in range(64)]
    looks = style.looks(every, every)
    assert len(set(looks.values())) == 64
    assert len({colour for colour, _ in list(looks.values())[:8]}) == 8
    for some in (every[3:4], every[::-5], every[40:50]):
        assert style.looks(every, some) == {method: looks[method] for method in some}
    # What is added at the end of a config changes none.
    assert style.looks([*every, "another"], every) == looks
    with pytest.raises(InputError, match="methods: 'another' is none of method-0, "):
        style.looks(every, ["another"])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12).map(sorted))
def test_labels_move_apart_and_no_further(places: list[float]) -> None:
    moved = apart(places, [10.0] * (len(places) - 1))
    assert all(after - before >= 10 - 1e-6 for before, after in itertools.pairwise(moved))
    # In the middle where they were, and not moved where there was room.
    assert np.mean(moved) == pytest.approx(np.mean(places), abs=1e-6)
    if all(after - before >= 10 for before, after in itertools.pairwise(places)):
        assert moved == pytest.approx(places)


def test_budget(tmp_path: Path) -> None:
    selection, report = [], []
    for name, fractions in (("good", [0.5, 1.0, 1.2]), ("free", [None])):
        for seed in (0, 1):
            for purpose, kept, episodes in (("selection", selection, 12), ("report", report, 7)):
                what: dict[str, Any] = {"training_seed": seed, "purpose": purpose, "episodes": episodes}
                path = tmp_path / f"{name}-{seed}.{purpose}.parquet"
                kept.append(synthetic.write_rollouts(path, method=name, fractions=fractions, **what))
    budget_figure.plot(selection, report, ["good", "free"], tmp_path / "budget")
    table = drawn(tmp_path / "budget", DATASET, "selection episodes per target", "good")
    # A method without targets chooses nothing.
    assert set(table["method"]) == {"good"} and list(table["selection_episodes"]) == [1, 2, 5, 10, 12]
    played = pd.concat([pd.read_parquet(path) for path in report]).query("method == 'good'")
    worth = played.groupby("fraction")["normalised_score"].mean()
    targets.choose_file([path for path in selection if path.name.startswith("good")], tmp_path / "chosen.json")
    chosen = json.loads((tmp_path / "chosen.json").read_text())["fraction"]
    # All episodes make the choice that the run made.
    assert table["score"].iloc[-1] == pytest.approx(worth[chosen])
    assert table["hindsight"].to_numpy() == pytest.approx(worth.max())
    assert table["fixed"].to_numpy() == pytest.approx(worth[1.0])
    assert (table["low"] <= table["score"] + 1e-9).all() and (table["score"] <= table["high"] + 1e-9).all()
    with pytest.raises(InputError, match="no method is commanded several targets"):
        budget_figure.plot(selection[2:], report[2:], ["good", "free"], tmp_path / "none")
    with pytest.raises(InputError, match="good has no report episode at the fraction"):
        budget.by_budget(pd.concat([pd.read_parquet(path) for path in selection]), played[played["fraction"] != 1.2])


def test_a_budget_is_worth_what_all_its_draws_are() -> None:
    seen = np.random.default_rng(1).normal(0, 1, (3, 4)) + np.array([[0.0], [0.4], [0.3]])
    worth = np.array([10.0, 50.0, 90.0])

    def episodes(scores: np.ndarray, purpose: str) -> pd.DataFrame:
        rows = [(f, e, score) for f, own in zip((0.5, 1.0, 1.2), scores, strict=True) for e, score in enumerate(own)]
        table = pd.DataFrame(rows, columns=["fraction", "episode", "normalised_score"])
        return table.assign(method="m", training_seed=0, purpose=purpose)

    table = budget.by_budget(episodes(seen, "selection"), episodes(worth[:, None], "report"))
    # Every way to draw two of four episodes of each of three targets, against a thousand of them.
    pairs = [[np.mean(pair) for pair in itertools.combinations(own, 2)] for own in seen]
    expected = np.mean([worth[int(np.argmax(means))] for means in itertools.product(*pairs)])
    assert table.set_index("selection_episodes")["score"][2] == pytest.approx(expected, abs=4.0)
    assert table.set_index("selection_episodes")["score"][4] == worth[seen.mean(axis=1).argmax()]


LARGE = "antmaze-large-play-v2"
SKILLS = {"rvs-g": 0.9, "bc": 0.0, "rvs-r": 0.5}


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of `map.plot`: three methods in a maze, one of which is commanded a return, two seeds each."""
    folder = tmp_path_factory.mktemp("walked")
    reports, choices = [], []
    for method, skill in SKILLS.items():
        selection = []
        for seed in (0, 1):
            what = {"dataset": LARGE, "skill": skill, "fraction": 1.0 if method == "rvs-r" else None}
            for purpose, paths, episodes in (("report", reports, 25), ("selection", selection, 2)):
                table = synthetic.maze_rollouts(method, training_seed=seed, purpose=purpose, episodes=episodes, **what)
                paths.append(synthetic.write_rollouts(folder / f"{method}-s{seed}.{purpose}.parquet", table))
        choices.append(folder / f"{method}.json")
        targets.choose_file(selection, choices[-1])
    return {"rollouts": reports, "targets": choices}


def test_map(walked: dict[str, Any], tmp_path: Path) -> None:
    map.plot(**walked, prefix=tmp_path / "map")
    played = pd.concat([pd.read_parquet(path) for path in walked["rollouts"]], ignore_index=True)
    shares = played.groupby("method")["success"].mean()
    titles = (f"{shares['rvs-g']:.0%}".replace("%", " % of 50 episodes"), "0 % of 50 episodes", "f = 1.0")
    data = drawn(tmp_path / "map", f"{LARGE}, simulator d4rl", *SKILLS, *titles, dataset=LARGE)
    # The first twenty episodes of both seeds.
    key = ["method", "training_seed", "episode"]
    assert set(data["episode"]) == set(range(20)) and len(data[key].drop_duplicates()) == 3 * 40
    for (method, seed, episode), path in data.groupby(key):
        (row,) = played.query(f"method == '{method}' and training_seed == {seed} and episode == {episode}").to_dict(
            "records"
        )
        np.testing.assert_allclose(path[["x", "y"]].T, [row["path_x"], row["path_y"]], atol=6e-4)
        assert path["success"].unique().tolist() == [row["success"]]
        assert path["point"].tolist() == list(range(len(path)))
    robot = synthetic.write_rollouts(tmp_path / "robot.parquet", episodes=2)
    table = pd.read_parquet(robot).assign(**dict.fromkeys(("goal_x", "goal_y", "path_x", "path_y"), 0.0))
    synthetic.write_parquet(robot, table, {"policy": {"task": "hopper", "kind": "mlp"}})
    with pytest.raises(InputError, match=r"robot\.parquet: is of hopper, which is no maze"):
        map.plot([robot], [], tmp_path / "none")
    with pytest.raises(InputError, match=r"targets: none was chosen for .*rvs-r"):
        map.plot(walked["rollouts"], walked["targets"][:2], tmp_path / "none")


def test_success(walked: dict[str, Any], tmp_path: Path) -> None:
    card, scored = tmp_path / "card.json", tmp_path / "scores.csv"
    files.write_json(card, {"dataset": LARGE, "provider": "d4rl", "doubts": []})
    score_tables.score_dataset(walked["rollouts"], walked["targets"], card, scored)
    returns = [0.0] * 30 + [1.0] * 5 + [87.0] * 5 + [3.0]
    recorded = pd.DataFrame({"return": returns, "split": ["train"] * 40 + ["unfinished"]})
    ends = synthetic.write_parquet(tmp_path / "episodes.parquet", recorded)
    success.plot(scored, ends, "d4rl", list(SKILLS), tmp_path / "success")
    data = drawn(tmp_path / "success", *SKILLS, "data: rewarded episodes", "25 %", dataset=LARGE)
    demonstrator, *rows = data.to_dict("records")
    assert (demonstrator["method"], demonstrator["success_rate"], demonstrator["episodes"]) == (
        "demonstrator",
        0.25,
        40,
    )
    expected = pd.read_csv(scored).query("target == 'selected'")
    assert [(row["method"], row["seed"]) for row in rows] == [(name, seed) for name in SKILLS for seed in (0, 1)]
    for name in ("success_rate", "success_low", "success_high"):
        assert [row[name] for row in rows] == expected[name].tolist()
    with pytest.raises(InputError, match="no success rate of every method in the simulator 'mujoco-py'"):
        success.plot(scored, ends, "mujoco-py", list(SKILLS), tmp_path / "none")
    synthetic.write_parquet(ends, recorded[recorded["split"] == "unfinished"])
    with pytest.raises(InputError, match="no episode is finished"):
        success.plot(scored, ends, "d4rl", list(SKILLS), tmp_path / "none")


def curve_of(path: Path, method: str, seed: int, loss: str, held_out: bool = True) -> Path:
    """A training curve that falls, as a policy's fit leaves it."""
    updates = np.arange(1, 21) * 600
    fallen = np.exp(-np.arange(20) / 4) + 0.01 * seed
    fallen = fallen - 0.7 if loss == "negative log-likelihood" else fallen
    validation = fallen * 1.1 if held_out else np.full(20, np.nan)
    curve = pd.DataFrame({"update": updates, "training_loss": fallen, "validation_loss": validation})
    curves.write(path, curve, loss, method=method, seed=seed, dataset=DATASET)
    return path.with_suffix(".curve.csv")


@pytest.mark.parametrize("methods", [1, 2, 9])
def test_curves(tmp_path: Path, methods: int) -> None:
    losses = ["squared error", "negative log-likelihood"]
    paths = [
        curve_of(tmp_path / f"m{method}-s{seed}.json", f"m{method}", seed, losses[method % 2], held_out=method != 1)
        for method in range(methods)
        for seed in range(3)
    ]
    curve_figure.plot(paths, tmp_path / "curves")
    table = drawn(tmp_path / "curves", DATASET, "seed 2", "validation", *(f"m{method}" for method in range(methods)))
    expected = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    pd.testing.assert_frame_equal(table, expected)


def test_importance(tmp_path: Path) -> None:
    observed = [f"ob{i}" for i in range(11)]
    generator = np.random.default_rng(0)
    models = {"rcdtp": {"all": [*observed, "rtg", "step"]}, "rwdtp": {"all": observed}}
    models["teacher"] = {f"ac{i}": [*observed, "rtg", *(f"ac{j}" for j in range(i))] for i in range(3)}
    paths = []
    for model, outputs in models.items():
        for seed in (0, 1):
            paths.append(tmp_path / f"{model}-s{seed}.csv")
            shares = {
                output: dict(zip(names, importance.shares(generator.normal(1, 1, len(names))), strict=True))
                for output, names in outputs.items()
            }
            importance.write(paths[-1], dataset=DATASET, model=model, seed=seed, outputs=shares)
    importance_figure.plot(paths, tmp_path / "importance")
    table = drawn(tmp_path / "importance", DATASET, *models, "step", "ob10", "ac1", "share of the importance")
    # Means over the seeds, which add up to one in every column.
    assert len(table) == 13 + 11 + 12 + 13 + 14
    sums = table.groupby(["model", "output"])["importance"].sum()
    assert len(sums) == 5 and sums.to_numpy() == pytest.approx(1)
    both = pd.concat([pd.read_csv(path) for path in paths]).query("model == 'teacher' and output == 'ac2'")
    told = table.query("model == 'teacher' and output == 'ac2' and feature == 'ac1'")["importance"].item()
    assert told == pytest.approx(both[both["feature"] == "ac1"]["importance"].mean())


def test_shares_of_importance() -> None:
    np.testing.assert_allclose(importance.shares([3, -1, 1]), [0.75, 0, 0.25])
    np.testing.assert_array_equal(importance.shares([0, -1]), [0, 0])
