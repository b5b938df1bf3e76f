import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card, catalogue, collection, datasets, making, recordings
from d4rl_automl.figures import card as figure

SPLIT = {"seed": 0, "validation": 0.1, "test": 0.1}
ROWS = 3000


def made(folder):
    """A raw dataset's tables and card."""
    inputs = [folder / name for name in ("raw.hdf5", "raw.json", "transitions.parquet", "episodes.parquet")]
    making.make_transitions(*inputs[:2], SPLIT, output=inputs[2], episodes_output=inputs[3])
    card.write(*inputs, output=folder / "card.json", markdown=folder / "card.md")
    return json.loads((folder / "card.json").read_text())


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    asked = catalogue.entry(
        {
            "name": "hopper-random-embedded-test",
            "provider": "embedded",
            "task": "hopper",
            "recipe": "random",
            "transitions": ROWS,
        }
    )
    collection.collect(asked, folder / "raw.hdf5", folder / "raw.json", 2)
    return folder, asked, made(folder)


def changed(collected, folder, **arrays):
    """A copy of the collected file with other arrays (None: without), and its card."""
    origin, _, _ = collected
    with h5py.File(origin / "raw.hdf5") as source, h5py.File(folder / "raw.hdf5", "w") as copy:
        source.visititems(lambda name, item: copy.update({name: item[()]}) if hasattr(item, "shape") else None)
        for name, values in arrays.items():
            del copy[name]
            if values is not None:
                copy[name] = values(source[name][()])
    said = json.loads((origin / "raw.json").read_text())
    files.write_json(folder / "raw.json", said | {"sha256": files.sha256(folder / "raw.hdf5")})
    return made(folder)


def test_numbers_are_those_of_the_file(collected):
    folder, asked, found = collected
    raw = datasets.load_dataset(folder / "raw.hdf5")
    ends = np.flatnonzero(raw.terminals | raw.timeouts) + 1
    starts = [0, *ends[:-1]]
    returns = np.array([raw.rewards[a:b].astype(float).sum() for a, b in zip(starts, ends, strict=True)])
    lengths = ends - starts
    assert (found["dataset"], found["provider"], found["task"]) == (asked.name, "embedded", "hopper")
    assert (found["rows"], found["finished_episodes"]) == (ROWS, len(ends))
    assert found["longest_episode"] == lengths.max()
    assert found["returns"]["median"] == pytest.approx(np.median(returns))
    assert found["returns"]["99 %"] == pytest.approx(np.quantile(returns, 0.99))
    assert found["lengths"]["mean"] == pytest.approx(lengths.mean())
    assert found["normalised_scores"]["max"] == pytest.approx(100 * (returns.max() + 20.272305) / 3254.572305)
    assert found["terminated_share"] == raw.terminals[ends - 1].mean()
    for prefix, values in (("ob", raw.observations), ("ac", raw.actions)):
        for i, column in enumerate(values.astype(float).T):
            expected = {"min": column.min(), "max": column.max(), "mean": column.mean()}
            expected["standard_deviation"] = column.std()
            assert found["ranges"][f"{prefix}{i}"] == pytest.approx(expected, abs=1e-6)
    assert found["provenance"] == json.loads((folder / "raw.json").read_text())


def test_the_d4rl_simulator_repeats_its_own_steps_and_stock_gymnasium_does_not(collected):
    errors = collected[2]["replay"]["errors"]
    assert collected[2]["replay"]["rows"] == ROWS
    # States are stored as float32: 6e-8 of their size, magnified by contacts.
    assert errors["d4rl"]["next_observation"]["99 %"] < 1e-5
    assert errors["d4rl"]["next_observation"]["max"] < 1e-2
    assert errors["d4rl"]["reward"]["99 %"] < 1e-6
    assert errors["d4rl"]["terminations_that_differ"] == 0
    assert errors["gymnasium"]["next_observation"]["median"] > 1e-3


def test_a_sample_is_drawn_by_its_seed(collected):
    with recordings.reading(collected[0] / "raw.hdf5", "hopper") as reader:
        first, again, other = (card.replay(reader, "hopper", 100, seed) for seed in (1, 1, 2))
    assert first == again
    assert first["rows"] == 100
    assert first["errors"] != other["errors"]


