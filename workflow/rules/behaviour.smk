# resources/behaviour/training.yaml -> results/behaviour/{task}/: checkpoints and their curve
# checkpoints                       -> results/behaviour/chosen/: policies, recipes and levels, to be copied to
#                                      resources/behaviour/ of the package by whoever wants them there
# curves and levels                 -> results/behaviour/curves.png
#
# `script name ...` is scripts/name.py (common.smk).

from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.plan.yaml_files import load

TRAINING_FILE = BEHAVIOUR / "training.yaml"
TRAINING = load(TRAINING_FILE)


rule train_behaviour:
    """Train one robot's behaviour policies, in an environment of its own (envs/behaviour/install.sh)."""
    output:
        directory(paths.CHECKPOINTS),
    log:
        paths.log("behaviour/{task}"),
    benchmark:
        paths.benchmark("behaviour/{task}")
    wildcard_constraints:
        task=any_of(TRAINING),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
        # Not params: what is in the file counts, not where it is.
        settings=str(TRAINING_FILE),
    params:
        settings=lambda wildcards: json.dumps(TRAINING[wildcards.task]),
        code=digest("train_behaviour", "behaviour.training_worker", resources=("mujoco210_inertia.json",)),
    shell:
        "script train_behaviour --task {wildcards.task} --settings {resources.settings:q} --output {output:q} > {log:q} 2>&1"


rule choose_behaviour:
    """Choose medium, expert and what leads to medium among the checkpoints, and measure them anew."""
    input:
        expand(paths.CHECKPOINTS, task=TRAINING),
    output:
        directory(paths.CHOSEN),
    log:
        paths.log("behaviour/choose"),
    benchmark:
        paths.benchmark("behaviour/choose")
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
        settings=str(TRAINING_FILE),
    params:
        settings=json.dumps(TRAINING),
        code=digest("choose_behaviour", resources=("mujoco210_inertia.json",)),
    shell:
        "script choose_behaviour --trainings {input:q} --settings {resources.settings:q} --output {output:q} > {log:q} 2>&1"


rule plot_behaviour:
    """Returns over the training, and where the chosen policies lie."""
    input:
        trainings=expand(paths.CHECKPOINTS, task=TRAINING),
        chosen=paths.CHOSEN,
    output:
        multiext("results/behaviour/curves", ".png", ".svg", ".csv"),
    log:
        paths.log("behaviour/plot"),
    benchmark:
        paths.benchmark("behaviour/plot")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        files=input_files,
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot", "figures.behaviour"),
    shell:
        "script plot behaviour {params.files} --prefix {params.prefix:q} > {log:q} 2>&1"
