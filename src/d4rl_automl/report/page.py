"""One offline page that shows a run: its answer, its scores and costs, its figures, and how it was made.

The page is one HTML file. Its pictures and films stay where they are in results/, and load when they are looked at.
"""

import base64
import hashlib
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

from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card
from d4rl_automl.evaluation import standings as standing
from d4rl_automl.evaluation.costs import COLUMNS as COST_COLUMNS
from d4rl_automl.figures import style
from d4rl_automl.figures.table import CAPTIONS, FIGURES
from d4rl_automl.report import answer, drawing
from d4rl_automl.report.cells import Table, number, size, text

_FOLDER = Path(__file__).parent
COMMAND = "D4RL_AUTOML_COMMAND"
"""Environment variable with the command that the run was started with."""
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

_SCORE_COLUMNS = ("dataset", "provider", "method", "kind", "seed", "simulator", "target", "episodes", "normalised")
_STATISTICS = ("mean", "iqm", "iqm_low", "iqm_high", "optimality_gap", "optimality_gap_low", "optimality_gap_high")
_SUMMARY_COLUMNS = ("provider", "suite", "method", "simulator", "target", "datasets", "seeds", *_STATISTICS)
_STUDENT_COLUMNS = ("method", "kind", "seed", "teacher", "l2_data", "l2_teacher", "bytes", "rows_per_second", "rows")


