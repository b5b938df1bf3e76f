"""The proof that a change of the code changes no result: config/every-kind.yaml run before and after, and compared.

    python tests/support/every_kind.py run CHECKOUT FOLDER [--simulators d4rl gymnasium mujoco-py]
    python tests/support/every_kind.py compare BEFORE AFTER

`run` copies a checkout into a new folder, makes the files that the config names (in D4RL's layout, of noise), lets the
copy's catalogue expect them, makes RvS-G brief there, whose published size is a night's work whatever the dataset, and
runs the workflow. `compare` tells, for every file of results/, whether both
runs have it, and what differs; it ends with 1 where something does.

What may differ: times, versions and paths; the SHA-256 of what holds those; and settings in a policy's handle that one
of the runs does not name or leaves empty, because it is the default. AutoGluon's directories are pickles that hold
times: of them the files' names are compared here, and their predictions in metrics, labels and rollouts.
"""

import argparse
import csv
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import catboost
import h5py
import numpy as np
import onnx
import pandas as pd
import pyarrow.parquet as pq
import yaml

CONFIG = "config/every-kind.yaml"
# Observation and action sizes, rows, and the episodes' length.
FILES = {
    "d4rl/hopper_medium-v2.hdf5": (11, 3, 600, 50),
    "d4rl/Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5": (29, 8, 1000, 100),
    "walker2d.hdf5": (17, 6, 1000, 100),
}
TIMES = ("seconds", "per_second", "microseconds_per_action", "memory", "time", "mtime_ns")
"""How the names of keys and columns end that tell times and memory."""
VOLATILE = {
    *("mujoco", "numpy", "gymnasium", "versions", "path", "directory_sha256", "policy_sha256"),
    *("obtained_from", "peak_memory_mb", "largest_difference", "bytes"),
}
"""Keys and columns that tell versions, paths, or the SHA-256 or size of what holds times."""


# Running -----------------------------------------------------------------------------------------


