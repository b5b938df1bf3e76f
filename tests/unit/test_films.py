"""Films: which episode, that it is the one of the table, which of its states, and how they are drawn."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from d4rl_automl.core import opengl, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import replay as replays
from d4rl_automl.evaluation import rollout
from d4rl_automl.evaluation.replay import replay
from d4rl_automl.evaluation.rollout import Play
from d4rl_automl.films import choosing, film, frames
from d4rl_automl.films.table import FILMS
from d4rl_automl.films.timing import MOST, timing
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.run import Plan
from d4rl_automl.simulators.batch import BatchSimulator
from tests.support.policies import dataset_of, write_policy
from tests.support.project import ROOT
from tests.support.rollouts import play_files

FRACTION = 1.2


def played(folder: Path, task: str = "hopper", **changes: Any) -> tuple[Path, Path]:
    """A policy of random weights, and the report table of its rollouts."""
    policy = write_policy(folder, task, **({"outcome_rule": "none"} if task.startswith("antmaze") else {}))
    report = folder / "tiny-s3.d4rl.report.parquet"
    fractions = {"fractions": []} if task.startswith("antmaze") else {}
    plays = [Play("selection", 2, folder / "selection.parquet"), Play("report", changes.pop("episodes", 5), report)]
    play_files(policy, plays, **fractions, **changes)
    return policy, report


def rows_of(report: Path) -> pd.DataFrame:
    return tables.read_rollouts([report], "report", ("seed",))


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return played(tmp_path_factory.mktemp("hopper"))


# Which states, for how long


@given(length=st.integers(1, 3000), seconds=st.sampled_from([0.002, 0.008, 0.05, 0.1]), way=st.booleans())
def test_a_film_shows_start_and_end_in_frames_that_can_be_followed(length: int, seconds: float, way: bool) -> None:
    found = timing(length, seconds, way=way)
    assert (found.steps[0], found.steps[-1]) == (0, length)
    assert len(found.steps) <= MOST
    gaps = np.diff(found.steps)
    assert gaps.min() > 0
    every = np.delete(gaps, [] if found.cut is None else found.cut - 1)
    assert len(set(every[:-1])) <= 1
    step = every[0] if len(every) > 1 else found.milliseconds * found.speed / 1000 / seconds
    assert found.milliseconds == pytest.approx(1000 * step * seconds / found.speed, abs=1)
    assert 39 <= found.milliseconds <= 121
    assert found.speed <= 1 or way


@pytest.mark.parametrize(
    ("length", "seconds", "way", "speed", "cut"),
    [
        (1000, 0.008, False, 1.0, None),  # Hopper and walker2d: eight seconds.
        (20, 0.008, False, 0.25, None),  # A fall, which would be over at once.
        (1000, 0.05, False, 1.0, 60),  # HalfCheetah: its gait needs every step.
        (700, 0.1, True, 8.0, None),  # An ant that never gets there.
        (200, 0.1, True, 2.0, None),
    ],
)
def test_the_speed_of_a_film(length: int, seconds: float, way: bool, speed: float, cut: int | None) -> None:
    found = timing(length, seconds, way=way)
    assert (found.speed, found.cut) == (speed, cut)


# Which episode


def episodes(**columns: list[Any]) -> pd.DataFrame:
    count = len(columns["return"])
    empty = {"success": [None] * count, "distance_left": [None] * count, "length": [9] * count}
    return pd.DataFrame(empty | {"training_seed": [0] * count, "episode": [*range(count)]} | columns)


def test_episodes_are_ordered_by_their_return() -> None:
    found = choosing.ordered(episodes(**{"return": [3.0, 1.0, 2.0, 1.0]}))
    assert list(found["episode"]) == [1, 3, 2, 0]


def test_equal_returns_of_a_maze_are_ordered_by_the_way_left_and_the_time() -> None:
    table = episodes(
        **{"return": [1.0, 0.0, 1.0, 0.0]},
        success=[True, False, True, False],
        distance_left=[0.1, 3.0, 0.4, 9.0],
        length=[90, 700, 80, 700],
    )
    assert list(choosing.ordered(table)["episode"]) == [3, 1, 0, 2]


def test_median_and_worst_are_of_the_chosen_target_alone(hopper: tuple[Path, Path], tmp_path: Path) -> None:
    _, report = hopper
    targets = [target(tmp_path)]
    own = rows_of(report).query("fraction == @FRACTION").sort_values("return")
    for episode, place in (("worst", 0), ("median", 2)):
        row, count, table = choosing.choose([report], targets, "tiny", "d4rl", episode)
        assert (row["return"], row["fraction"], count, table) == (own.iloc[place]["return"], FRACTION, 5, report)


def target(folder: Path, task: str = "hopper", fraction: float | None = FRACTION) -> Path:
    path = folder / "tiny.d4rl.json"
    path.write_text(
        json.dumps({"dataset": dataset_of(task), "method": "tiny", "simulator": "d4rl", "fraction": fraction})
    )
    return path


def scores(folder: Path, **normalised: float) -> Path:
    path = folder / "scores.csv"
    rows = [(name, "d4rl", rule, value) for name, value in normalised.items() for rule in ("selected", "all")]
    rows.append(("better-elsewhere", "gymnasium", "selected", 99.0))
    pd.DataFrame(rows, columns=["method", "simulator", "target", "normalised"]).to_csv(path, index=False)
    return path


def test_the_best_is_asked_for_among_those_named(tmp_path: Path) -> None:
    path = scores(tmp_path, one=10.0, two=30.0, three=50.0)
    assert choosing.best_method(path, "d4rl", ["one", "two"]) == "two"
    with pytest.raises(InputError, match=r"scores\.csv: there is no score of 'better-elsewhere' in .* 'd4rl'"):
        choosing.best_method(path, "d4rl", ["one", "better-elsewhere"])


# The episode of the table, again


def test_an_episode_is_played_again_to_the_last_digit(hopper: tuple[Path, Path]) -> None:
    policy, report = hopper
    table = rows_of(report)
    for _, row in table.iloc[[0, 7]].iterrows():
        found = replay(policy, report, row)
        assert found.returns[-1] == row["return"]
        assert found.qpos.shape == (row["length"] + 1, 6)
        assert found.goal.shape == (0,)
        simulator = BatchSimulator("hopper", 1)
        simulator.reset([row["seed"]])
        np.testing.assert_array_equal(found.qpos[0], simulator.qpos[0])
        # Of the hopper: a metre is paid 1 for, and so is a step.
        moved = (found.qpos[-1, 0] - found.qpos[0, 0]) / simulator.seconds + row["length"]
        assert moved == pytest.approx(row["return"], abs=0.005 * row["length"])


class Together(rollout.Policy):
    """Its actions depend on how many rows are asked for at once, as AutoGluon's do in their last digits."""

    def __init__(self, inner: rollout.Policy) -> None:
        super().__init__(inner.metadata)
        self.inner = inner

    def predict(self, observations: Any, outcome: Any) -> Any:
        return self.inner.predict(observations, outcome) * (1 - 1e-6 * len(observations))