def write(
    scores: str | Path,
    summary: str | Path,
    *,
    comparisons: str | Path,
    costs: str | Path,
    standings: Sequence[str | Path],
    students: Sequence[str | Path],
    teachers: Sequence[str | Path],
    cards: Sequence[str | Path],
    figures: Sequence[str | Path],
    films: Sequence[str | Path],
    config: Mapping[str, Any],
    plan: Mapping[str, Any],
    output: str | Path,
) -> None:
    """Write the page, with links to the files that it shows.

    Arguments
        scores, summary, comparisons: CSV of `statistics.score`; the last is only linked to.
        costs: CSV of `costs.measure`.
        standings: CSV of `standings.write`, one per dataset that policies are made of.
        students: CSV of `comparison.compare`, one per dataset, at results/{dataset}/students.csv.
        teachers: the teachers' metrics; their doubts, if they have any, stand beside the dataset's.
        cards: JSON of `card.write`, one per dataset, with card.md beside it.
        figures: PNG files of `figures.style.save`, with the SVG and CSV beside them.
        films: WebP files at results/{dataset}/films/, each with its still (PNG) and its facts (JSON: alt, which tells
            what it shows, width and height in pixels) beside it.
        config: the validated configuration.
        plan: `plan.graph.rules_before`.
        output: the page, results/report/index.html; results/benchmarks, if it is there, tells where time went.

    Raises InputError for a file that is missing, empty or corrupt, and for one of a dataset that the
    configuration does not name.
    """
    names = [dataset["name"] for dataset in config["datasets"]]
    methods = [method["name"] for method in config["methods"]]
    folder = Path(output).parent
    score_table = tables.read_csv(scores, _SCORE_COLUMNS)
    summary_table = tables.read_csv(summary, _SUMMARY_COLUMNS)
    cost_table = tables.read_csv(costs, COST_COLUMNS)
    stand = pd.concat([standing.read(path) for path in standings], ignore_index=True)
    for path, table in ((scores, score_table), (standings[0], stand)):
        for dataset in table["dataset"].unique():
            _refuse_unknown(path, dataset, names)
    if not Path(comparisons).is_file():
        raise InputError(f"{comparisons}: is missing; score the rollouts again")
    described = _cards(cards, folder, names)
    shown = sorted((_figure(path, folder, names) for path in figures), key=lambda figure: figure["order"])
    compared = {}
    for path in students:
        dataset = Path(path).parent.name
        _refuse_unknown(path, dataset, names)
        compared[dataset] = {"table": _students(path), "link": os.path.relpath(path, folder)}
    looks = style.looks(methods, methods)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_FOLDER / "script.js").read_text(encoding="utf-8")
    page = environment.get_template("template.html.j2").render(
        style=(_FOLDER / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        config=config,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        embedded=[dataset["name"] for dataset in config["datasets"] if dataset["provider"] == "embedded"],
        answers=answer.answers(stand, cost_table, {d["name"]: d["provider"] for d in config["datasets"]}, methods),
        intervals=bool(stand["low"].notna().any()),
        learned=list(dict.fromkeys(stand["dataset"])),
        standings={Path(path).parent.name: os.path.relpath(path, folder) for path in standings},
        looks=looks,
        marks={marker: style.svg_path(marker) for marker in style.MARKERS},
        matrices=_matrices(stand, methods),
        scores=_scores(stand, score_table, cost_table),
        summary=_summary(summary_table) if len(set(score_table["dataset"])) > 1 or len(config["seeds"]) > 1 else None,
        links={
            path.name: os.path.relpath(path, folder)
            for path in map(Path, (scores, summary, comparisons, costs))
        },
        overall=[figure for figure in shown if figure["dataset"] is None],
        students=compared,
        cards=described,
        doubts={name: [*described[name]["doubts"], *_teacher_doubts(teachers, name)] for name in names},
        figures={name: [figure for figure in shown if figure["dataset"] == name] for name in names},
        films={name: [_film(path, folder, names) for path in films if _dataset_of(path) == name] for name in names},
        caption=_caption,
        versions={"Python": platform.python_version(), **_versions()},
        command=os.environ.get(COMMAND, ""),
        plan=_plan(plan),
        jobs=sum(plan["rules"].values()),
        times=_times(folder.parent / "benchmarks", names),
    )  # fmt: skip
    with files.whole(output) as part:
        part.write_text(page, encoding="utf-8")


def _refuse_unknown(path: str | Path, dataset: str, names: Sequence[str]) -> None:
    if dataset not in names:
        raise InputError(f"{path}: is of dataset {dataset!r}; the config has {', '.join(names)}")


def _caption(kind: str) -> tuple[str, str]:
    """What is shown, which is the first sentence of a caption, and how to read it."""
    first, _, others = (CAPTIONS / f"{kind}.rst").read_text(encoding="utf-8").strip().partition(". ")
    return (f"{first}.", others) if others else (first, "")


def _versions() -> dict[str, str]:
    """Of the packages that are installed where the page is written."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


# What stands beside ----------------------------------------------------------------------------


def _cards(cards: Sequence[str | Path], folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
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
    return described


def _teacher_doubts(metrics: Sequence[str | Path], dataset: str) -> list[str]:
    """A line for every doubt about a predictor of a dataset's teachers."""
    said = []
    for path in metrics:
        table = tables.read_csv(path, ("dataset", "teacher", "seed", "dimension"))
        if "doubts" not in table or table["dataset"].iloc[0] != dataset:
            continue
        for row in table.dropna(subset="doubts").to_dict("records"):
            who = f"Teacher {row['teacher']}, training seed {row['seed']}, action dimension {row['dimension']}"
            said.append(f"{who}: {row['doubts']}")
    return said


def _figure(path: str | Path, folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What the page shows of one PNG, and the order of the page."""
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            facts = json.loads(image.info["d4rl_automl"])
            # PNGs have 150 dots per inch, a page 96.
            width, height = (round(pixels * 96 / style.DPI) for pixels in image.size)
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
    figure = FIGURES[facts["kind"]]
    return {
        "dataset": dataset,
        "kind": figure.name,
        "title": figure.title,
        "folded": figure.folded,
        "about": ", ".join(f"{key} {value}" for key, value in about.items()),
        "order": (list(FIGURES).index(figure.name), [str(value) for value in about.values()]),
        "width": width,
        "height": height,
        "source": os.path.relpath(path, folder),
        "links": links,
    }


def _dataset_of(film: str | Path) -> str:
    return Path(film).parents[1].name


def _film(path: str | Path, folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What the page shows of one film, by the facts beside it."""
    path = Path(path)
    _refuse_unknown(path, _dataset_of(path), names)
    facts = tables.read_json(path.with_suffix(".json"), ("alt", "width", "height"))
    for file in (path, path.with_suffix(".png")):
        if not file.is_file():
            raise InputError(f"{file}: is missing; make the film again")
    still = os.path.relpath(path.with_suffix(".png"), folder)
    return {**facts, "source": os.path.relpath(path, folder), "still": still}


# Tables ----------------------------------------------------------------------------------------


def _matrices(stand: pd.DataFrame, methods: Sequence[str]) -> list[dict[str, Any]]:
    """Datasets × methods at the selected target, one per simulator; none of a single dataset."""
    found = []
    for simulator, part in stand.groupby("simulator", sort=False):
        datasets = list(dict.fromkeys(part["dataset"]))
        if len(datasets) < 2:
            continue
        own = [method for method in methods if method in set(part["method"])]
        rows = {(row["dataset"], row["method"]): row for row in part.to_dict("records")}
        cells = {dataset: [rows.get((dataset, method)) for method in own] for dataset in datasets}
        found.append({"simulator": simulator, "methods": own, "rows": cells})
    return found


def _scores(stand: pd.DataFrame, scores: pd.DataFrame, costs: pd.DataFrame) -> Table:
    """Every method of every dataset: its score at the selected target, how sure, at other targets, and its costs."""
    by_method = ["dataset", "simulator", "method"]
    spread = scores[scores["target"] == "selected"].groupby(by_method)["normalised"].std(ddof=1)
    targets = scores.pivot_table(index=by_method, columns="target", values="normalised", aggfunc="mean")
    rows = stand.merge(spread.rename("spread").reset_index(), on=by_method, how="left")
    rows = rows.merge(targets.reset_index(), on=by_method, how="left")
    rows = rows.merge(costs.groupby(["dataset", "method"])[COST_COLUMNS[4:]].mean().reset_index(), how="left")
    rows["speed"] = 1e6 / rows["microseconds_per_action"]
    found = Table("Every method of every dataset", len(rows))
    for name in ("dataset", "simulator"):
        if rows[name].nunique() > 1:
            found.add(name, rows[name], text)
    found.add("method", rows["method"], text)
    found.add("score", rows["score"], number(".1f"))
    found.add("95 % interval", _intervals(rows, "low", "high"), str, "of the score")
    found.add("± seeds", rows["spread"], number(".1f"), "standard deviation over training seeds")
    found.add("behind", rows["behind"], number(".1f"), "points behind the best method of the dataset")
    found.add("target f", rows["fraction"], _fraction, "the selected target, in fractions of the expert's return")
    if "fixed" in rows and rows["fraction"].notna().any():
        found.add(
            "at f\u00a0=\u00a01.0", rows["fixed"], number(".1f"), "score at the fixed target, the expert's return"
        )
        found.add("all targets", rows["all"], number(".1f"), "mean score over all commanded targets")
    found.add(
        "processor time", rows["with_teacher_core_seconds"], answer.duration, "of making it, its teacher included"
    )
    found.add(
        "wall time",
        rows["with_teacher_seconds"],
        answer.duration,
        "of its jobs one after the other, its teacher's included",
    )
    found.add("peak memory", rows["peak_memory_mb"], number(",.0f", " MB"), "of its largest job")
    found.add("actions/s", rows["speed"], number(",.0f"), "of one thread, in batches of 2,000")
    found.add("size", rows["bytes"], size, "of the policy's files")
    return found


def _fraction(value: float) -> str:
    """A commanded fraction, with one decimal at least."""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def _summary(summary: pd.DataFrame) -> Table:
    found = Table("Statistics over datasets and training seeds", len(summary))
    for name in ("provider", "suite", "simulator"):
        if summary[name].nunique() > 1:
            found.add(name, summary[name], text)
    for name in ("target", "method"):
        found.add(name, summary[name], text)
    for name in ("datasets", "seeds"):
        found.add(name, summary[name], number("g"))
    found.add("mean", summary["mean"], number(".1f"))
    for name, title in (("iqm", "IQM"), ("optimality_gap", "optimality gap")):
        found.add(title, summary[name], number(".1f"))
        found.add(f"95 % interval, {title}", _intervals(summary, f"{name}_low", f"{name}_high"), str)
    return found


def _intervals(table: pd.DataFrame, low: str, high: str) -> list[str | None]:
    """Intervals as text, which sorts by their lower ends."""
    bounds = zip(table[low], table[high], strict=True)
    return [None if pd.isna(one) else f"{one:.1f} to {other:.1f}" for one, other in bounds]


def _students(path: str | Path) -> Table:
    students = tables.read_csv(path, _STUDENT_COLUMNS)
    found = Table("Teacher and students", len(students))
    found.add("method", students["method"], text)
    found.add("kind", students["kind"], text)
    if students["teacher"].nunique() > 1:
        found.add("compared with", students["teacher"], text)
    if students["seed"].nunique() > 1:
        found.add("seed", students["seed"], number("g"))
    found.add("L2, data", students["l2_data"], number(".5f"), "against the recorded actions")
    found.add("L2, teacher", students["l2_teacher"], number(".5f"), "against the teacher's actions")
    found.add("size", students["bytes"], size)
    found.add("actions/s", students["rows_per_second"], number(",.0f"))
    found.add("trained on", students["rows"], number(",.0f", " rows"))
    return found


# How it was made -------------------------------------------------------------------------------


def _plan(plan: Mapping[str, Any]) -> drawing.Drawing:
    """The rules with the number of their jobs; all that draw figures are one."""
    drawn = {name: "plot figures" if name.startswith("plot_") else name.replace("_", " ") for name in plan["rules"]}
    jobs: dict[str, int] = {}
    for name, count in plan["rules"].items():
        jobs[drawn[name]] = jobs.get(drawn[name], 0) + count
    boxes = {name: name if count == 1 else f"{name} × {count}" for name, count in jobs.items()}
    edges = {(drawn[before], drawn[after]) for before, after in plan["edges"]}
    return drawing.draw(boxes, {edge for edge in edges if edge[0] != edge[1]})


def _times(benchmarks: Path, names: Sequence[str]) -> Table | None:
    """Where the time went: jobs by what they made, as Snakemake measured them. Of a rerun job, the last time."""
    rows = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        parts = path.relative_to(benchmarks).with_suffix("").parts
        if parts[0] in names:
            parts = parts[1:]
        elif len(parts) > 1 and parts[0] != "figures":
            # Of a dataset that is no more in the config, or of behaviour policies.
            continue
        # Beside a teacher's predictors there is what was measured of them.
        what = f"teachers: {parts[-1]}" if parts[0] == "teachers" and not parts[-1].startswith("ac") else parts[0]
        try:
            seconds = float(pd.read_csv(path, sep="\t")["s"].iloc[-1])
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path}: is no benchmark of Snakemake ({error!r}); delete it") from None
        rows.append((what.replace("_", " "), seconds))
    if not rows:
        return None
    total = pd.DataFrame(rows, columns=["what", "seconds"]).groupby("what")["seconds"].agg(["size", "sum", "max"])
    total = total.sort_values("sum", ascending=False).reset_index()
    found = Table("Wall time by what was made", len(total))
    found.add("made", total["what"], text)
    found.add("jobs", total["size"], number("g"))
    found.add("wall time, together", total["sum"], answer.duration)
    found.add("longest job", total["max"], answer.duration)
    return found
