import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import targets
from d4rl_automl.tasks import scores
from tests.support import synthetic


def selection(level: dict[float | None, dict[int, list[float]]]) -> pd.DataFrame:
    """Selection episodes with given normalised scores: {fraction: {training seed: scores}}."""
    parts = []
    for fraction, by_seed in level.items():
        for seed, values in by_seed.items():
            table = synthetic.rollouts(
                training_seed=seed, purpose="selection", fractions=[fraction], episodes=len(values)
            )
            parts.append(table.assign(normalised_score=values))
    return pd.concat(parts, ignore_index=True)


def test_the_mean_over_seeds_decides_and_not_the_number_of_episodes() -> None:
    # Pooled over episodes 0.5 would win (60 against 50); over seeds 1.0 does (50 against 45).
    table = selection({0.5: {0: [80, 80, 80, 80], 1: [10, 10]}, 1.0: {0: [50, 50, 50, 50], 1: [50, 50]}})
    choice = targets.choose(table)
    assert choice["fraction"] == 1.0
    assert choice["target"] == pytest.approx(3234.3 / 1000)  # D4RL's expert of the hopper, per step
    assert choice["scores"] == {"0.5": 45.0, "1.0": 50.0}
    assert choice["training_seeds"] == [0, 1]
    assert (choice["dataset"], choice["method"], choice["simulator"]) == tuple(
        table.loc[0, ["dataset", "method", "simulator"]]
    )


def test_of_equal_fractions_the_smaller_is_taken() -> None:
    level: dict[float | None, dict[int, list[float]]] = {f: {0: [70.0, 30.0]} for f in (1.2, 0.9, 1.1)}
    assert targets.choose(selection(level))["fraction"] == 0.9


def test_an_unconditional_method_has_no_target() -> None:
    choice = targets.choose(selection({None: {0: [10, 20], 1: [30, 40]}}))
    assert choice["fraction"] is None
    assert choice["target"] is None
    assert choice["scores"] == {"none": 25.0}


def test_report_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="selection"):
        targets.choose(synthetic.rollouts(purpose="report"))
    path = synthetic.write_rollouts(tmp_path / "a.parquet", purpose="report")
    with pytest.raises(InputError, match=r"a\.parquet: column purpose: found 'report'"):
        targets.choose_file([path], tmp_path / "target.json")
    assert not (tmp_path / "target.json").exists()


@pytest.mark.parametrize("column", ["dataset", "method", "simulator"])
def test_mixed_tables_are_refused(column: str) -> None:
    table = selection({0.5: {0: [1, 2], 1: [3, 4]}})
    table.loc[0, column] = "other"
    with pytest.raises(InputError, match=f"column {column}"):
        targets.choose(table)


def test_a_fraction_that_a_seed_lacks_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.7 was not commanded"):
        targets.choose(selection({0.5: {0: [1], 1: [1]}, 0.7: {0: [1]}}))


def test_from_files_to_file(tmp_path: Path) -> None:
    paths = [
        synthetic.write_rollouts(tmp_path / f"s{seed}.parquet", training_seed=seed, purpose="selection")
        for seed in (0, 1)
    ]
    targets.choose_file(paths, tmp_path / "target.json")
    choice = json.loads((tmp_path / "target.json").read_text())
    both = [pd.read_parquet(path).groupby("fraction")["return"].mean() for path in paths]
    best = (both[0] + both[1]).idxmax()
    assert choice["fraction"] == best
    assert choice["target"] == tasks.get("hopper").target(best)
    assert np.isclose(max(choice["scores"].values()), scores.normalise("hopper", (both[0] + both[1]).max() / 2))


def test_what_read_rollouts_refuses(tmp_path: Path) -> None:
    path = synthetic.write_rollouts(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="come twice"):
        tables.read_rollouts([path, path], "report")
    with pytest.raises(InputError, match="no rollout table"):
        tables.read_rollouts([], "report")
    with pytest.raises(InputError, match=r"missing\.parquet"):
        tables.read_rollouts([tmp_path / "missing.parquet"], "report")
    (tmp_path / "torn.parquet").write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"torn\.parquet: cannot be read"):
        tables.read_rollouts([tmp_path / "torn.parquet"], "report")
    table = synthetic.rollouts()
    metadata = {"policy": {"task": "hopper", "kind": "mlp"}}
    for name, broken, said in (
        ("empty", table.iloc[:0], "no row"),
        ("nan", table.assign(**{"return": np.nan}), "no finite return"),
        ("lacking", table.drop(columns="length"), "column 'length' is missing"),
    ):
        with pytest.raises(InputError, match=rf"{name}\.parquet: .*{said}"):
            tables.read_rollouts([synthetic.write_parquet(tmp_path / f"{name}.parquet", broken, metadata)], "report")
    with pytest.raises(InputError, match="'policy' is missing"):
        tables.read_rollouts([synthetic.write_parquet(tmp_path / "bare.parquet", table)], "report")