def test_what_was_played_together_is_played_together_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load = rollout.load_policy
    for module in (rollout, replays):
        monkeypatch.setattr(module, "load_policy", lambda path: Together(load(path)))
    policy, report = played(tmp_path)
    caplog.set_level(logging.INFO)
    for _, row in rows_of(report).iloc[[1, -1]].iterrows():
        found = replay(policy, report, row)
        assert (found.returns[-1], len(found.qpos)) == (row["return"], row["length"] + 1)
    assert "all is played that it was played with" in caplog.text


def test_processes_are_played_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"rollout_seed": 4, "processes": 3, "plays": {"selection": 2, "report": 5}}
    every = [replays.episode_seeds(4, "some", purpose, count) for purpose, count in (("selection", 2), ("report", 5))]
    found = [
        list(replays._together(facts, pd.Series({"dataset": "some", "seed": seed}))) for seed in np.concatenate(every)
    ]
    assert [len(chunk) for chunk in found] == [3, 3, 3, 2, 2, 2, 2]
    assert found[0] == [*every[0], every[1][0]]


def test_another_return_is_refused(hopper: tuple[Path, Path]) -> None:
    policy, report = hopper
    row = rows_of(report).iloc[0].copy()
    row["return"] += 1e-9
    with pytest.raises(InputError, match=r"episode 0 of training seed 3, fraction 0\.3, had .*versions are the same"):
        replay(policy, report, row)


