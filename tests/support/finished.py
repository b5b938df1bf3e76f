"""A run of any size that is finished as far as its tables, figures and report: made by the package's own writers from
synthetic rollouts, so that no policy is trained and none is played."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl.core import paths
from d4rl_automl.evaluation import score_tables, standings, statistics, targets
from d4rl_automl.evaluation.costs import COLUMNS as COST_COLUMNS
from d4rl_automl.figures import budget, calibration, card, costs, heat_table, improvement, profiles, returns, success
from d4rl_automl.figures import map as maze_map
from d4rl_automl.methods import bc, mlp, rvs_r, student, teacher
from tests.support import synthetic

TEACHER = "medium-capped"
KINDS = (
    teacher.Settings(name="teacher", kind="teacher", teacher=TEACHER, report_episodes=10),
    student.Settings(name="student", kind="student", teacher=TEACHER),
    mlp.Settings(name="mlp", kind="mlp"),
    bc.Settings(name="bc", kind="bc"),
    rvs_r.Settings(name="rvs-r", kind="rvs_r"),
)
PLAN = {
    "rules": {"collect": 1, "make_transitions": 1, "fit_mlp": 2, "rollout": 2, "score": 1, "plot_card": 1, "report": 1},
    "edges": [
        ("collect", "make_transitions"),
        ("make_transitions", "fit_mlp"),
        ("fit_mlp", "rollout"),
        ("make_transitions", "rollout"),
        ("rollout", "score"),
        ("score", "report"),
        ("collect", "plot_card"),
        ("plot_card", "report"),
    ],
}
"""As of `plan.graph.rules_before`."""


def methods(count: int) -> list[dict[str, Any]]:
    """So many methods, in the order of a config."""
    every = [kind.model_dump() for kind in KINDS]
    for index in range(len(KINDS), count):
        every.append(mlp.Settings(name=f"autogluon-student-{index}", kind="mlp").model_dump())
    return every[:count]


def run(
    folder: Path,
    datasets: Sequence[str],
    *,
    count: int = 4,
    seeds: Sequence[int] = (0,),
    mazes: Sequence[str] = (),
    partial: Sequence[str] = (),
    doubts: Sequence[str] = (),
    provider: str = "d4rl",
    episodes: int = 20,
    drawn: bool = True,
) -> dict[str, Any]:
    """Fill `folder`/results, and return the arguments of `page.write`.

    Arguments
        datasets, mazes: names of datasets in the gym suite (of hopper) and of AntMaze's.
        count: how many methods there are.
        partial: datasets that the last method was made for alone; all when empty.
        doubts: of the first dataset.
        provider: of the datasets.
        episodes: per target and seed, to report; half of them to choose.
        drawn: whether figures are drawn, of which some hundreds take minutes.
    """
    entries = methods(count)
    names = [entry["name"] for entry in entries]
    whole = {"scores": paths.SCORES, "summary": paths.SUMMARY, "comparisons": paths.COMPARISONS, "costs": paths.COSTS}
    found = {name: folder / pattern for name, pattern in whole.items()}
    figures: list[Path] = []
    every = [*datasets, *mazes]
    for place, dataset in enumerate(every):
        task = dataset.removesuffix("-v2") if dataset in mazes else "hopper"
        described = folder / paths.CARD.format(dataset=dataset)
        synthetic.card(described, dataset, provider, task=task, doubts=doubts if place == 0 else ())
        described.with_suffix(".md").write_text(f"# {dataset}\n")
        own = [name for name in names if not partial or name != names[-1] or dataset in partial]
        played = _played(folder, dataset, own, seeds, episodes=episodes, goal=dataset in mazes, place=place)
        scored = folder / paths.DATASET_SCORES.format(dataset=dataset)
        score_tables.score_dataset(played["report"], played["targets"], described, scored)
        standings.write(played["report"], played["targets"], folder / paths.STANDINGS.format(dataset=dataset))
        _students(own, seeds).to_csv(folder / paths.COMPARISON.format(dataset=dataset), index=False)
        _costs(dataset, own, names, seeds).to_csv(folder / paths.DATASET_COSTS.format(dataset=dataset), index=False)
        if drawn:
            figures += (_of_maze if dataset in mazes else _of_robot)(folder / "results" / dataset, played, names)

    def of_every(pattern: str) -> list[Path]:
        return [folder / pattern.format(dataset=dataset) for dataset in every]

    put_together = {"output": found["scores"], "summary": found["summary"], "comparisons": found["comparisons"]}
    statistics.score(of_every(paths.DATASET_SCORES), **put_together)
    pd.concat(map(pd.read_csv, of_every(paths.DATASET_COSTS))).to_csv(found["costs"], index=False)
    if drawn:
        figures += _of_all(found, names, provider, suite="gym" if datasets else "antmaze", several=len(seeds) > 1)
    config = {
        "datasets": [
            {"name": name, "provider": provider, "task": name.removesuffix("-v2") if name in mazes else "hopper"}
            for name in every
        ],
        "seeds": list(seeds),
        "simulators": ["d4rl"],
        "methods": entries,
        "split": {"seed": 0, "validation": 0.1, "test": 0.1},
        "rollout": {"seed": 0, "fractions": synthetic.FRACTIONS, "selection_episodes": 10, "report_episodes": episodes},
    }
    return {
        **found,
        "standings": of_every(paths.STANDINGS),
        "students": of_every(paths.COMPARISON),
        "teachers": [],
        "cards": of_every(paths.CARD),
        "figures": figures,
        "films": [],
        "config": config,
        "plan": PLAN,
        "output": folder / paths.REPORT,
    }


def _played(
    folder: Path, dataset: str, names: Sequence[str], seeds: Sequence[int], *, episodes: int, goal: bool, place: int
) -> dict[str, list[Path]]:
    """The rollouts of every method of a dataset, by purpose, and the targets chosen."""
    found: dict[str, list[Path]] = {"report": [], "selection": [], "targets": []}
    for index, method in enumerate(names):
        what: dict[str, Any] = {"dataset": dataset, "skill": 0.55 + 0.03 * ((5 * place + 3 * index) % 13)}
        if not goal:
            what["fractions"] = [None] if method == "bc" else synthetic.FRACTIONS
        made = synthetic.maze_rollouts if goal else synthetic.rollouts
        for purpose, count in (("report", episodes), ("selection", max(1, episodes // 2))):
            for seed in seeds:
                facts = {"dataset": dataset, "method": method, "seed": seed, "simulator": "d4rl", "purpose": purpose}
                rows = made(method, training_seed=seed, purpose=purpose, episodes=count, **what)
                found[purpose].append(synthetic.write_rollouts(folder / paths.ROLLOUT.format(**facts), rows))
        found["targets"].append(folder / paths.TARGET.format(dataset=dataset, method=method, simulator="d4rl"))
        targets.choose_file(found["selection"][-len(seeds) :], found["targets"][-1])
    return found


def _of_maze(home: Path, played: dict[str, list[Path]], names: Sequence[str]) -> list[Path]:
    recorded = pd.DataFrame({"return": [0.0] * 30 + [1.0] * 10, "split": "train"})
    ends = synthetic.write_parquet(home / "episodes.parquet", recorded)
    prefix = home / "figures"
    success.plot(home / "scores.csv", ends, "d4rl", names, prefix / "success.d4rl")
    maze_map.plot(played["report"], played["targets"], prefix / "map.d4rl")
    return [prefix / "success.d4rl.png", prefix / "map.d4rl.png"]


def _of_robot(home: Path, played: dict[str, list[Path]], names: Sequence[str]) -> list[Path]:
    _, ends = synthetic.dataset_tables(home, 12, home.name)
    prefix = home / "figures"
    returns.plot(played["report"], ends, played["targets"], names, prefix / "returns.d4rl")
    calibration.plot(played["report"], names, prefix / "calibration.d4rl")
    budget.plot(played["selection"], played["report"], names, prefix / "budget.d4rl")
    card.plot(home / "card.json", ends, prefix / "card")
    return [prefix / f"{name}.png" for name in ("returns.d4rl", "calibration.d4rl", "budget.d4rl", "card")]


def _of_all(found: dict[str, Path], names: Sequence[str], provider: str, *, suite: str, several: bool) -> list[Path]:
    folder = found["scores"].parent / "figures"
    figures = [folder / f"heat_table.{provider}.d4rl.png"]
    heat_table.plot(found["scores"], provider, "d4rl", str(figures[0]).removesuffix(".png"))
    where = {"provider": provider, "suite": suite, "simulator": "d4rl"}
    ending = f"{provider}.{suite}.d4rl"
    costs.plot(found["costs"], found["scores"], names, **where, prefix=folder / f"costs.{ending}")
    profiles.plot(found["scores"], names, **where, prefix=folder / f"profiles.{ending}")
    figures += [folder / f"profiles.{ending}.png", folder / f"costs.{ending}.png"]
    if several:
        improvement.plot(found["comparisons"], names[0], names, **where, prefix=folder / f"improvement.{ending}")
        figures.append(folder / f"improvement.{ending}.png")
    return figures


def _students(names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    columns = ["method", "kind", "seed", "teacher", "l2_data", "l2_teacher", "bytes", "rows_per_second", "rows"]
    rows = [(name, "kind", seed, names[0], 0.02, 0.003, 2_500_000, 123_456, 50_000) for name in names for seed in seeds]
    return pd.DataFrame(rows, columns=columns)


def _costs(dataset: str, own: Sequence[str], names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    generator = np.random.default_rng(len(dataset))
    rows = []
    for name in own:
        seconds = 20 * 1.7 ** ((7 * names.index(name)) % 11) * generator.uniform(0.9, 1.1)
        for seed in seeds:
            speed = 2 * 1.6 ** (names.index(name) % 7)
            spent = (seconds, seconds * 0.9, 512.0, seconds * 1.5, seconds * 1.4, 300_000, speed)
            rows.append((dataset, name, "kind", seed, *spent))
    return pd.DataFrame(rows, columns=COST_COLUMNS)
