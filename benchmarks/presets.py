"""AutoGluon's presets on one embedded dataset at equal core seconds: the loss of each action dimension, and by which
models.

Every preset is fitted to every dimension as scripts/train_teacher.py does, one fit after another, dimension by
dimension. What is done is kept below the output folder, so a run that was killed goes on where it was; the table
(presets.csv there) is written anew after every fit. The budget is wall time on so many threads: on a machine that does
other things too, processor seconds fall short of it. `--play 10` then plays each preset whose dimensions are all done.

The column l2_2022 is what the notes had that this project began from, of D4RL's dataset of that name.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from support import RESULTS, ROOT, reporting
from support.prepared import SPLIT
from support.processes import CORES

from d4rl_automl import tasks
from d4rl_automl.core.files import RESOURCES, write_json
from d4rl_automl.data import catalogue, collection, making
from d4rl_automl.teachers.settings import TeacherSettings

DATASET = "halfcheetah-medium-expert-embedded-v1"
NOTES = RESOURCES / "autogluon_l2.csv"
PRESETS = ("medium", "good", "high", "best")
FIRST = (3, 5)
"""Dimensions that come first: those that were looked at before."""


def transitions_of(folder: Path) -> Path:
    """The dataset's transitions table, collected where it is not there yet."""
    output = folder / "transitions.parquet"
    if not output.exists():
        print(f"collecting {DATASET}", file=sys.stderr)
        entry: Any = catalogue.entry(DATASET)
        folder.mkdir(parents=True, exist_ok=True)
        collection.collect(entry, folder / "raw.hdf5", folder / "raw.json", CORES)
        making.make_transitions(
            folder / "raw.hdf5",
            folder / "raw.json",
            SPLIT,
            output=output,
            episodes_output=folder / "episodes.parquet",
        )
    return output


def fit(settings: TeacherSettings, dimension: int, transitions: Path, folder: Path) -> dict[str, Any] | None:
    """Fit one dimension in a process of its own; what it came to, kept as JSON at the end. None where it failed."""
    done = folder / f"ac{dimension}.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if (found["budget"], found["threads"]) != (settings.budget, settings.threads):
            sys.exit(f"{done}: has {found['budget']} core seconds on {found['threads']} threads; give another --output")
        return found
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "predictor": folder / f"ac{dimension}",
        "deployed": folder / "deployed" / f"ac{dimension}",
        "metrics": folder / f"ac{dimension}.csv",
        "leaderboard": folder / f"ac{dimension}.leaderboard.csv",
    }
    command = [sys.executable, str(ROOT / "scripts" / "train_teacher.py"), "--settings", settings.model_dump_json()]
    command += ["--transitions", str(transitions), "--dimension", str(dimension), "--seed", "0", "--device", "cpu"]
    command += ["--threads", str(settings.threads)]
    command += [word for name, file in files.items() for word in (f"--{name}", str(file))]
    print(f"{time.strftime('%H:%M')} {settings.preset}, ac{dimension}", file=sys.stderr)
    before = processor_seconds()
    log = folder / f"ac{dimension}.log"
    with log.open("w", encoding="utf-8") as lines:
        if subprocess.run(command, stdout=lines, stderr=subprocess.STDOUT, check=False).returncode:
            print(f"failed, the others go on: {log.read_text(encoding='utf-8').splitlines()[-1]}", file=sys.stderr)
            return None
    spent = processor_seconds() - before
    # Only what plays is kept: the folds of a bagging preset are gigabytes.
    shutil.rmtree(files["predictor"])
    row = pd.read_csv(files["metrics"]).iloc[0]
    board = pd.read_csv(files["leaderboard"])
    fitted = board[(board["status"] == "fitted") & ~board["model"].str.startswith("WeightedEnsemble")]
    found = {
        "dataset": DATASET,
        "preset": settings.preset,
        "dimension": dimension,
        "rows": int(row.train_rows),
        "threads": settings.threads,
        "budget": settings.budget,
        "seconds": float(row.fit_seconds),
        "processor_seconds": round(spent, 1),
        "l2": float(row.mse),
        "models": int((~fitted["model"].str.endswith("_FULL")).sum()),
        "families": " ".join(sorted(fitted["family"].unique())),
        "best_model": row.best_model,
        "doubts": "" if pd.isna(row.doubts) else row.doubts,
    }
    write_json(done, found)
    return found


def processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def played(preset: str, transitions: Path, folder: Path, episodes: int) -> dict[str, Any] | None:
    """The preset's returns at the expert's return; None as long as a dimension of it is missing."""
    size = tasks.get("halfcheetah").action_size
    if not all((folder / f"ac{dimension}.json").exists() for dimension in range(size)):
        return None
    output = folder / f"report-{episodes}.parquet"
    if not output.exists():
        handle = folder / "policy.json"
        settings = json.dumps({"name": f"{preset}-teacher", "kind": "teacher", "teacher": preset})
        deployed = [str(folder / "deployed" / f"ac{dimension}") for dimension in range(size)]
        command = [sys.executable, str(ROOT / "scripts" / "fit_policy.py"), "--settings", settings]
        command += ["--transitions", str(transitions), "--deployed", *deployed, "--seed", "0", "--device", "cpu"]
        subprocess.run([*command, "--threads", "1", "--output", str(handle)], check=True)
        command = [sys.executable, str(ROOT / "scripts" / "rollout.py"), "--policy", str(handle), "--dataset", DATASET]
        command += ["--simulator", "d4rl", "--fractions", "1.0", "--seed", "0", "--threads", str(CORES)]
        subprocess.run([*command, "--play", "report", str(episodes), str(output)], check=True)
    rollouts = pd.read_parquet(output)
    return {
        "preset": preset,
        "episodes": len(rollouts),
        "mean_return": rollouts["return"].mean(),
        "normalised": rollouts["normalised_score"].mean(),
        "standard_error": rollouts["normalised_score"].sem(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=Path, help=f"table of {DATASET}; collected when left out")
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--dimensions", nargs="+", type=int, help="in this order; default: 3, 5 and then the others")
    parser.add_argument("--rows", type=int, default=100_000, help="training rows drawn")
    parser.add_argument("--budget", type=float, default=1_200, help="core seconds a dimension")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--play", type=int, metavar="EPISODES", help="play them too, commanded the expert's return")
    parser.add_argument("--output", type=Path, default=RESULTS / "presets", help="folder")
    arguments = parser.parse_args()
    output: Path = arguments.output
    transitions = arguments.transitions or transitions_of(output / "data")
    others = [i for i in range(tasks.get("halfcheetah").action_size) if i not in FIRST]
    notes = pd.read_csv(NOTES).set_index(["preset", "dimension"])["l2"]
    rows = []
    for dimension in arguments.dimensions or [*FIRST, *others]:
        for preset in arguments.presets:
            settings = TeacherSettings(
                name=preset,
                preset=preset,
                rows=arguments.rows,
                time_limit=arguments.budget / arguments.threads,
                threads=arguments.threads,
            )
            found = fit(settings, dimension, transitions, output / preset)
            if found is None:
                continue
            rows.append({**found, "l2_2022": notes[preset, dimension]})
            pd.DataFrame(rows).to_csv(output / "presets.csv", index=False)
    reporting.show(rows)
    if arguments.play:
        scores = [played(preset, transitions, output / preset, arguments.play) for preset in arguments.presets]
        kept = [score for score in scores if score]
        pd.DataFrame(kept).to_csv(output / "returns.csv", index=False)
        reporting.show(kept)


if __name__ == "__main__":
    main()
