import gc
import json
import os
import re
import sys
from pathlib import Path
from shlex import quote

ROOT = Path(str(workflow.current_basedir)).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from d4rl_automl.data import catalogue
from d4rl_automl.plan.digests import digest
from d4rl_automl.plan.config import methods_for, selected, validated
from d4rl_automl.core.errors import InputError, killed_process
from d4rl_automl.core.files import sha256
from d4rl_automl.tasks import TASKS
from snakemake.exceptions import WorkflowError

# A plan of thousands of jobs makes millions of objects and hardly a cycle of them: looking for
# cycles as often as Python does by default is a tenth of a dry run.
gc.set_threshold(100_000)

try:
    config = validated(config)
except InputError as error:
    raise WorkflowError(str(error))

DATASETS = {entry["name"]: entry for entry in config["datasets"]}
TEACHERS = {entry["name"]: entry for entry in config["teachers"]}
METHODS = {entry["name"]: entry for entry in config["methods"]}
# The datasets that policies are made of. Of a task without simulator there are data alone.
LEARNED = [name for name in DATASETS if methods_for(config, name)]
PROVIDERS = list(dict.fromkeys(DATASETS[name]["provider"] for name in LEARNED))
SEEDS = config["seeds"]
# Of D4RL's gym datasets: what a teacher without a number of rows may have to hold.
MOST_ROWS = 2_000_000
SIMULATORS = config["simulators"]
FRACTIONS = json.dumps(config["rollout"]["fractions"])
# Labels cover the range of the commanded fractions, whatever lies between.
COMMANDED = json.dumps([min(config["rollout"]["fractions"]), max(config["rollout"]["fractions"])])
DEVICE = config["device"]

# How many GPU slots a rule that may use the GPU asks for.
GPU = 0 if DEVICE == "cpu" else 1

# The software environment of the rules that train and play, with the torch for this device.
LEARNING = f"../../envs/learning-{'cpu' if DEVICE == 'cpu' else 'cuda'}.yaml"

# One job at a time holds the GPU unless the caller says otherwise: Snakemake treats a resource
# without a limit as unlimited, and a profile's limit is dropped as soon as --resources is given.
workflow.global_resources.setdefault("gpu", 1)
# Likewise downloads: more at a time would only strain the host.
workflow.global_resources.setdefault("download", 3)

# `script name …` in a shell command runs scripts/name.py, with the interpreter that runs Snakemake
# or, with --sdm, the environment's own. It replaces the shell (`exec`), so that it is this process's
# own child, and ends when this one is killed.
PYTHON = "python" if workflow.deployment_settings.deployment_method else quote(sys.executable)
command = f"""exec {PYTHON} {quote(str(ROOT / 'scripts'))}/"$1".py "${{@:2}}" """
variables = f"PYTHONPATH={quote(str(ROOT / 'src'))} D4RL_AUTOML_PARENT={os.getpid()}"
declarations = f"export {variables}; script() {{ {command}; }}; "
shell.prefix(declarations.replace("{", "{{").replace("}", "}}"))  # Snakemake formats its prefix

# The handle of every policy, and the files beside it.
POLICY = "results/{dataset}/policies/{method}-s{seed}.json"
POLICY_ONNX = "results/{dataset}/policies/{method}-s{seed}.onnx"
POLICY_XGBOOST = "results/{dataset}/policies/{method}-s{seed}.ubj"
POLICY_CATBOOST = "results/{dataset}/policies/{method}-s{seed}.cbm"
OVERALL = "results/figures/{kind}.{provider}.{simulator}.png"
POLICY_CURVE = "results/{dataset}/policies/{method}-s{seed}.curve.csv"
POLICY_IMPORTANCE = "results/{dataset}/policies/{method}-s{seed}.importance.csv"

# Kinds of methods that do not come out of `fit_policy`, as networks fitted to the transitions alone do.
XGBOOST = ("rcdtp", "rwdtp")
TAUGHT = ("teacher", "autogluon_student", "student", "catboost_student")


# Paths that are too many for a command line, by name of the rule, as a function that gives
# {option: paths}. They reach the script in a file, one argument a line.
ARGUMENTS = {}
ARGUMENT_FILE = "results/arguments/{job}.txt"


def growing(amount):
    """Memory or minutes that double with every further attempt; `amount` may depend on the wildcards."""
    first = amount if callable(amount) else lambda wildcards: amount
    return lambda wildcards, attempt: first(wildcards) * 2 ** (attempt - 1)


