"""Files that were cut short or changed: who reads one names it and the way out, and no other file suffers."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from d4rl_automl.core import directories, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import datasets, making, transitions
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.tasks import outcomes
from tests.support.datasets import SPLIT, arrays, record, store, write_provenance
from tests.support.forests import write_forest
from tests.support.policies import write_policy
from tests.support.project import copy_project, snakemake
from tests.support.rollouts import play_file
from tests.support.synthetic import flip_value


def flip(content: bytes, byte: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[byte] ^= 1 << bit
    return bytes(changed)


DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "emptied": lambda path: b"",
    "cut": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "an error page": lambda path: b"<html>503 Service Unavailable</html>",
    "one bit": lambda path: flip(path.read_bytes(), path.stat().st_size // 2),
    "one bit of the values": lambda path: flip_value(path, path).read_bytes(),
}
TEXT = ("emptied", "cut", "an error page")
BINARY = (*TEXT, "one bit")
PARQUET = (*TEXT, "one bit of the values")


def make_transitions(folder: Path) -> None:
    outputs = {"output": folder / "transitions.parquet", "episodes_output": folder / "episodes.parquet"}
    making.make_transitions(folder / "raw.hdf5", folder / "raw.json", SPLIT, **outputs)


# The damaged file, who reads it, and how it is damaged.
READERS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "raw.hdf5": (make_transitions, BINARY),
    "raw.json": (make_transitions, TEXT),
    "transitions.parquet": (lambda folder: transitions.read(folder / "transitions.parquet"), PARQUET),
    "episodes.parquet": (
        lambda folder: tables.read_parquet(folder / "episodes.parquet", ["episode", "return"]),
        PARQUET,
    ),
    "rollouts.parquet": (lambda folder: tables.read_rollouts([folder / "rollouts.parquet"], "report"), PARQUET),
    "onnx/tiny-s3.onnx": (lambda folder: load_policy(folder / "onnx/tiny-s3.json"), BINARY),
    "xgboost/tiny-s3.ubj": (lambda folder: load_policy(folder / "xgboost/tiny-s3.json"), BINARY),
    "catboost/tiny-s3.cbm": (lambda folder: load_policy(folder / "catboost/tiny-s3.json"), BINARY),
    "onnx/tiny-s3.json": (lambda folder: load_policy(folder / "onnx/tiny-s3.json"), TEXT),
    "target.json": (lambda folder: tables.read_json(folder / "target.json", ["fraction"]), TEXT),
    "scores.csv": (lambda folder: tables.concatenate([folder / "scores.csv"], folder / "all.csv"), TEXT),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of every kind."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("onnx", "xgboost", "catboost"):
        (folder / name).mkdir()
    record(folder / "raw.hdf5", [30] * 40, cut=5)
    write_provenance(folder)
    make_transitions(folder)
    play_file(write_policy(folder / "onnx"), folder / "rollouts.parquet")
    for library in ("xgboost", "catboost"):
        write_forest(folder / library, library)
    files.write_json(folder / "target.json", {"fraction": 1.0})
    (folder / "scores.csv").write_text("method,score\nmlp,50.0\nbc,40.0\n")
    return folder


@pytest.mark.parametrize(("name", "damage"), [(name, how) for name, (_, all_) in READERS.items() for how in all_])
def test_a_damaged_file_is_named_with_the_way_out(made: Path, name: str, damage: str) -> None:
    read, _ = READERS[name]
    path = made / name
    read(made)
    before = path.read_bytes()
    try:
        path.write_bytes(DAMAGES[damage](path))
        rest = files.sha256(made)
        with pytest.raises(InputError) as error:
            read(made)
        assert str(path) in str(error.value)
        assert re.search(r"delete (it|both) and run snakemake again", str(error.value)), str(error.value)
        assert files.sha256(made) == rest
    finally:
        path.write_bytes(before)
    read(made)


@pytest.mark.parametrize("name", ["transitions.parquet", "rollouts.parquet"])
def test_whatever_bit_flips_no_other_values_are_read(made: Path, tmp_path: Path, name: str) -> None:
    """Pages have checksums. The footer has none; what it says of the columns is compared with what is expected."""

    def read(path: Path) -> pd.DataFrame:
        if name == "transitions.parquet":
            rows = transitions.read(path, transitions.SPLITS)
            return pd.DataFrame(np.column_stack([rows.observations, rows.actions, rows.rtg, rows.episodes, rows.steps]))
        return tables.read_parquet(path, tables.ROLLOUT_COLUMNS)

    content, expected = (made / name).read_bytes(), read(made / name)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        copy = tmp_path / name
        copy.write_bytes(flip(content, int(generator.integers(len(content))), int(generator.integers(8))))
        try:
            pd.testing.assert_frame_equal(read(copy), expected)
        except InputError:
            refused += 1
    assert refused > 100


def test_whatever_bit_flips_in_an_hdf5_file_is_noticed_where_it_is_compressed(tmp_path: Path) -> None:
    """Deflate's own checksum. Of values that are stored as they are HDF5 has none: raw.json's SHA-256 is."""
    path = store(tmp_path / "raw.hdf5", arrays(200), compression="gzip")
    content, expected = path.read_bytes(), datasets.load_dataset(path)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        path.write_bytes(flip(content, int(generator.integers(len(content))), int(generator.integers(8))))
        try:
            found = datasets.load_dataset(path)
        except InputError:
            refused += 1
        else:
            for name in ("observations", "actions", "rewards", "terminals", "timeouts"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert refused > 30


def trained(folder: Path) -> Path:
    """What a trained directory is to who has not yet unpickled it."""
    directory = folder / "ac0"
    (directory / "models").mkdir(parents=True)
    (directory / "predictor.pkl").write_bytes(b"pickled")
    (directory / "models" / "model.pkl").write_bytes(b"pickled, too")
    directories.record(directory)
    # As Snakemake does when the job has ended.
    (directory / ".snakemake_timestamp").touch()
    directories.check(directory)
    return directory


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: (d / "models/model.pkl").write_bytes(b"pickled, tou"), "changed, added or lost"),
        (lambda d: (d / "models/model.pkl").write_bytes(b"pickle"), "changed, added or lost"),
        (lambda d: (d / "models/model.pkl").unlink(), "changed, added or lost"),
        (lambda d: (d / "models/model.pkl").rename(d / "model.pkl"), "changed, added or lost"),
        (lambda d: (d / "more.pkl").write_bytes(b""), "changed, added or lost"),
        (lambda d: (d.parent / "ac0.sha256").unlink(), "cannot be read"),
        (lambda d: (d.parent / "ac0.sha256").write_bytes(b"\xff"), "cannot be read"),
        (lambda d: (d.parent / "ac0.sha256").write_text(""), "changed, added or lost"),
        (lambda d: d.rename(d.parent / "elsewhere"), "does not exist; run snakemake again"),
    ],
)
def test_a_changed_autogluon_directory_is_refused_before_it_is_loaded(
    tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    directory = trained(tmp_path)
    change(directory)
    with pytest.raises(InputError, match=told) as error:
        Predictors([directory], outcomes.AVERAGE, chain=False, threads=1)
    assert str(directory) in str(error.value)
    assert "run snakemake again" in str(error.value)


CONFIG = {
    "datasets": [{"name": "hopper-mine", "provider": "file", "task": "hopper", "path": "mine.hdf5"}],
    "device": "cpu",
    "methods": [{"name": "mlp", "kind": "mlp", "network": {"width": 8, "layers": 1}, "updates": 20}],
    "rollout": {"fractions": [1.0], "selection_episodes": 1, "report_episodes": 2},
}


def test_a_damaged_table_costs_what_is_made_of_it_and_no_more(tmp_path: Path) -> None:
    """The run ends with the message that says what to do; what it says is enough."""
    project = copy_project(tmp_path / "project")
    store(project / "mine.hdf5", arrays(2000))
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    # The configuration alone, without the shipped one's methods.
    rollout = "results/hopper-mine/rollouts/mlp-s0.d4rl.{}.parquet"
    arguments = ("--configfile", "tiny.yaml", "--cores", "2", *map(rollout.format, ("selection", "report")))
    snakemake(*arguments, directory=project)
    table, policy = project / "results/hopper-mine/transitions.parquet", project / "results/hopper-mine/policies"
    made = {path: path.read_bytes() for path in (table, policy / "mlp-s0.onnx", policy / "mlp-s0.json")}
    times = table.stat()
    flip_value(table, table)
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    (policy / "mlp-s0.onnx").write_bytes(made[policy / "mlp-s0.onnx"][:100])

    done = snakemake(*arguments, directory=project, check=False)
    assert done.returncode != 0
    assert re.search(r"error: results/hopper-mine/policies/mlp-s0\.onnx: .*delete it and run snakemake", done.stdout)
    assert "Traceback" not in done.stdout
    assert table.exists() and (policy / "mlp-s0.json").read_bytes() == made[policy / "mlp-s0.json"]

    (policy / "mlp-s0.onnx").unlink()
    done = snakemake(*arguments, directory=project, check=False)
    assert re.search(r"error: results/hopper-mine/transitions\.parquet: .*delete it and run snakemake", done.stdout)
    assert "Traceback" not in done.stdout

    table.unlink()
    snakemake(*arguments, directory=project)
    assert table.read_bytes() == made[table]
    assert (policy / "mlp-s0.onnx").stat().st_size > 100
    assert json.loads((project / "results/hopper-mine/raw.json").read_text())["sha256"]
    assert "Nothing to be done" in snakemake(*arguments, "-n", directory=project).stdout