def test_another_policy_and_simulator_are_refused(hopper: tuple[Path, Path], tmp_path: Path) -> None:
    policy, report = hopper
    row = rows_of(report).iloc[0].copy()
    other = write_policy(tmp_path, method="other")
    with pytest.raises(InputError, match=r"is not the policy that .* was played with"):
        replay(other, report, row)
    row["simulator"] = "mujoco-py"
    with pytest.raises(InputError, match="'mujoco-py': its states are not known here"):
        replay(policy, report, row)


# Pictures


@pytest.fixture
def without_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "drawing", lambda: None)


def make(policy: Path, report: Path, folder: Path, task: str = "hopper", episode: str = "median") -> dict[str, Any]:
    """A film, and its facts."""
    film.make(
        [policy],
        rollouts=[report],
        targets=[target(folder, task, FRACTION if task == "hopper" else None)],
        scores=scores(folder, tiny=12.0),
        simulator="d4rl",
        episode=episode,
        output=folder / "film.webp",
    )
    facts: dict[str, Any] = json.loads((folder / "film.json").read_text())
    return facts


def pictures(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")))
    return found


@pytest.mark.usefixtures("without_opengl")
def test_a_film_tells_what_it_shows(hopper: tuple[Path, Path], tmp_path: Path) -> None:
    policy, report = hopper
    facts = make(policy, report, tmp_path)
    row = rows_of(report).query("fraction == @FRACTION").sort_values("return").iloc[2]
    assert {key: facts[key] for key in ("return", "length", "normalised_score", "fraction")} == {
        key: row[key] for key in ("return", "length", "normalised_score", "fraction")
    }
    assert (facts["method"], facts["seed"], facts["episode_seed"]) == ("tiny", 3, row["seed"])
    assert (facts["command"], facts["success"], facts["end"]) == ("f = 1.2", None, "fallen")
    assert "no OpenGL draws here" in facts["alt"]
    found = pictures(tmp_path / "film.webp")
    assert len(found) == facts["frames"] > 5
    assert all(picture.shape == (240, 320, 3) for picture in found)
    assert np.abs(found[0].astype(int) - found[-1]).mean() > 1
    with Image.open(tmp_path / "film.png") as still:
        assert still.size == frames.SIZE
    again = tmp_path / "again"
    again.mkdir()
    make(policy, report, again)
    for ending in ("webp", "png", "json"):
        assert (again / f"film.{ending}").read_bytes() == (tmp_path / f"film.{ending}").read_bytes()


@pytest.mark.usefixtures("without_opengl")
def test_the_film_of_a_maze_shows_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of an ant that slides along the first corridor, and stops in its corner."""
    task, steps = "antmaze-umaze", 40
    policy, report = write_policy(tmp_path, task, outcome_rule="none"), tmp_path / "report.parquet"
    row = dict.fromkeys(rollout.SCHEMA.names) | {
        **{"dataset": dataset_of(task), "method": "tiny", "training_seed": 3, "simulator": "d4rl", "purpose": "report"},
        **{"episode": 0, "seed": 5, "return": 0.0, "length": steps, "terminated": False, "diverged": False},
        **{"normalised_score": 0.0, "success": False, "distance_left": 11.0, "goal_x": 0.5, "goal_y": 8.5},
    }
    facts = {"d4rl_automl": json.dumps({"method": "tiny", "training_seed": 3, "policy": {"task": task, "kind": "bc"}})}
    pq.write_table(pa.Table.from_pylist([row], rollout.SCHEMA).replace_schema_metadata(facts), report)
    qpos = np.tile(BatchSimulator(task, 1).model.qpos0, (steps + 1, 1))
    qpos[:, 0] = np.linspace(0, 8, steps + 1)
    slid = replays.Replay(qpos, np.zeros(steps + 1), np.array([0.5, 8.5]))
    monkeypatch.setattr(film, "replay", lambda *_: slid)
    facts = make(policy, report, tmp_path, task, "worst")
    assert (facts["command"], facts["success"], facts["end"]) == ("told nothing", False, "time limit")
    found = pictures(tmp_path / "film.webp")
    assert len(found) == facts["frames"] == steps + 1
    ways = [counted(picture, (0xD5, 0x5E, 0x00)) for picture in found]
    assert ways[0] < 10 < ways[20] < ways[-1]
    assert min(counted(picture, (0xBF, 0xE3, 0xD0)) for picture in found) > 30


def counted(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of the map that are nearly of a colour."""
    shown = picture[30:222, :200].astype(int)
    return int((np.abs(shown - colour).max(axis=-1) < 40).sum())


def test_no_episode_is_filmed_without_its_policy(hopper: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="policies: found none of tiny, training seed 3"):
        make(write_policy(tmp_path, seed=8), hopper[1], tmp_path)


# A rendered picture against the drawn one, in a process of its own: two libraries cannot be loaded in one.
COMPARE = """
import sys
import numpy as np
from d4rl_automl.films.robots import Rendered, Skeleton
from d4rl_automl.simulators.camera import View
from d4rl_automl.simulators.models import make_model

def limbs(picture):
    # They alone are brown or pink.
    shown = np.asarray(picture).astype(int)
    return shown[..., 0] - shown[..., 2] > 25

view = View((50.0, 0.0, 0.5), 1.6, 0)
qpos = make_model("halfcheetah").qpos0.copy()
qpos[0], qpos[3:] = 50, np.linspace(-0.6, 0.3, len(qpos) - 3)
drawn = Skeleton(make_model("halfcheetah"), (160, 96))
rendered = Rendered(make_model("halfcheetah"), (160, 96), sys.argv[1])
one, other = (limbs(painter.picture(qpos, view)) for painter in (drawn, rendered))
print((one & other).sum() / other.sum(), (one & other).sum() / one.sum())
rendered.close()
"""


def draws(library: str) -> bool:
    done = subprocess.run([sys.executable, "-c", opengl._TRIAL.format(name=library)], check=False, capture_output=True)
    return done.returncode == 0


@pytest.mark.parametrize("library", opengl.OFF_SCREEN)
def test_mujocos_picture_and_the_drawn_one_show_the_same(library: str) -> None:
    if not draws(library):
        pytest.skip(f"{library} does not draw here")
    done = subprocess.run([sys.executable, "-c", COMPARE, library], check=True, capture_output=True, text=True)
    shares = np.array(done.stdout.split(), float)
    assert len(shares) == 2
    assert shares.min() > 0.75, shares


@pytest.mark.parametrize(("broken", "found"), [((), "egl"), (("egl",), "osmesa"), (("egl", "osmesa"), None)])
def test_the_first_library_that_draws_is_taken(
    broken: tuple[str, ...],
    found: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    python = tmp_path / "python"
    cases = " ".join(f"*mujoco.{name}*) echo 'no {name}' >&2; exit 1;;" for name in broken)
    python.write_text(f'#!/bin/sh\ncase "$2" in {cases} *) exit 0;; esac\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    opengl.drawing.cache_clear()
    try:
        assert opengl.drawing() == found
    finally:
        opengl.drawing.cache_clear()
    assert [record.message for record in caplog.records] == [f"{name} does not draw here: no {name}" for name in broken]


# The plan


def planned(**changes: Any) -> Plan:
    config = yaml.safe_load((ROOT / "config/quickstart.yaml").read_text())
    return Plan(validated(config | changes))


def test_films_are_of_whom_there_is() -> None:
    plan = planned()
    folder = "results/hopper-medium-expert-embedded-100k-v1"
    assert plan.films(FILMS) == [f"{folder}/films/{name.replace('.', '.d4rl.')}.webp" for name in FILMS]
    made = plan.film_inputs(*plan.datasets, "teacher", "d4rl")
    assert made["policies"] == [f"{folder}/policies/teacher-s0.json"]
    assert made["files"][0] == f"{folder}/teachers/medium-capped-s0/deployed/ac0"
    mlp = [{"name": "mlp", "kind": "mlp"}]
    assert planned(teachers=[], methods=mlp, simulators=["mujoco-py"]).films(FILMS) == []
    assert len(planned(teachers=[], methods=mlp, simulators=["mujoco-py", "d4rl", "gymnasium"]).films(FILMS)) == 4


def test_a_film_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=r"films\[0\].*best\.median, best\.worst, teacher\.median, teacher\.worst"):
        planned(films=["best"])