def any_of(names):
    """A regular expression that matches one of `names` and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


def provided_by(provider):
    return any_of(name for name, entry in DATASETS.items() if entry["provider"] == provider)


def of_kind(*kinds, **settings):
    """The methods of these kinds that have these settings."""
    return any_of(named(*kinds, **settings))


def named(*kinds, **settings):
    """The names of the methods of these kinds that have these settings."""
    return [name for name, entry in METHODS.items() if entry["kind"] in kinds and settings.items() <= entry.items()]


def kind_of(wildcards):
    return METHODS[wildcards.method]["kind"]


def autogluon_minutes(settings):
    """Twice the time limit, which AutoGluon does not keep to the second, and what comes before and after it."""
    return 30 + int(settings["time_limit"] * 2 // 60)


wildcard_constraints:
    dataset=any_of(DATASETS),
    teacher=any_of(TEACHERS),
    method=any_of(METHODS),
    seed=any_of(map(str, SEEDS)),
    provider=any_of(PROVIDERS),
    simulator=any_of(SIMULATORS),
    dimension=r"\d+",


def dataset_entry(wildcards):
    return json.dumps(DATASETS[wildcards.dataset])


def stamp(wildcards):
    """Size and time of the user's own file: one that an older file replaced is noticed as well."""
    found = Path(DATASETS[wildcards.dataset]["path"]).stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def behaviour(wildcards):
    """The policies that collect an embedded dataset, with their SHA-256."""
    entry = DATASETS[wildcards.dataset]
    return json.dumps(catalogue.sources(entry["task"], entry["recipe"]))


def teacher_entry(wildcards):
    """What shapes a teacher; which datasets it is made for does not."""
    return without_datasets(TEACHERS[teacher_of(wildcards)])


def method_entry(wildcards):
    """What shapes a method's policy; how often and on which datasets it is played does not."""
    return without_datasets(METHODS[wildcards.method], "selection_episodes", "report_episodes")


def distillation_entry(wildcards):
    """What shapes AutoGluon's own students; how they are played does not."""
    return without_datasets(METHODS[wildcards.method], "selection_episodes", "report_episodes", "export")


def without_datasets(entry, *others):
    return json.dumps({key: value for key, value in entry.items() if key not in ("datasets", *others)})


def teacher_of(wildcards):
    """The teacher that the wildcards name, by itself or through the method."""
    return getattr(wildcards, "teacher", None) or METHODS[wildcards.method]["teacher"]


def autogluon_memory(wildcards):
    """MB: twice what was seen, for the models and for the copies of the rows (docs/performance.md)."""
    rows = TEACHERS[teacher_of(wildcards)]["rows"] or MOST_ROWS
    return 3000 + rows // 500


def rollout_memory(wildcards):
    """MB. A teacher plays with all its models in memory; what else is played is small."""
    return (4000 if kind_of(wildcards) == "teacher" else 1000) * config["rollout"]["processes"]


def dimensions(wildcards):
    return range(TASKS[DATASETS[wildcards.dataset]["task"]].action_size)


def per_dimension(pattern):
    """An input function: `pattern` for every action dimension, the teacher's or the method's."""
    return lambda wildcards: [
        pattern.format(**{**dict(wildcards.items()), "teacher": teacher_of(wildcards), "dimension": dimension})
        for dimension in dimensions(wildcards)
    ]


def files_of(dataset, method, seed):
    """What a policy's handle points at: one file, or a directory per action dimension."""
    patterns = {
        "teacher": "results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}",
        "autogluon_student": DISTILLED,
        "catboost_student": POLICY_CATBOOST,
        **dict.fromkeys(XGBOOST, POLICY_XGBOOST),
    }
    exported = METHODS[method].get("export")
    pattern = POLICY_ONNX if exported else patterns.get(METHODS[method]["kind"], POLICY_ONNX)
    teacher = METHODS[method].get("teacher")
    every = range(TASKS[DATASETS[dataset]["task"]].action_size)
    files = (pattern.format(dataset=dataset, method=method, teacher=teacher, seed=seed, dimension=i) for i in every)
    return list(dict.fromkeys(files))


def policy_files(wildcards):
    return files_of(wildcards.dataset, wildcards.method, wildcards.seed)


def episodes(wildcards, purpose):
    """Episodes per target of a rollout: the method's own number, or the config's."""
    key = f"{purpose}_episodes"
    return METHODS[wildcards.method].get(key, config["rollout"][key])


def fitted_by(wildcards):
    """The code that makes a policy: its method's module, and what that finds at run time."""
    found = ["teachers.export"] if METHODS[wildcards.method].get("export") else []
    return digest("fit_policy", f"methods.{kind_of(wildcards)}", *found)


def loaded_by(methods):
    """The modules that `policy` finds at run time to load the policies of these methods."""
    kinds = {method["kind"] for method in methods if not method.get("export")}
    loaders = {
        "policies.forest": (*XGBOOST, "catboost_student"),
        "policies.autogluon": ("teacher", "autogluon_student"),
    }
    return [module for module, loaded in loaders.items() if kinds.intersection(loaded)]


def fractions(wildcards):
    """What a policy is commanded; one without condition, nothing."""
    return "[]" if kind_of(wildcards) in ("bc", "rwdtp") else FRACTIONS


