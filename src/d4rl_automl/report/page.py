"""One offline page that shows a run: what it was, its scores, its figures."""

import base64
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from d4rl_automl.core import doubts, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card
from d4rl_automl.evaluation.costs import COLUMNS as COST_COLUMNS
from d4rl_automl.figures.table import FIGURES

_FOLDER = Path(__file__).parent
CAPTIONS = _FOLDER / "captions"
"""One caption per kind of figure and table, in plain text."""
RULES = {"selected": "Selected target", "fixed": "Fixed target (the expert's return)", "all": "All targets together"}
PACKAGES = (
    "d4rl-automl",
    "autogluon.tabular",
    "torch",
    "mujoco",
    "gymnasium",
    "onnxruntime",
    "numpy",
    "pandas",
    "rliable",
    "snakemake",
)

_SCORE_COLUMNS = (
    "dataset",
    "provider",
    "method",
    "kind",
    "seed",
    "simulator",
    "target",
    "episodes",
    "normalised",
    "doubts",
    "teacher_doubts",
)
_SUMMARY_COLUMNS = (
    "provider",
    "suite",
    "method",
    "simulator",
    "target",
    "datasets",
    "seeds",
    "mean",
    "iqm",
    "iqm_low",
    "iqm_high",
    "optimality_gap",
    "optimality_gap_low",
    "optimality_gap_high",
    "no_interval",
)
_STUDENT_COLUMNS = (
    "method",
    "kind",
    "seed",
    "teacher",
    "l2_data",
    "l2_teacher",
    "bytes",
    "rows_per_second",
    "rows",
)


