# src/d4rl_automl/resources/behaviour/training.yaml -> results/behaviour/{task}/: checkpoints and their curve
# checkpoints                       -> results/behaviour/chosen/: policies, recipes and levels, to be
#                                      copied to src/d4rl_automl/resources/behaviour/ by whoever wants them there
# curves and levels                 -> results/behaviour/curves.png

import yaml

TRAINING = yaml.safe_load((catalogue.BEHAVIOUR / "training.yaml").read_text())
CHECKPOINTS = "results/behaviour/{task}"
CHOSEN = "results/behaviour/chosen"


rule train_behaviour:
    """Train one robot's behaviour policies, in an environment of its own (envs/behaviour/install.sh)."""
    output:
        directory(CHECKPOINTS),
    log:
        "logs/behaviour/{task}.log",
    benchmark:
        "results/benchmarks/behaviour/{task}.tsv"
    wildcard_constraints:
        task=any_of(TRAINING),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        settings=lambda wildcards: json.dumps(TRAINING[wildcards.task]),
        code=digest("train_behaviour", "behaviour.training_worker", resources=("mujoco210_inertia.json",)),
    shell:
        "script train_behaviour --task {wildcards.task} --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"


rule choose_behaviour:
    """Choose medium, expert and what leads to medium among the checkpoints, and measure them anew."""
    input:
        expand(CHECKPOINTS, task=TRAINING),
    output:
        directory(CHOSEN),
    log:
        "logs/behaviour/choose.log",
    benchmark:
        "results/benchmarks/behaviour/choose.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        settings=json.dumps(TRAINING),
        code=digest("choose_behaviour", resources=("mujoco210_inertia.json",)),
    shell:
        "script choose_behaviour --trainings {input:q} --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"


rule plot_behaviour:
    """Returns over the training, and where the chosen policies lie."""
    input:
        trainings=expand(CHECKPOINTS, task=TRAINING),
        chosen=CHOSEN,
    output:
        multiext("results/behaviour/curves", ".png", ".svg", ".csv"),
    log:
        "logs/behaviour/plot.log",
    benchmark:
        "results/benchmarks/behaviour/plot.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        tasks=json.dumps(list(TRAINING)),
        code=digest("plot_behaviour"),
    shell:
        "script plot_behaviour --trainings {input.trainings:q} --tasks {params.tasks:q}"
        " --levels {input.chosen:q}/levels.csv --output-prefix {params.prefix:q} > {log:q} 2>&1"


localrules:
    plot_behaviour,
