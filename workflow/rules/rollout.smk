# policy              -> rollouts/{method}-s{seed}.{simulator}.selection.parquet and .report.parquet
# selection rollouts  -> targets/{method}.{simulator}.json
# report rollouts     -> results/scores.csv, results/summary.csv, results/comparisons.csv

from d4rl_automl import simulators

ROLLOUT = "results/{dataset}/rollouts/{method}-s{seed}.{simulator}.{purpose}.parquet"
TARGET = "results/{dataset}/targets/{method}.{simulator}.json"


rule rollout:
    """Play a policy: all targets and episodes, those that choose a target and those to report, step in one batch."""
    input:
        policy=POLICY,
        files=policy_files,
    output:
        selection=ROLLOUT.replace("{purpose}", "selection"),
        report=ROLLOUT.replace("{purpose}", "report"),
    log:
        "logs/{dataset}/rollouts/{method}-s{seed}.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/rollouts/{method}-s{seed}.{simulator}.tsv"
    conda:
        LEARNING
    threads: config["rollout"]["processes"]
    resources:
        mem_mb=growing(rollout_memory),
        runtime=growing(120),
    params:
        entry=dataset_entry,
        fractions=fractions,
        # With their options: Snakemake compares what values there are, not which is whose.
        selection=lambda wildcards: f"--play selection {episodes(wildcards, 'selection')}",
        report=lambda wildcards: f"--play report {episodes(wildcards, 'report')}",
        seed=f"--seed {config['rollout']['seed']}",
        code=lambda wildcards: digest(
            "rollout",
            simulators.get(wildcards.simulator).module.removeprefix("d4rl_automl."),
            *loaded_by([METHODS[wildcards.method]]),
            resources=("mujoco210_inertia.json",),
        ),
    shell:
        "script rollout --policy {input.policy:q} --dataset {params.entry:q}"
        " --simulator {wildcards.simulator} --fractions {params.fractions:q} {params.seed} --threads {threads}"
        " {params.selection} {output.selection:q} {params.report} {output.report:q} > {log:q} 2>&1"


rule choose_target:
    """The target to report, chosen on the selection episodes alone."""
    input:
        expand(ROLLOUT, seed=SEEDS, purpose="selection", allow_missing=True),
    output:
        TARGET,
    log:
        "logs/{dataset}/targets/{method}.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/targets/{method}.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(5),
    params:
        code=digest("choose_target"),
    shell:
        "script choose_target --rollouts {input:q} --output {output:q} > {log:q} 2>&1"


rule list_arguments:
    """Paths for a script, one argument a line."""
    output:
        ARGUMENT_FILE,
    log:
        "logs/arguments/{job}.log",
    params:
        options=lambda wildcards: ARGUMENTS[wildcards.job](),
    run:
        lines = [line for option, paths in params.options.items() for line in (f"--{option}", *paths)]
        Path(output[0]).write_text("\n".join(lines) + "\n")


ARGUMENTS["score"] = lambda: {"rollouts": played(ROLLOUT, purpose=["report"], seed=SEEDS), "targets": played(TARGET)}


rule score:
    """Returns of the report episodes as normalised scores, with intervals over seeds and datasets."""
    input:
        arguments=ARGUMENT_FILE.format(job="score"),
        rollouts=played(ROLLOUT, purpose=["report"], seed=SEEDS),
        targets=played(TARGET),
    output:
        scores="results/scores.csv",
        summary="results/summary.csv",
        comparisons="results/comparisons.csv",
    log:
        "logs/score.log",
    benchmark:
        "results/benchmarks/score.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        providers=json.dumps({name: DATASETS[name]["provider"] for name in LEARNED}),
        code=digest("score"),
    shell:
        "script score @{input.arguments:q} --providers {params.providers:q} --output {output.scores:q}"
        " --summary {output.summary:q} --comparisons {output.comparisons:q} > {log:q} 2>&1"


localrules:
    list_arguments,
    choose_target,
    score,
