"""Write the report: one offline HTML page with the answer, scores and costs of a run, beside its figures."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.report import page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, help="scores of every training seed (CSV)")
    parser.add_argument("--summary", required=True, help="summary over seeds and datasets (CSV)")
    parser.add_argument("--comparisons", required=True, help="every pair of methods (CSV)")
    parser.add_argument("--costs", required=True, help="costs of every policy (CSV)")
    parser.add_argument("--standings", nargs="+", required=True, help="every method against the best (CSV), by dataset")
    parser.add_argument("--students", nargs="*", default=[], help="student comparisons, results/{dataset}/students.csv")
    parser.add_argument("--cards", nargs="+", required=True, help="cards (JSON), one per dataset")
    parser.add_argument("--figures", nargs="+", required=True, help="figures (PNG), their SVG and CSV beside them")
    parser.add_argument("--teachers", nargs="*", default=[], help="metrics of the teachers (CSV)")
    parser.add_argument("--films", nargs="*", default=[], help="films (WebP), results/{dataset}/films/")
    parser.add_argument("--plan", required=True, type=json.loads, help="JSON: the rules of the run")
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the validated config")
    parser.add_argument("--output", required=True, help="the page (HTML)")
    given = parser.parse_args()
    page.write(
        given.scores,
        given.summary,
        comparisons=given.comparisons,
        costs=given.costs,
        standings=given.standings,
        students=given.students,
        teachers=given.teachers,
        cards=given.cards,
        figures=given.figures,
        films=given.films,
        config=given.config,
        plan=given.plan,
        output=given.output,
    )


if __name__ == "__main__":
    run(main)
