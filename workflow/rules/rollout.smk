# policy              -> rollouts/{method}-s{seed}.{simulator}.selection.parquet and .report.parquet
# selection rollouts  -> targets/{method}.{simulator}.json
# checkpoints         -> rollouts/{method}-s{seed}.{simulator}.checkpoints.parquet
# report rollouts     -> results/{dataset}/scores.csv, standings.csv -> results/scores.csv, summary.csv, comparisons.csv
# logs, benchmarks    -> results/{dataset}/costs.csv  -> results/costs.csv
#
# `script name ...` is scripts/name.py (common.smk).


rule rollout:
    """Play a policy: all targets and episodes, those that choose a target and those to report, step in one batch."""
    input:
        policy=paths.HANDLE,
        files=lambda wildcards: PLAN.policy_files(wildcards.dataset, wildcards.method, wildcards.seed),
    output:
        selection=paths.ROLLOUT.replace("{purpose}", "selection"),
        report=paths.ROLLOUT.replace("{purpose}", "report"),
    log:
        paths.log("{dataset}/rollouts/{method}-s{seed}.{simulator}"),
    benchmark:
        paths.benchmark("{dataset}/rollouts/{method}-s{seed}.{simulator}")
    conda:
        LEARNING
    threads: CONFIG.rollout.processes
    resources:
        mem_mb=growing(lambda wildcards: PLAN.rollout_memory(wildcards.method)),
        runtime=growing(120),
    params:
        # With their options: Snakemake compares what values there are, not which is whose.
        fractions=lambda wildcards: options({"fractions": PLAN.commanded(wildcards.dataset, wildcards.method)}),
        selection=lambda wildcards: f"--play selection {PLAN.episodes(wildcards.method, 'selection')}",
        report=lambda wildcards: f"--play report {PLAN.episodes(wildcards.method, 'report')}",
        seed=options({"seed": CONFIG.rollout.seed}),
        code=lambda wildcards: digest(
            "rollout",
            *PLAN.simulated_by(wildcards.dataset, wildcards.simulator),
            *PLAN.loaded_by([wildcards.method]),
            resources=("mujoco210_inertia.json",),
        ),
    shell:
        "script rollout --policy {input.policy:q} --dataset {wildcards.dataset}"
        " --simulator {wildcards.simulator} {params.fractions} {params.seed} --threads {threads}"
        " {params.selection} {output.selection:q} {params.report} {output.report:q} > {log:q} 2>&1"


rule choose_target:
    """The target to report, chosen on the selection episodes alone."""
    input:
        expand(
            paths.ROLLOUT,
            dataset="{dataset}",
            method="{method}",
            seed=CONFIG.seeds,
            simulator="{simulator}",
            purpose="selection",
        ),
    output:
        paths.TARGET,
    log:
        paths.log("{dataset}/targets/{method}.{simulator}"),
    benchmark:
        paths.benchmark("{dataset}/targets/{method}.{simulator}")
    localrule: True
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


rule rollout_checkpoints:
    """Play a policy at points of its fit, at the target that was chosen for its end."""
    input:
        policies=lambda wildcards: PLAN.checkpoints(wildcards.dataset, wildcards.method, wildcards.seed),
        target=paths.TARGET,
    output:
        paths.CHECKPOINT_ROLLOUT,
    log:
        paths.log("{dataset}/rollouts/{method}-s{seed}.{simulator}.checkpoints"),
    benchmark:
        paths.benchmark("{dataset}/rollouts/{method}-s{seed}.{simulator}.checkpoints")
    conda:
        LEARNING
    threads: CONFIG.rollout.processes
    resources:
        mem_mb=growing(1000 * CONFIG.rollout.processes),
        runtime=growing(60),
    params:
        episodes=options({"episodes": CONFIG.rollout.checkpoint_episodes}),
        seed=options({"seed": CONFIG.rollout.seed}),
        code=lambda wildcards: digest(
            "rollout_checkpoints",
            *PLAN.simulated_by(wildcards.dataset, wildcards.simulator),
            *PLAN.loaded_by([wildcards.method]),
            resources=("mujoco210_inertia.json",),
        ),
    shell:
        "script rollout_checkpoints --policies {input.policies:q} --target {input.target:q}"
        " --simulator {wildcards.simulator} {params.episodes} {params.seed} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule score_dataset:
    """Returns of a dataset's report episodes as normalised scores."""
    input:
        rollouts=lambda wildcards: PLAN.reported(wildcards.dataset),
        targets=lambda wildcards: PLAN.played(paths.TARGET, [wildcards.dataset]),
        card=paths.CARD,
        teachers=lambda wildcards: PLAN.of_teachers(paths.TEACHER_METRICS, [wildcards.dataset]),
    output:
        scores=paths.DATASET_SCORES,
        standings=paths.STANDINGS,
    log:
        paths.log("{dataset}/score"),
    benchmark:
        paths.benchmark("{dataset}/score")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        taught=lambda wildcards: options(PLAN.taught_methods(wildcards.dataset)),
        code=digest("score_dataset"),
    shell:
        "script score_dataset --rollouts {input.rollouts:q} --targets {input.targets:q}"
        " --card {input.card:q} --teachers {input.teachers:q} {params.taught}"
        " --output {output.scores:q} --standings {output.standings:q} > {log:q} 2>&1"


rule score:
    """The scores of all datasets, with intervals over seeds and datasets, and every pair of methods."""
    input:
        expand(paths.DATASET_SCORES, dataset=PLAN.learned),
    output:
        scores=report(paths.SCORES, **table_shown_as("scores", "Scores")),
        summary=report(paths.SUMMARY, **table_shown_as("summary", "Statistics over datasets and training seeds")),
        comparisons=paths.COMPARISONS,
    log:
        paths.log("score"),
    benchmark:
        paths.benchmark("score")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=digest("score"),
    shell:
        "script score --scores {input:q} --output {output.scores:q}"
        " --summary {output.summary:q} --comparisons {output.comparisons:q} > {log:q} 2>&1"


rule measure_costs:
    """What every policy of a dataset cost, read from what its jobs left."""

    # The table changes with every policy. The benchmark files and logs are no inputs:
    # a training must not start again because one was deleted.
    input:
        paths.COMPARISON,
    output:
        paths.DATASET_COSTS,
    log:
        paths.log("{dataset}/measure_costs"),
    benchmark:
        paths.benchmark("{dataset}/measure_costs")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        policies=lambda wildcards: PLAN.made(wildcards.dataset),
        # That logs/ and results/ are in: a workflow that imports this one may put them elsewhere.
        directory=lambda wildcards, output: str(Path(output[0]).parents[2]),
        code=digest("measure_costs"),
    shell:
        "script measure_costs --dataset {wildcards.dataset} --students {input:q} {params.policies}"
        " --directory {params.directory:q} --output {output:q} > {log:q} 2>&1"


rule merge_costs:
    """The costs of all datasets in one table."""
    input:
        expand(paths.DATASET_COSTS, dataset=PLAN.learned),
    output:
        paths.COSTS,
    log:
        paths.log("merge_costs"),
    benchmark:
        paths.benchmark("merge_costs")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(5),
    params:
        code=digest("merge_costs"),
    shell:
        "script merge_costs --costs {input:q} --output {output:q} > {log:q} 2>&1"
