"""The answer of a run: which method wins where, at what cost, and how sure that is; in words, and as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from d4rl_automl.core import words

LEAST_SPAN = 20.0
"""Score points that the picture spans, at least."""
_TITLE = ("{}'s data", "{} datasets", "simulator {}")
"""What is said of the provider, suite and simulator of a group, where there are others."""
NAMED = 3
"""Up to so many methods that stand alike are named."""
EDGE = 2.0
"""Per cent of the picture's width that stay free at its sides."""


@dataclass(frozen=True)
class Group:
    """Datasets whose scores may be put together, played in one simulator."""

    title: str
    """Empty where there is no other group."""
    sentences: list[Markup]
    rows: list[dict[str, Any]]
    """Of the picture, one per method; see `_picture`."""
    ticks: list[tuple[float, str]]
    """Of its scores: where, in per cent of its width, and what."""
    datasets: int
    costly: bool
    """Whether there is a cost to show."""


def answers(
    standings: pd.DataFrame, costs: pd.DataFrame, providers: Mapping[str, str], order: Sequence[str]
) -> list[Group]:
    """One answer per provider, suite and simulator, in the order of the datasets.

    `standings`: of every dataset (`standings.standings`); `costs`: CSV of `costs.measure`; `providers`: of each
    dataset; `order`: the methods of the run.
    """
    table = standings.assign(provider=standings["dataset"].map(providers))
    spent = costs.groupby(["dataset", "method"])["with_teacher_core_seconds"].mean().rename("cost")
    table = table.merge(spent.reset_index(), on=["dataset", "method"], how="left")
    grouped = list(table.groupby(["provider", "suite", "simulator"], sort=False))
    values = [set(column) for column in zip(*(key for key, _ in grouped), strict=True)]
    found = []
    for key, own in grouped:
        names = list(dict.fromkeys(own["dataset"]))
        title = ", ".join(form.format(key[place]) for place, form in enumerate(_TITLE) if len(values[place]) > 1)
        ranked = ranking(own, order)
        rows, ticks = _picture(own, ranked)
        sentences = _of_one(own) if len(names) == 1 else _of_several(ranked, len(names))
        found.append(Group(title, sentences, rows, ticks, len(names), bool(ranked["cost"].notna().any())))
    return found