def test_the_next_row_serves_where_next_observations_are_absent(collected, tmp_path):
    found = changed(collected, tmp_path, next_observations=None)["replay"]
    assert found["rows"] == ROWS - collected[2]["episodes"]
    assert found["errors"]["d4rl"]["next_observation"]["99 %"] < 1e-5


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"infos/qpos": None}, "the file has no infos/qpos and infos/qvel"),
        ({"infos/qpos": lambda values: np.roll(values, 1, axis=0)}, "are not the states of the observations"),
        ({"infos/qvel": lambda values: values[:, :5]}, "have (6,) and (5,) entries a row"),
        ({"infos/qvel": lambda values: values * np.nan}, "hold NaN or infinity"),
    ],
    ids=["absent", "of another moment", "of another robot", "not finite"],
)
def test_the_card_says_why_there_is_no_replay(collected, tmp_path, arrays, reason):
    found = changed(collected, tmp_path, **arrays)
    assert reason in found["replay"]["reason"]
    assert f"Not replayed: {found['replay']['reason']}." in (tmp_path / "card.md").read_text()
    assert card.summary(found)["replay_d4rl_median"] is None


def test_antmaze_has_a_card(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "raw.hdf5", "w") as file:
        file["observations"] = (rng.normal(0, 0.01, (400, 29))).astype(np.float32)
        file["actions"] = rng.uniform(-1.2, 1.2, (400, 8)).astype(np.float32)
        file["rewards"] = np.zeros(400, np.float32)
        file["terminals"] = np.zeros(400, bool)
        file["timeouts"] = np.arange(400) % 100 == 99
    said = {"dataset": "mine", "provider": "file", "task": "antmaze-umaze"}
    files.write_json(tmp_path / "raw.json", said | {"sha256": files.sha256(tmp_path / "raw.hdf5")})
    found = made(tmp_path)
    assert found["replay"] == {"reason": "the file has no infos/qpos and infos/qvel"}
    with h5py.File(tmp_path / "raw.hdf5") as file:
        assert found["action_entries_clipped"] == (np.abs(file["actions"][()]) > 1).sum() > 0
    assert found["ranges"]["ac0"]["max"] > 1
    assert "Embedded" not in (tmp_path / "card.md").read_text()


def test_tables_of_another_file_are_refused(collected, tmp_path):
    folder = collected[0]
    (tmp_path / "raw.json").write_text(json.dumps({"dataset": "x", "sha256": "1"}))
    inputs = (folder / "raw.hdf5", tmp_path / "raw.json", folder / "transitions.parquet", folder / "episodes.parquet")
    with pytest.raises(InputError, match="was not made from"):
        card.write(*inputs, output=tmp_path / "card.json", markdown=tmp_path / "card.md")
    assert not list(tmp_path.glob("card*"))


def test_markdown_is_marked_and_its_tables_are_even(collected):
    text = (collected[0] / "card.md").read_text()
    assert "not D4RL's data" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 6
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_cards_become_one_table(collected, tmp_path):
    card.merge([collected[0] / "card.json"] * 2, tmp_path / "cards.csv")
    table = pd.read_csv(tmp_path / "cards.csv")
    assert len(table) == 2
    assert table["rows"].tolist() == [ROWS, ROWS]
    assert table["replay_d4rl_99_percent"][0] == collected[2]["replay"]["errors"]["d4rl"]["next_observation"]["99 %"]


def test_the_figure_counts_every_finished_episode(collected, tmp_path):
    folder, _, found = collected
    figure.plot(folder / "card.json", folder / "episodes.parquet", tmp_path / "card")
    bars = pd.read_csv(tmp_path / "card.csv")
    for _, panel in bars.groupby("panel"):
        assert panel["terminated"].sum() == round(found["terminated_share"] * found["finished_episodes"])
        assert panel[["terminated", "truncated"]].to_numpy().sum() == found["finished_episodes"]
    with Image.open(tmp_path / "card.png") as image:
        assert json.loads(image.info["d4rl_automl"]) == {"kind": "card", "dataset": found["dataset"]}
