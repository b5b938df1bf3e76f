"""A run of the whole workflow on datasets of a few thousand transitions."""

import shutil
from pathlib import Path

import yaml

from tests.support import every_kind, hostile
from tests.support.project import ROOT, copy_project, snakemake

EMBEDDED = "hopper-medium-expert-embedded-tiny"
MINE = "hopper-mine"
D4RL = "hopper-medium-v2"
MAZE = "antmaze-umaze-v2"
CONFIG = {
    "datasets": [
        {"name": EMBEDDED, "provider": "embedded", "task": "hopper", "recipe": "medium-expert", "transitions": 6000},
        {"name": MINE, "provider": "file", "task": "hopper", "path": "mine.hdf5"},
        D4RL,
        MAZE,
    ],
    "d4rl_dir": "d4rl",
    "seeds": [0],
    "device": "cpu",
    "simulators": ["d4rl"],
    "split": {"validation": 0.2, "test": 0.2},
    "teachers": [
        {
            "name": "tiny",
            "preset": "medium",
            "rows": 2000,
            "time_limit": 60,
            "threads": 1,
            "hyperparameters": {"GBM": {"num_boost_round": 20}, "NN_TORCH": {"num_epochs": 2}},
            "datasets": [EMBEDDED],
        }
    ],
    "methods": [
        {"name": "teacher", "kind": "teacher", "teacher": "tiny", "selection_episodes": 1, "report_episodes": 1},
        {
            "name": "autogluon-student",
            "kind": "autogluon_student",
            "teacher": "tiny",
            "hyperparameters": {"NN_TORCH": {"num_epochs": 2}},
            "export": True,
            "selection_episodes": 1,
            "report_episodes": 1,
        },
        {"name": "student", "kind": "student", "teacher": "tiny", "network": {"width": 32}, "updates": 100},
        {"name": "catboost-student", "kind": "catboost_student", "teacher": "tiny", "trees": 20},
        {"name": "mlp", "kind": "mlp", "network": {"width": 32}, "updates": 100},
        {
            "name": "rvs-32",
            "kind": "rvs",
            "network": {"width": 32},
            "updates": 100,
            "checkpoints": 2,
            "datasets": [EMBEDDED],
        },
        {
            "name": "bc-half",
            "kind": "bc",
            "best": 0.5,
            "network": {"width": 32},
            "updates": 100,
            "datasets": [EMBEDDED],
        },
        {"name": "rcdtp", "kind": "rcdtp", "trees": 20, "datasets": [EMBEDDED]},
        {"name": "rvs-r", "kind": "rvs_r", "datasets": [D4RL]},
        {"name": "rvs-g", "kind": "rvs_g", "datasets": [MAZE]},
        {"name": "rwdtp", "kind": "rwdtp", "trees": 20, "datasets": [EMBEDDED]},
    ],
    "labels": {"recorded": 1000, "perturbed": 500, "commanded": 500},
    "rollout": {"fractions": [0.3, 1.0], "selection_episodes": 2, "report_episodes": 3, "checkpoint_episodes": 2},
}
ARGUMENTS = ("--configfile", "tiny.yaml", "--cores", "2")
TARGETS = ("all", "csv", f"results/{EMBEDDED}/films/teacher.d4rl.worst.webp")
"""Of the run."""


def run(project: Path) -> None:
    """A copy of the project, in which the workflow runs `CONFIG` to its end, in an environment that is made to harm it.

    The logs tell what every job loaded and read (trace.py).
    """
    copy_project(project)
    shutil.copy(ROOT / "tests/support/trace.py", project / "src/sitecustomize.py")
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    # RvS-R has its published size, whatever the dataset: of 30 rows it takes a quarter of a minute.
    every_kind.make_brief(project)
    every_kind.write_hdf5(project / "d4rl/hopper_medium-v2.hdf5", 11, 3, 30, 6)
    maze = "Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5"
    every_kind.write_hdf5(project / "d4rl" / maze, 29, 8, 1200, 100)
    every_kind.expect(project / "src/d4rl_automl/resources/catalogue.csv", project / "d4rl")
    strange = [f"{name}={value}" for name, value in hostile.environment(project / "somebody").items()]
    within = ("env", *strange)
    snakemake(*ARGUMENTS, f"results/{EMBEDDED}/raw.hdf5", directory=project, within=within)
    shutil.copy(project / f"results/{EMBEDDED}/raw.hdf5", project / "mine.hdf5")
    snakemake(*ARGUMENTS, *TARGETS, directory=project, within=within)