def write(
    scores: str | Path,
    summary: str | Path,
    *,
    comparisons: str | Path,
    costs: str | Path,
    students: Sequence[str | Path],
    cards: Sequence[str | Path],
    figures: Sequence[str | Path],
    config: Mapping[str, Any],
    output: str | Path,
) -> None:
    """Write the page: one HTML file that needs nothing else, but links to the CSV and SVG files beside it.

    `scores`, `summary` and `comparisons`: CSV of `statistics.score`, the last only linked
    to; `costs`: CSV of `costs.measure`; `students`: CSV of `comparison.compare`, one per dataset, at
    results/{dataset}/students.csv; `cards`: JSON of `card.write`, one per dataset, with card.md
    beside it; `figures`: PNG files of `figures.style.save`, with the SVG and CSV beside them;
    `config`: the validated configuration. Raises InputError for a file that is missing, empty or
    corrupt, and for one of a dataset that the configuration does not name.
    """
    names = [dataset["name"] for dataset in config["datasets"]]
    score_table = tables.read_csv(scores, _SCORE_COLUMNS)
    summary_table = tables.read_csv(summary, _SUMMARY_COLUMNS)
    for dataset in score_table["dataset"].unique():
        _refuse_unknown(scores, dataset, names)
    folder = Path(output).parent
    compared = {}
    for path in students:
        dataset = Path(path).parent.name
        _refuse_unknown(path, dataset, names)
        rows = _students(tables.read_csv(path, _STUDENT_COLUMNS), score_table[score_table["dataset"] == dataset])
        compared[dataset] = {**rows, "link": os.path.relpath(path, folder)}
    described = {}
    for path in cards:
        found = card.read(path)
        facts = card.summary(found)
        _refuse_unknown(path, facts["dataset"], names)
        described[facts["dataset"]] = {
            **facts,
            "doubts": found["doubts"],
            "link": os.path.relpath(Path(path).with_suffix(".md"), folder),
        }
    missing = [name for name in names if name not in described]
    if missing:
        raise InputError(f"cards: the card of dataset {missing[0]!r} is missing; pass one for each dataset")
    if not Path(comparisons).is_file():
        raise InputError(f"{comparisons}: is missing; score the rollouts again")
    shown = sorted((_figure(path, folder, names) for path in figures), key=lambda figure: figure["order"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("template.html.j2").render(
        style=(_FOLDER / "style.css").read_text(encoding="utf-8"),
        config=config,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        embedded=[dataset["name"] for dataset in config["datasets"] if dataset["provider"] == "embedded"],
        versions={"Python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        grids=_grids(score_table),
        teacher_doubts=_teacher_doubts(score_table),
        scores=_as_text(
            score_table.drop(columns=["provider", "kind", *doubts.COLUMNS]).dropna(axis="columns", how="all")
        ),
        scores_link=os.path.relpath(scores, folder),
        summary=_summary(summary_table),
        summary_link=os.path.relpath(summary, folder),
        costs=_as_text(tables.read_csv(costs, COST_COLUMNS).drop(columns="kind")),
        costs_link=os.path.relpath(costs, folder),
        comparisons_link=os.path.relpath(comparisons, folder),
        overall=[figure for figure in shown if figure["dataset"] is None],
        students=compared,
        cards=described,
        figures={name: [figure for figure in shown if figure["dataset"] == name] for name in names},
        caption=_caption,
    )
    with files.whole(output) as part:
        part.write_text(page, encoding="utf-8")


def _refuse_unknown(path: str | Path, dataset: str, names: Sequence[str]) -> None:
    if dataset not in names:
        raise InputError(f"{path}: is of dataset {dataset!r}; the config has {', '.join(names)}")


def _caption(kind: str) -> str:
    return (CAPTIONS / f"{kind}.rst").read_text(encoding="utf-8").strip()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _figure(path: str | Path, folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What the page shows of one PNG, and the order of the page."""
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            facts = json.loads(image.info["d4rl_automl"])
            width = image.width
        content = path.read_bytes()
    except (OSError, SyntaxError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is no PNG of this project's figures ({error!r}); draw it again") from None
    dataset = facts.get("dataset")
    if dataset is not None:
        _refuse_unknown(path, dataset, names)
    links = {}
    for ending in ("csv", "svg"):
        beside = path.with_name(path.name.removesuffix(".png") + f".{ending}")
        if not beside.is_file():
            raise InputError(f"{beside}: is missing beside {path.name}; draw the figure again")
        links[ending.upper()] = os.path.relpath(beside, folder)
    about = {key: value for key, value in facts.items() if key not in ("kind", "dataset")}
    return {
        "dataset": dataset,
        "kind": facts["kind"],
        "title": FIGURES[facts["kind"]].title,
        "about": ", ".join(f"{key} {value}" for key, value in about.items()),
        "order": (list(FIGURES).index(facts["kind"]), [str(value) for value in about.values()]),
        # PNGs have 150 dots per inch, a page 96.
        "width": round(width * 96 / 150),
        "source": "data:image/png;base64," + base64.b64encode(content).decode(),
        "links": links,
    }


def _grids(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Tables datasets × methods, one per simulator and target rule."""
    grids = []
    for rule, title in RULES.items():
        for simulator in scores["simulator"].unique():
            part = scores[(scores["target"] == rule) & (scores["simulator"] == simulator)]
            if part.empty:
                continue
            methods = list(part["method"].unique())
            rows = []
            for dataset, own in part.groupby("dataset", sort=False):
                by_method = {
                    method: _mean_and_spread(rows["normalised"]) + " †" * bool(rows["teacher_doubts"].notna().any())
                    for method, rows in own.groupby("method")
                }
                cells = [by_method.get(method, "") for method in methods]
                rows.append({"dataset": dataset, "provider": own["provider"].iloc[0], "cells": cells})
            grids.append({"rule": rule, "title": title, "simulator": simulator, "methods": methods, "rows": rows})
    return grids


def _teacher_doubts(scores: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """What is doubtful about teachers, by the dataset and the methods that were taught by them."""
    found: dict[tuple[str, str], list[str]] = {}
    doubtful = scores.dropna(subset="teacher_doubts").groupby(["dataset", "teacher_doubts"], sort=False)
    for key, rows in doubtful:
        dataset, said = map(str, key)
        found.setdefault((dataset, ", ".join(rows["method"].unique())), []).append(said)
    return found


def _mean_and_spread(values: pd.Series) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else "")


def _summary(summary: pd.DataFrame) -> dict[str, Any]:
    header = ["provider", "suite", "method", "simulator", "target", "datasets", "seeds", "mean"]
    for name in ("IQM", "optimality gap"):
        header += [name, "95 % interval"]
    rows = []
    for row in summary.to_dict("records"):
        cells = [str(row[name]) for name in header[:7]] + [f"{row['mean']:.1f}"]
        for name in ("iqm", "optimality_gap"):
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            cells += [f"{row[name]:.1f}", row["no_interval"] if pd.isna(low) else f"{low:.1f} to {high:.1f}"]
        rows.append(cells)
    return {"header": header, "rows": rows, "text_columns": 5}


def _students(students: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any]:
    """The comparison with the scores at the selected target joined, one column per simulator."""
    selected = scores[scores["target"] == "selected"]
    simulators = list(selected["simulator"].unique())
    found = {(row["method"], row["seed"], row["simulator"]): row["normalised"] for row in selected.to_dict("records")}
    header = ["method", "kind", "compared with", "seed", "L2, data", "L2, teacher", "size", "rows/s", "trained on"]
    header += [f"score, {simulator}" for simulator in simulators]
    rows = []
    for row in students.to_dict("records"):
        own = [found.get((row["method"], row["seed"], simulator)) for simulator in simulators]
        rows.append(
            [row["method"], row["kind"], _text(row["teacher"]), str(row["seed"])]
            + [_number(row["l2_data"], ".5f"), _number(row["l2_teacher"], ".5f"), _size(row["bytes"])]
            + [_number(row[name], ",.0f") for name in ("rows_per_second", "rows")]
            + [_number(value, ".1f") for value in own]
        )
    return {"header": header, "rows": rows, "text_columns": 3}


def _as_text(table: pd.DataFrame) -> dict[str, Any]:
    """Any table, as text: numbers with two digits, missing values empty."""
    text = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    columns = [*text, *(name for name in table.columns if name not in text)]
    rows = [[_text(row[name]) for name in columns] for row in table.to_dict("records")]
    return {"header": columns, "rows": rows, "text_columns": len(text)}


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _number(value: float | None, form: str) -> str:
    return "" if value is None or pd.isna(value) else format(value, form)


def _size(size: float) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
