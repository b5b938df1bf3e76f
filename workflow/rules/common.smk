# The validated config, the plan of the run, and how a script is started: all rules stand on these.

import atexit
import gc
import json
import os
import re
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger


include: "package.smk"


from d4rl_automl.core.errors import InputError
from d4rl_automl.core import doubts, paths
from d4rl_automl.core.gpus import visible as visible_gpus
from d4rl_automl.films.table import EPISODES, FILMS, ROLES
from d4rl_automl.plan.config import Config, validated
from d4rl_automl.plan.digests import digest
from d4rl_automl.plan.figures import table_shown_as
from d4rl_automl.plan.run import Plan, autogluon_minutes, expand, options
from d4rl_automl.plan.yaml_files import refuse_losses
from d4rl_automl.terminal import end
from d4rl_automl.terminal.events import Listener
from d4rl_automl.tracking import VARIABLE as TRACKER_VARIABLE
from d4rl_automl.tracking.table import NONE as NO_TRACKER, check_installed

# Whether a workflow imports this one as a module (docs/use-in-your-workflow.md). What holds for all of Snakemake is
# then left to that workflow.
IMPORTED = not workflow.modifier.is_main_snakefile()

try:
    for file in workflow.configfiles:
        refuse_losses(file, Config.model_fields if IMPORTED else ())
    CONFIG = validated(config)
except InputError as error:
    read = ", ".join(map(str, workflow.configfiles))
    raise WorkflowError(f"module {__name__}: {error}" if IMPORTED else f"{error} (read: {read})")
if sys.getfilesystemencoding() != "utf-8" and not (said := str(CONFIG)).isascii():
    letters = "".join(sorted({letter for letter in said if not letter.isascii()}))
    raise WorkflowError(
        f"config: found {ascii(letters)}, letters that the jobs write as UTF-8, and the locale of this shell as "
        f"{sys.getfilesystemencoding()}: set PYTHONUTF8=1 for Snakemake, or a locale in UTF-8"
    )
# How many GPUs jobs may have at a time. Snakemake takes a resource without a limit as unlimited, and drops a profile's
# limit as soon as --resources is given; a workflow that imports this one sets its own.
if not IMPORTED:
    workflow.global_resources.setdefault("gpu", 1)
slots = workflow.global_resources.get("gpu").value
# Where jobs run on this machine, and not on nodes of a scheduler, no more of them than there are cards.
if CONFIG.device != "cpu" and workflow.is_main_process and workflow.resource_settings.nodes is None:
    here = max(len(visible_gpus()), int(CONFIG.device == "cuda"))
    slots = here if slots is None else min(slots, here)
    if not IMPORTED:
        workflow.global_resources["gpu"] = slots
PLAN = Plan(CONFIG, gpu=slots != 0)
if PLAN.teachers:
    demand("autogluon", "torch")

# The software environment of what trains, with the torch for this device.
LEARNING = f"../../envs/learning-{'cpu' if CONFIG.device == 'cpu' else 'cuda'}.yaml"

try:
    deployed = CONFIG.tracker != NO_TRACKER and workflow.deployment_settings.deployment_method
    conda_file = (ROOT / "envs" / Path(LEARNING).name).read_text(encoding="utf-8") if deployed else None
    check_installed(CONFIG.tracker, conda_file)
except InputError as error:
    raise WorkflowError(str(error))

if not IMPORTED:
    # Likewise limited: more downloads at a time would only strain the host.
    workflow.global_resources.setdefault("download", 3)
    # A plan of thousands of jobs makes millions of objects and hardly a cycle of them: looking for
    # cycles as often as Python does by default is a tenth of a dry run.
    gc.set_threshold(100_000)


class shell(shell):
    """Snakemake's own, by the name that the rules' commands are run by: its prefix is for these rules alone."""


# `script name ...` in a shell command runs scripts/name.py, with the interpreter that runs Snakemake
# or, with --sdm, the environment's own. It replaces the shell (`exec`), so that it is this process's
# own child, and ends when this one is killed. Which of the caller's variables it sees: scripts/environment.sh.
PYTHON = "python" if workflow.deployment_settings.deployment_method else quote(sys.executable)
SCRIPTS = quote(str(ROOT / "scripts"))
command = f"""exec {PYTHON} {SCRIPTS}/"$1".py "${{@:2}}" """
# Of the command of this run the report tells.
told = quote(" ".join(map(quote, ["snakemake", *sys.argv[1:]])))
variables = f"PYTHONPATH={quote(SRC)} D4RL_AUTOML_PARENT={os.getpid()} {doubts.CONSOLE_VARIABLE}=9"
variables += f" D4RL_AUTOML_COMMAND={told}"
if CONFIG.tracker != NO_TRACKER:
    variables += f" {TRACKER_VARIABLE}={CONFIG.tracker}"
# Its output goes to a log; by descriptor 9 it still reaches the console.
declarations = f"exec 9>&2; source {SCRIPTS}/environment.sh; export {variables}; script() {{ {command}; }}; "
shell.prefix(declarations.replace("{", "{{").replace("}", "}}"))  # Snakemake formats its prefix


def any_of(names):
    """A regular expression that matches one of `names` and nothing else."""
    return "|".join(map(re.escape, map(str, names))) or "(?!)"


wildcard_constraints:
    dataset=any_of(PLAN.datasets),
    teacher=any_of(PLAN.teachers),
    method=any_of(PLAN.methods),
    seed=any_of(CONFIG.seeds),
    provider=any_of(PLAN.providers),
    suite=any_of(PLAN.suites),
    simulator=any_of(CONFIG.simulators),
    role=any_of(ROLES),
    episode=any_of(EPISODES),
    dimension=r"\d+",


def growing(amount):
    """Memory or minutes that double with every further attempt; `amount` may depend on the wildcards."""
    first = amount if callable(amount) else lambda wildcards: amount
    return lambda wildcards, attempt: first(wildcards) * 2 ** (attempt - 1)


def slots_of(device):
    """How many GPUs a job asks for that trains on this device."""
    return 0 if device == "cpu" else 1


def input_files(wildcards, input):
    """For params: the inputs with their names, as options of a script."""
    return options(dict(input.items()))


def per_dimension(pattern):
    """An input function: `pattern` for every action dimension."""
    return lambda wildcards: PLAN.per_dimension(pattern, **dict(wildcards.items()))


HEARD = Listener()
if not IMPORTED:
    logger.addHandler(HEARD)


def tell_at_the_end(lines):
    """Say what is doubtful about datasets and teachers, and `lines`, after everything that Snakemake has to say."""
    doubtful = []
    for name in PLAN.datasets:
        doubtful += doubts.on_card(paths.CARD.format(dataset=name))
        for path in PLAN.of_teachers(paths.TEACHER_METRICS, [name]):
            doubtful += doubts.on_teacher(path)
    atexit.register(print, "\n".join(["", *doubtful, *lines]), file=sys.stderr)


def tell_estimate():
    """What the run that starts will take, and a warning where trainings of days would go without a GPU."""
    # Here, so that no other start of Snakemake waits for it.
    from d4rl_automl.plan.estimate import at_start

    try:
        at_start(workflow, PLAN)
    except Exception as error:  # A run is not to end for that.
        print(f"How long this takes is not told: {type(error).__name__}: {error}", file=sys.stderr)