def run(checkout: Path, folder: Path, simulators: list[str]) -> None:
    """Run every kind in a copy of `checkout` at `folder`; with simulators, in these instead of the config's."""
    shutil.copytree(
        checkout,
        folder,
        ignore=shutil.ignore_patterns(".git", ".venv*", "results", "logs", ".snakemake", "__pycache__", "*_cache"),
    )
    for name, shape in FILES.items():
        write_hdf5(folder / name, *shape)
    make_brief(folder)
    catalogue = next(folder.rglob("catalogue.csv"))
    expect(catalogue, folder / "d4rl")
    overlay = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    overlay |= {"simulators": simulators} if simulators else {}
    (folder / "mine.yaml").write_text(yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")
    snakemake = Path(sys.executable).with_name("snakemake")
    subprocess.run([snakemake, "--cores", "2", "--configfile", "mine.yaml", "--quiet", "rules"], cwd=folder, check=True)


def write_hdf5(path: Path, observation_size: int, action_size: int, rows: int, length: int) -> None:
    """A file in the layout of D4RL's, of noise from a fixed seed."""
    rng = np.random.default_rng(0)
    at_goal = (np.arange(rows) % length > 0.9 * length).astype(np.float32)
    maze = "maze" in path.name
    content = {
        "observations": rng.uniform(0, 0.1, (rows, observation_size)).astype(np.float32),
        "actions": rng.uniform(-1.1, 1, (rows, action_size)).astype(np.float32),
        "rewards": at_goal if maze else rng.uniform(0, 1, rows).astype(np.float32),
        "terminals": at_goal if maze else np.zeros(rows, bool),
        "timeouts": np.arange(rows) % length == length - 1,
    }
    path.parent.mkdir(exist_ok=True)
    # Without times, so that the same content is the same file.
    with h5py.File(path, "w", track_order=False) as file:
        for name, values in content.items():
            file.create_dataset(name, data=values, track_times=False)


def make_brief(project: Path) -> None:
    """Let RvS-G have few updates of small batches in a copy of the project; one that has no such method stays."""
    for source in project.rglob("methods/rvs_g.py"):
        text = source.read_text(encoding="utf-8")
        brief = re.sub(r"^UPDATES = \d[\d_]*$", "UPDATES = 20", text, flags=re.M)
        brief = re.sub(r"^BATCH_SIZE = \d[\d_]*$", "BATCH_SIZE = 256", brief, flags=re.M)
        assert brief.count("= 20\n") == brief.count("= 256\n") == 1, source
        source.write_text(brief, encoding="utf-8")


def expect(catalogue: Path, folder: Path) -> None:
    """Let a catalogue expect the files of a folder, each under its own name at the end of a URL."""
    with catalogue.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for row in rows:
        content = files.get(Path(row["url"]).name)
        if content is not None:
            row |= {"size_bytes": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
    with catalogue.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


# Comparing ---------------------------------------------------------------------------------------


def compare(before: Path, after: Path) -> bool:
    """Print what differs between the results of two runs; whether nothing does."""
    kept = [{str(p.relative_to(run / "results")): p for p in files_of(run / "results")} for run in (before, after)]
    same: Counter[str] = Counter()
    different = 0
    for name in sorted(set(kept[0]) | set(kept[1])):
        one, other = (files.get(name) for files in kept)
        if one is None or other is None:
            differences = [f"only {'after' if one is None else 'before'}"]
            kind = "missing"
        else:
            kind, compared = how(name)
            differences = list(compared(one, other))
        if differences:
            different += 1
            print(f"{name}: {'; '.join(differences[:4])}{' …' if len(differences) > 4 else ''}")
        else:
            same[kind] += 1
    print(f"{sum(same.values())} files are the same: {', '.join(f'{n} {kind}' for kind, n in sorted(same.items()))}")
    print(f"{different} differ")
    return different == 0


def files_of(results: Path) -> Iterator[Path]:
    """The files of a run that are results: Snakemake's own, measured times and the page are not."""
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        if path.is_file() and parts[0] not in ("benchmarks", "report", "arguments") and not path.name.startswith("."):
            yield path


def how(name: str) -> tuple[str, Callable[[Path, Path], Iterator[str]]]:
    """What a file of results/ is, and how two of them are compared."""
    path = Path(name)
    if ("teachers" in path.parts and len(path.parts) > 4) or ("distilled" in path.parts and len(path.parts) > 4):
        return "in AutoGluon's directories, by name", lambda _, __: iter(())
    kinds: dict[str, tuple[str, Callable[[Path, Path], Iterator[str]]]] = {
        ".json": ("JSON", json_files),
        ".csv": ("CSV", csv_files),
        ".parquet": ("Parquet", parquet_files),
        ".onnx": ("ONNX", onnx_files),
        ".cbm": ("CatBoost", catboost_files),
        ".png": ("figures, by name", lambda _, __: iter(())),
        ".svg": ("figures, by name", lambda _, __: iter(())),
        ".sha256": ("SHA-256 of pickles, by name", lambda _, __: iter(())),
        ".md": ("Markdown", text_files),
    }
    return kinds.get(path.suffix, ("byte for byte", whole_files))


def whole_files(before: Path, after: Path) -> Iterator[str]:
    """Byte for byte."""
    if before.read_bytes() != after.read_bytes():
        yield "other bytes"


def text_files(before: Path, after: Path) -> Iterator[str]:
    """Line for line, but for lines that name a path."""
    one, other = (path.read_text(encoding="utf-8").splitlines() for path in (before, after))
    if len(one) != len(other):
        yield f"{len(one)} and {len(other)} lines"
    for number, (line, another) in enumerate(zip(one, other, strict=False), 1):
        if line != another and not line.startswith(("| path", "| obtained from")):
            yield f"line {number}: {line!r} and {another!r}"


def json_files(before: Path, after: Path) -> Iterator[str]:
    """Value for value."""
    yield from values(json.loads(before.read_text()), json.loads(after.read_text()), "")


def csv_files(before: Path, after: Path) -> Iterator[str]:
    """Cell for cell."""
    yield from frames(pd.read_csv(before), pd.read_csv(after))


def parquet_files(before: Path, after: Path) -> Iterator[str]:
    """Cell for cell, and the metadata."""
    one, other = pq.read_table(before), pq.read_table(after)
    metadata = [json.loads((table.schema.metadata or {}).get(b"d4rl_automl", b"{}")) for table in (one, other)]
    yield from values(metadata[0], metadata[1], "metadata")
    if not one.schema.equals(other.schema):
        yield "other columns"
    else:
        yield from frames(one.to_pandas(), other.to_pandas())


def onnx_files(before: Path, after: Path) -> Iterator[str]:
    """Byte for byte; where the metadata differ by what may, the graph alone is so compared."""
    if before.read_bytes() == after.read_bytes():
        return
    models = [onnx.load(str(path)) for path in (before, after)]
    metadata = [{prop.key: prop.value for prop in model.metadata_props} for model in models]
    told = [{key: json.loads(v) if v[:1] in "[{" and v else v for key, v in one.items()} for one in metadata]
    yield from values(told[0], told[1], "metadata")
    if models[0].graph.SerializeToString(deterministic=True) != models[1].graph.SerializeToString(deterministic=True):
        yield "another graph"


def catboost_files(before: Path, after: Path) -> Iterator[str]:
    """Tree for tree: the file also says when it was made."""
    trees = []
    for path in (before, after):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.json")
            catboost.CatBoost().load_model(str(path)).save_model(str(file), format="json")
            model = json.loads(file.read_text())
        trees.append({key: value for key, value in model.items() if key != "model_info"})
    if trees[0] != trees[1]:
        yield "other trees"


def frames(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[str]:
    """Cell for cell, but for columns that may differ."""
    if list(before.columns) != list(after.columns):
        yield f"columns {list(before.columns)} and {list(after.columns)}"
        return
    if len(before) != len(after):
        yield f"{len(before)} and {len(after)} rows"
        return
    for name in before.columns:
        one, other = before[name], after[name]
        if may_differ(name) or one.equals(other):
            continue
        rows = np.flatnonzero(~((one == other) | (one.isna() & other.isna())).to_numpy(bool))
        if len(rows):
            yield f"column {name}: {len(rows)} of {len(one)}, first {one.iloc[rows[0]]!r} and {other.iloc[rows[0]]!r}"


def values(before: Any, after: Any, where: str) -> Iterator[str]:
    """Value for value, but for keys that may differ; a key that one lacks must be empty or a default in the other."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if may_differ(key) or (where.endswith(("settings", "teacher")) and not (key in before and key in after)):
                continue
            # An exported teacher's file holds the SHA-256 of AutoGluon's directories, CatBoost's when it was made.
            if key == "sha256" and ("directories" in before.get("training", {}) or before.get("format") == "catboost"):
                continue
            if key not in before or key not in after:
                yield f"{where}.{key}: only {'after' if key in after else 'before'}"
            else:
                yield from values(before[key], after[key], f"{where}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from values(*pair, f"{where}[{index}]")
    elif before != after and not (isinstance(before, float) and math.isnan(before) and math.isnan(after)):
        yield f"{where}: {before!r} and {after!r}"


def may_differ(key: str) -> bool:
    """Whether a key or column tells a time, a version, a path, or the SHA-256 of what holds one."""
    return key in VOLATILE or key.endswith(TIMES) or key.startswith(("pred_time_", "fit_time_"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("checkout", type=Path)
    running.add_argument("folder", type=Path)
    running.add_argument("--simulators", nargs="+", default=[])
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "run":
        run(given.checkout, given.folder, given.simulators)
    elif not compare(given.before, given.after):
        sys.exit(1)


if __name__ == "__main__":
    main()
