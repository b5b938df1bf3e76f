import json
import re
import sys
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from d4rl_automl.code_digest import digest
from d4rl_automl.config import methods_for, selected, validated
from d4rl_automl.errors import InputError
from d4rl_automl.tasks import TASKS
from snakemake.exceptions import WorkflowError

try:
    config = validated(config)
except InputError as error:
    raise WorkflowError(str(error))

DATASETS = {entry["name"]: entry for entry in config["datasets"]}
TEACHERS = {entry["name"]: entry for entry in config["teachers"]}
METHODS = {entry["name"]: entry for entry in config["methods"]}
SEEDS = config["seeds"]
SIMULATORS = config["simulators"]
FRACTIONS = json.dumps(config["rollout"]["fractions"])
DEVICE = config["device"]

# How many GPU slots a rule that may use the GPU asks for.
GPU = 0 if DEVICE == "cpu" else 1

# One job at a time holds the GPU unless the caller says otherwise: Snakemake treats a resource
# without a limit as unlimited, and a profile's limit is dropped as soon as --resources is given.
workflow.global_resources.setdefault("gpu", 1)

# Scripts run with the interpreter that runs Snakemake, except in an environment of --sdm.
SCRIPTS = ROOT / "scripts"
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable

shell.prefix(f"export PYTHONPATH={str(ROOT / 'src')!r}; ")

# The handle of every policy, the files beside it, and the command that makes them.
POLICY = "results/{dataset}/policies/{method}-s{seed}.json"
POLICY_ONNX = "results/{dataset}/policies/{method}-s{seed}.onnx"
POLICY_CURVE = "results/{dataset}/policies/{method}-s{seed}.curve.csv"
FIT_POLICY = (
    "{PYTHON} {SCRIPTS}/fit_policy.py --settings {params.settings:q} --transitions {input.transitions:q}"
    " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.policy:q}"
)


def any_of(names):
    """A regular expression that matches one of `names` and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


def provided_by(provider):
    return any_of(name for name, entry in DATASETS.items() if entry["provider"] == provider)


def of_kind(*kinds):
    return any_of(name for name, entry in METHODS.items() if entry["kind"] in kinds)


wildcard_constraints:
    dataset=any_of(DATASETS),
    teacher=any_of(TEACHERS),
    method=any_of(METHODS),
    seed=any_of(map(str, SEEDS)),
    simulator=any_of(SIMULATORS),
    purpose="selection|report",
    dimension=r"\d+",


def dataset_entry(wildcards):
    return json.dumps(DATASETS[wildcards.dataset])


def teacher_entry(wildcards):
    """What shapes a teacher; which datasets it is made for does not."""
    return without_datasets(TEACHERS[teacher_of(wildcards)])


def method_entry(wildcards):
    """What shapes a method's policy; how often and on which datasets it is played does not."""
    return without_datasets(METHODS[wildcards.method], "selection_episodes", "report_episodes")


def without_datasets(entry, *others):
    return json.dumps({key: value for key, value in entry.items() if key not in ("datasets", *others)})


def teacher_of(wildcards):
    """The teacher that the wildcards name, by itself or through the method."""
    return getattr(wildcards, "teacher", None) or METHODS[wildcards.method]["teacher"]


def dimensions(wildcards):
    return range(TASKS[DATASETS[wildcards.dataset]["task"]].action_size)


def per_dimension(pattern):
    """An input function: `pattern` for every action dimension, its teacher filled in."""
    return lambda wildcards: [
        pattern.format(
            dataset=wildcards.dataset, teacher=teacher_of(wildcards), seed=wildcards.seed, dimension=dimension
        )
        for dimension in dimensions(wildcards)
    ]


def made_of(method):
    """The file or directories that a method's handle points at, as an input function's pattern."""
    kind = METHODS[method]["kind"]
    if kind == "teacher":
        return TEACHER + "/deployed/ac{dimension}"
    if kind == "autogluon_student":
        return DISTILLED
    return POLICY_ONNX


def policy_files(wildcards):
    """What the policy's handle points at: one ONNX file, or a directory per action dimension."""
    return [
        made_of(wildcards.method).format(
            dataset=wildcards.dataset,
            method=wildcards.method,
            teacher=METHODS[wildcards.method].get("teacher"),
            seed=wildcards.seed,
            dimension=dimension,
        )
        for dimension in dimensions(wildcards)
    ]


def played(pattern, dataset=None, **wildcards):
    """`pattern` for every method of every dataset (or of one) in every simulator."""
    return [
        file
        for name in ([dataset] if dataset else DATASETS)
        for method in methods_for(config, name)
        for file in expand(pattern, dataset=name, method=method["name"], simulator=SIMULATORS, **wildcards)
    ]


def every_teacher(file):
    """`file` of every teacher of every dataset and seed."""
    return [
        f"{TEACHER}/{file}".format(dataset=dataset, teacher=teacher["name"], seed=seed)
        for dataset in DATASETS
        for teacher in selected(TEACHERS.values(), dataset)
        for seed in SEEDS
    ]


def every_policy():
    """The handle of every policy of every dataset and seed."""
    return [
        POLICY.format(dataset=dataset, method=method["name"], seed=seed)
        for dataset in DATASETS
        for method in methods_for(config, dataset)
        for seed in SEEDS
    ]


def reported(pattern, **wildcards):
    """An input function: `pattern` for every method played on the wildcards' dataset in their simulator."""
    return lambda these: [
        file
        for method in methods_for(config, these.dataset)
        for file in expand(
            pattern, dataset=these.dataset, simulator=these.simulator, method=method["name"], **wildcards
        )
    ]