def policies_of(dataset):
    """The handle of every policy of a dataset, and what the handles point at."""
    made = [(method["name"], seed) for method in methods_for(config, dataset) for seed in SEEDS]
    handles = [POLICY.format(dataset=dataset, method=method, seed=seed) for method, seed in made]
    return {"policies": handles, "files": [file for method, seed in made for file in files_of(dataset, method, seed)]}


def played(pattern, datasets=tuple(DATASETS), simulators=SIMULATORS, **wildcards):
    """`pattern` for every method of every dataset in every simulator."""
    return [
        file
        for dataset in datasets
        for method in methods_for(config, dataset)
        for file in expand(pattern, dataset=dataset, method=method["name"], simulator=simulators, **wildcards)
    ]


def every_teacher(file, datasets=tuple(DATASETS)):
    """`file` of every teacher of every dataset and seed."""
    return [
        f"results/{dataset}/teachers/{teacher['name']}-s{seed}/{file}"
        for dataset in datasets
        for teacher in selected(TEACHERS.values(), dataset)
        for seed in SEEDS
    ]


def reported(pattern, **wildcards):
    """An input function: `pattern` for every method played on the wildcards' dataset in their simulator."""
    return lambda these: played(pattern, [these.dataset], [these.simulator], **wildcards)


def written(pattern, kinds, dataset):
    """`pattern` for every method of a dataset whose kind is one of `kinds`, and every training seed."""
    methods = [method["name"] for method in methods_for(config, dataset) if method["kind"] in kinds]
    return expand(pattern, dataset=dataset, method=methods, seed=SEEDS)


def curves(dataset):
    """How every policy that was fitted by steps got there."""
    return written(POLICY_CURVE, {m["kind"] for m in METHODS.values()} - {"teacher", "autogluon_student"}, dataset)


def importance(dataset):
    """What every forest and teacher of a dataset looks at."""
    return [
        *written(POLICY_IMPORTANCE, ("catboost_student", *XGBOOST), dataset),
        *every_teacher("importance.csv", [dataset]),
    ]


def made_by(dataset, method, seed):
    """A policy and the jobs that made it: its own, and those of its teacher before it."""
    kind, teacher = METHODS[method]["kind"], METHODS[method].get("teacher")
    every = range(TASKS[DATASETS[dataset]["task"]].action_size)
    taught = [f"{dataset}/teachers/{teacher}-s{seed}/ac{i}" for i in every] if teacher else []
    own, before = [f"{dataset}/policies/{method}-s{seed}"], taught
    if kind == "teacher":
        own, before = own + taught, []
    elif kind == "autogluon_student":
        own += [f"{dataset}/distilled/{method}-s{seed}/ac{i}" for i in every]
    elif teacher:
        before = [*taught, f"{dataset}/labels/{teacher}-s{seed}"]
    jobs = {
        part: [{"benchmark": f"results/benchmarks/{tail}.tsv", "log": f"logs/{tail}.log"} for tail in tails]
        for part, tails in (("own", own), ("teacher", before))
    }
    return json.dumps({"dataset": dataset, "method": method, "kind": kind, "seed": seed, **jobs})


def overall_figures():
    """The figures over all datasets of a provider, as PNG."""
    kinds = {
        "heat_table": PROVIDERS,
        "profiles": PROVIDERS,
        "costs": PROVIDERS,
        "improvement": filter(is_compared, PROVIDERS),
    }
    return [
        file
        for kind, providers in kinds.items()
        for file in expand(OVERALL, kind=kind, provider=providers, simulator=SIMULATORS)
    ]


def is_compared(provider):
    """Whether another method shares a dataset of this provider with the reference method."""
    names = [{m["name"] for m in methods_for(config, d)} for d in LEARNED if DATASETS[d]["provider"] == provider]
    return any(config["reference"] in methods and len(methods) > 1 for methods in names)


def every_figure(wildcards):
    """Every figure of every dataset, as PNG."""
    return [
        *expand("results/{dataset}/figures/{kind}.png", dataset=DATASETS, kind=["card", "reward_to_go"]),
        *expand("results/{dataset}/figures/l2.png", dataset=LEARNED),
        *(
            f"results/{dataset}/figures/actions-{teacher['name']}-s{seed}.png"
            for dataset in DATASETS
            for teacher in selected(TEACHERS.values(), dataset)
            for seed in SEEDS
        ),
        *expand(
            "results/{dataset}/figures/{kind}.{simulator}.png",
            dataset=LEARNED,
            kind=["returns", "calibration"],
            simulator=SIMULATORS,
        ),
        *(f"results/{dataset}/figures/curves.png" for dataset in DATASETS if curves(dataset)),
        *(f"results/{dataset}/figures/importance.png" for dataset in DATASETS if importance(dataset)),
    ]