def ranking(standings: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """One row per method of datasets that may be put together, the best first.

    Columns: method, datasets (how many it was made for), whole (whether for all), level (on how many it is the best, or
    these episodes leave open whether it is), best (on how many it is), score (mean over its datasets), cost (mean
    processor time of a policy with its teacher, in seconds). Methods that were made for all datasets come first, by
    level and score; means over other datasets compare with nothing.
    """
    grouped = standings.assign(best=standings["behind"] == 0).groupby("method")
    ranked = grouped.agg(
        datasets=("dataset", "size"),
        level=("level", "sum"),
        best=("best", "sum"),
        score=("score", "mean"),
        cost=("cost", "mean"),
    )
    ranked = ranked.reindex([method for method in order if method in ranked.index]).reset_index()
    ranked["whole"] = ranked["datasets"] == standings["dataset"].nunique()
    return ranked.sort_values(["whole", "level", "score"], ascending=False, kind="stable", ignore_index=True)


def duration(seconds: float) -> str:
    """A time for people; its unit stays on its line."""
    return words.rounded(seconds).replace(" ", "\u00a0")


def _above_zero(points: float) -> str:
    """The lower end of an interval that does not hold zero, which is not to read as zero."""
    return f"{points:.1f}" if round(points, 1) > 0 else f"{points:.2g}"


def _strong(name: str) -> Markup:
    return Markup("<strong>{}</strong>").format(name)


def _listed(parts: Sequence[Markup | str]) -> Markup:
    joined = Markup(", ").join(parts[:-1])
    return Markup("{} and {}").format(joined, parts[-1]) if len(parts) > 1 else Markup("{}").format(parts[0])


def _within(row: Mapping[str, Any]) -> str:
    return "" if np.isnan(row["low"]) else f" (95 % interval {row['low']:.1f} to {row['high']:.1f})"


def _of_one(standings: pd.DataFrame) -> list[Markup]:
    rows: Any = standings.sort_values("score", ascending=False).to_dict("records")
    best, others = rows[0], rows[1:]
    level = [row for row in others if row["level"]]
    said = Markup("On {}, {} scores {}{:.1f}{}").format(
        best["dataset"], _strong(best["method"]), "highest: " if others else "", best["score"], _within(best)
    )
    if level:
        names = _listed([_strong(row["method"]) for row in level])
        if any(np.isnan(row["low"]) for row in (best, *level)):
            sentences = [said + Markup("; too few episodes were played to tell {} apart from it.").format(names)]
        else:
            sentences = [said + Markup("; the episodes played do not tell {} apart from it.").format(names)]
    elif others:
        after = others[0]
        sentences = [
            said + Markup(", above every other method in these episodes."),
            Markup("The next, {}, is {:.1f} points behind (95 % interval {} to {:.1f}).").format(
                _strong(after["method"]), after["behind"], _above_zero(after["behind_low"]), after["behind_high"]
            ),
        ]
    else:
        sentences = [said + Markup(".")]
    return sentences + _cost_of_one(best, level, others)


def _cost_of_one(best: dict[str, Any], level: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[Markup]:
    if np.isnan(best["cost"]):
        return []
    cheapest = min((row for row in (best, *level) if not np.isnan(row["cost"])), key=lambda row: row["cost"])
    took = Markup("Making {} took {} of processor time")
    if cheapest is not best:
        of = " of these" if len(level) > 1 else ""
        return [
            Markup("The cheapest{} is {}: {} of processor time to make, against {} for {}.").format(
                of, _strong(cheapest["method"]), duration(cheapest["cost"]), duration(best["cost"]), best["method"]
            )
        ]
    priced = [row for row in others if not np.isnan(row["cost"])]
    if not priced:
        return [took.format(_strong(best["method"]), duration(best["cost"])) + Markup(".")]
    least = min(priced, key=lambda row: row["cost"])
    if least["cost"] >= best["cost"]:
        return [took.format(_strong(best["method"]), duration(best["cost"])) + Markup(", less than any other.")]
    said = Markup("; {}, the cheapest, took {} and is {:.1f} points behind.")
    spent = took.format(_strong(best["method"]), duration(best["cost"]))
    return [spent + said.format(_strong(least["method"]), duration(least["cost"]), least["behind"])]


def _of_several(ranked: pd.DataFrame, datasets: int) -> list[Markup]:
    rows: Any = ranked[ranked["whole"]].to_dict("records")
    partial = int((~ranked["whole"]).sum())
    if not rows:
        return [Markup("No method was made for all {} datasets: compare them dataset by dataset.").format(datasets)]
    leaders = [row for row in rows if row["level"] == rows[0]["level"]]
    verb = "is" if len(leaders) == 1 else "are each"
    names = _listed([_strong(row["method"]) for row in leaders]) if len(leaders) <= NAMED else f"{len(leaders)} methods"
    said = Markup("{} {} the best or level with the best on {} of {} datasets").format(
        names, verb, rows[0]["level"], datasets
    )
    after = [row for row in rows if row["level"] < rows[0]["level"]]
    after = [row for row in after if row["level"] == after[0]["level"]]
    if after:
        names = _listed([_strong(row["method"]) for row in after]) if len(after) <= NAMED else f"{len(after)} others"
        said += Markup("; {} on {}").format(names, after[0]["level"])
    said += Markup(".")
    sentences = [said]
    if len(rows) > 1:
        top = max(rows, key=lambda row: row["score"])
        sentences.append(
            Markup("The highest mean over all of them is that of {}: {:.1f}.").format(
                _strong(top["method"]), top["score"]
            )
        )
        priced = [row for row in rows if not np.isnan(row["cost"])]
        if priced and not np.isnan(top["cost"]):
            least = min(priced, key=lambda row: row["cost"])
            if least is top:
                sentences.append(
                    Markup("It is also the cheapest: {} of processor time a policy.").format(duration(top["cost"]))
                )
            else:
                said = Markup(
                    "It takes {} of processor time a policy; the cheapest, {}, takes {}, with a mean of {:.1f}."
                )
                spent = duration(top["cost"]), _strong(least["method"]), duration(least["cost"])
                sentences.append(said.format(*spent, least["score"]))
    if partial:
        what, compared = ("One method was", "is") if partial == 1 else (f"{partial} methods were", "are")
        said = Markup("{} made for some of the datasets alone, and {} compared there only.")
        sentences.append(said.format(what, compared))
    return sentences


def _picture(standings: pd.DataFrame, ranked: pd.DataFrame) -> tuple[list[dict[str, Any]], list[tuple[float, str]]]:
    """A row per method, as text and as places in per cent of the width: of its marks, intervals, mean and cost."""
    bounds = standings[["score", "low", "high"]].to_numpy(np.float64)
    low, high = float(np.nanmin(bounds)), float(np.nanmax(bounds))
    lacking = max(0.0, LEAST_SPAN - (high - low))
    low, high = low - lacking / 2, high + lacking / 2
    step = next(step for step in (5, 10, 20, 25, 50, 100, 200, 500, 1e9) if (high - low) / step <= 8)

    def place(score: float) -> float:
        return round(EDGE + (100 - 2 * EDGE) * (score - low) / (high - low), 2)

    ticks = [(place(at), f"{at:g}") for at in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]
    several = standings["dataset"].nunique() > 1
    costs = ranked["cost"].dropna()
    cheap, dear = (np.log(costs.min()), np.log(costs.max())) if len(costs) else (0.0, 0.0)
    rows = []
    ranks: Any = ranked.to_dict("records")
    for row in ranks:
        own: Any = standings[standings["method"] == row["method"]].to_dict("records")
        marks = [
            {
                "at": place(one["score"]),
                "interval": None if several or np.isnan(one["low"]) else (place(one["low"]), place(one["high"])),
                "full": one["level"],
                "text": f"{one['dataset']}: {one['score']:.1f}{_within(one)}, {_standing(one)}",
            }
            for one in own
        ]
        priced = not np.isnan(row["cost"])
        rows.append(
            {
                **row,
                "marks": marks,
                "mean": place(row["score"]) if several and row["whole"] else None,
                "cost_at": None if not priced else 50.0 if dear == cheap
                else round(10 + 80 * (np.log(row["cost"]) - cheap) / (dear - cheap), 2),
                "cost_text": duration(row["cost"]) if priced else "",
                "standing": _standing(own[0]),
            }
        )  # fmt: skip
    return rows, ticks


def _standing(row: Mapping[str, Any]) -> str:
    if row["behind"] == 0:
        return "best"
    return "level with the best" if row["level"] else f"{row['behind']:.1f} behind"
