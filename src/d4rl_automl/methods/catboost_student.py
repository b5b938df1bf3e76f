"""A CatBoost forest fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Literal

from d4rl_automl.settings.kinds import Depth, ForestSettings, Making, Method, Needs, Shrinkage, Teacher, Trees
from d4rl_automl.teachers.settings import GOAL_OUTCOME, OUTCOME


class Settings(ForestSettings):
    """One CatBoost forest fitted to a teacher's labels."""

    kind: Literal["catboost_student"]
    teacher: Teacher
    trees: Trees = 1000
    depth: Depth = 8
    learning_rate: Shrinkage = 0.1


METHOD = Method(
    kind="catboost_student",
    settings=Settings,
    about="one CatBoost forest fitted to the teacher's labels",
    outcome=OUTCOME,
    goal_outcome=GOAL_OUTCOME,
    makings=(Making("fit_catboost_student", "catboost", memory=3000, minutes=120, beside=("curve", "importance")),),
    needs=Needs.LABELS,
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    from d4rl_automl.learners import forests
    from d4rl_automl.teachers import labels as label_tables

    tables = [label_tables.read(labels, split) for split in label_tables.SPLITS]
    train, validation = (forests.Samples.of(t.observations, t.outcomes, t.actions) for t in tables)
    forest = forests.fit_catboost(train, validation, settings, seed=seed, threads=threads)
    forests.write_policy(
        forest,
        output,
        settings,
        seed,
        outcome_rule=tables[0].rule,
        rows=len(train.actions),
        **label_tables.facts(transitions, labels),
    )
