import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d4rl_automl.core import doubts, files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card, catalogue, collection, datasets
from d4rl_automl.figures import card as figure
from tests.support.datasets import make_card

SPLIT = {"seed": 0, "validation": 0.1, "test": 0.1}
ROWS = 3000


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
    return folder, asked, make_card(folder, SPLIT)


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
    return make_card(folder, SPLIT)


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


def test_the_simulator_that_made_it_is_on_the_card(collected):
    folder, _, found = collected
    made = found["simulator"]
    assert (made["verdict"], made["simulators"]) == ("d4rl", ["d4rl", "mujoco-py"])
    evidence = {one["simulator"]: one for one in made["evidence"]}
    assert list(evidence) == ["d4rl", "gymnasium", "gymnasium-old-margins"]
    # States are stored as float32: 6e-8 of their size, magnified by contacts.
    assert evidence["d4rl"]["error"]["99 %"] < 1e-5
    assert evidence["d4rl"]["reward"]["99 %"] < 1e-6
    assert evidence["gymnasium"]["error"]["median"] > 1e-3
    text = (folder / "card.md").read_text()
    assert "`d4rl`, D4RL's environments on MuJoCo 2.1.0: it repeats" in text
    assert "| hopper, `gymnasium-old-margins` | Gymnasium v4 or v5 on MuJoCo 2.1.2 to 3.4 |" in text


def test_clipped_actions_are_a_doubt_told_in_the_log_on_the_console_and_on_the_card(
    collected, tmp_path, caplog, monkeypatch
):
    assert collected[2]["doubts"] == []
    with (tmp_path / "console").open("wb") as console:
        monkeypatch.setenv(doubts.CONSOLE_VARIABLE, str(console.fileno()))
        found = changed(collected, tmp_path, actions=lambda values: 2 * values)
    scaled, told = found["doubts"]
    assert "repeats 100.0% of the rows if their actions are divided by 2" in scaled
    clipped = found["action_entries_clipped"] / found["action_entries"]
    assert 0.45 < clipped < 0.55
    assert told.startswith(f"{clipped:.1%} of the action entries lie beyond [-1, 1]")
    lines = [f"Doubtful: {found['dataset']}: {doubt}" for doubt in (scaled, told)]
    assert set(lines) <= set(caplog.messages)
    assert (tmp_path / "console").read_text().splitlines() == lines
    assert f"- {scaled}\n- {told}\n" in (tmp_path / "card.md").read_text()
    assert doubts.on_card(tmp_path / "card.json") == lines
    assert doubts.on_card(tmp_path / "absent.json") == []
    assert card.summary(found)["doubts"] == f"{scaled} {told}"


def test_the_card_says_why_the_simulator_is_not_known(collected, tmp_path):
    found = changed(collected, tmp_path, observations=lambda values: values.round(2))
    assert found["simulator"]["verdict"] == "not known"
    assert f"Not known: {found['simulator']['reason']}." in (tmp_path / "card.md").read_text()
    assert card.summary(found)["replay_median"] is None


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
    found = make_card(tmp_path, SPLIT)
    assert found["simulator"]["verdict"] == "none"
    with h5py.File(tmp_path / "raw.hdf5") as file:
        assert found["action_entries_clipped"] == (np.abs(file["actions"][()]) > 1).sum() > 0
    assert found["ranges"]["ac0"]["max"] > 1
    assert "Embedded" not in (tmp_path / "card.md").read_text()


def test_tables_of_another_file_are_refused(collected, tmp_path):
    folder = collected[0]
    said = json.loads((folder / "raw.json").read_text())
    found = json.loads((folder / "simulator.json").read_text())
    for name, values, message in (
        ("raw.json", said | {"sha256": "1"}, "was not made from"),
        ("simulator.json", found | {"sha256": "1"}, "is of another file"),
    ):
        inputs = {one: folder / one for one in ("raw.hdf5", "raw.json", "simulator.json", "transitions.parquet")} | {
            "episodes.parquet": folder / "episodes.parquet",
            name: tmp_path / name,
        }
        (tmp_path / name).write_text(json.dumps(values))
        with pytest.raises(InputError, match=message):
            card.write(
                *inputs.values(), simulators=["d4rl"], output=tmp_path / "card.json", markdown=tmp_path / "card.md"
            )
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
    assert table["simulator"].tolist() == ["d4rl", "d4rl"]
    assert table["replay_99_percent"][0] == collected[2]["simulator"]["evidence"][0]["error"]["99 %"]


def test_the_figure_counts_every_finished_episode(collected, tmp_path):
    folder, _, found = collected
    figure.plot(folder / "card.json", folder / "episodes.parquet", tmp_path / "card")
    bars = pd.read_csv(tmp_path / "card.csv")
    for _, panel in bars.groupby("panel"):
        assert panel["terminated"].sum() == round(found["terminated_share"] * found["finished_episodes"])
        assert panel[["terminated", "truncated"]].to_numpy().sum() == found["finished_episodes"]
    with Image.open(tmp_path / "card.png") as image:
        assert json.loads(image.info["d4rl_automl"]) == {"kind": "card", "dataset": found["dataset"]}
