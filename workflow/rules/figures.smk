# transitions, predictions, rollouts -> results/{dataset}/figures/: PNG and SVG, each with its CSV
# scores                            -> results/figures/: the same, over all datasets of a provider
# everything                        -> results/report/index.html


rule plot_card:
    """Returns and lengths of the episodes, as the dataset's card shows them."""
    input:
        card=CARD,
        episodes=EPISODES,
    output:
        multiext("results/{dataset}/figures/card", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/card.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/card.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_card"),
    shell:
        "script plot_card --card {input.card:q} --episodes {input.episodes:q}"
        " --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_reward_to_go:
    """What the data hold: reward-to-go by step, returns, and where the commanded targets lie."""
    input:
        transitions=TRANSITIONS,
        episodes=EPISODES,
    output:
        multiext("results/{dataset}/figures/reward_to_go", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/reward_to_go.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/reward_to_go.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        fractions=FRACTIONS,
        code=digest("plot_reward_to_go"),
    shell:
        "script plot_reward_to_go --transitions {input.transitions:q} --episodes {input.episodes:q}"
        " --fractions {params.fractions:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_actions:
    """Recorded and predicted actions on held-out episodes, by action dimension."""
    input:
        predictions="results/{dataset}/teachers/{teacher}-s{seed}/predictions.parquet",
        metrics="results/{dataset}/teachers/{teacher}-s{seed}/metrics.csv",
    output:
        multiext("results/{dataset}/figures/actions-{teacher}-s{seed}", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/actions-{teacher}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/actions-{teacher}-s{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_actions"),
    shell:
        "script plot_actions --predictions {input.predictions:q} --metrics {input.metrics:q}"
        " --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_returns:
    """Violins of the returns by commanded target, the demonstrator's beside them."""
    input:
        rollouts=reported(ROLLOUT, purpose="report", seed=SEEDS),
        targets=reported(TARGET),
        episodes=EPISODES,
    output:
        multiext("results/{dataset}/figures/returns.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/returns.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/returns.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_returns"),
    shell:
        "script plot_returns --rollouts {input.rollouts:q} --targets {input.targets:q}"
        " --episodes {input.episodes:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_calibration:
    """Commanded against achieved return."""
    input:
        reported(ROLLOUT, purpose="report", seed=SEEDS),
    output:
        multiext("results/{dataset}/figures/calibration.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/calibration.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/calibration.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_calibration"),
    shell:
        "script plot_calibration --rollouts {input:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_curves:
    """How the losses fell while the policies were fitted."""
    input:
        lambda wildcards: curves(wildcards.dataset),
    output:
        multiext("results/{dataset}/figures/curves", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/curves.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/curves.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_curves"),
    shell:
        "script plot_curves --curves {input:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_importance:
    """What forests and teachers look at."""
    input:
        lambda wildcards: importance(wildcards.dataset),
    output:
        multiext("results/{dataset}/figures/importance", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/importance.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/importance.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_importance"),
    shell:
        "script plot_importance --tables {input:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_l2:
    """Squared error of the actions, by teacher or method and action dimension."""
    input:
        metrics=lambda wildcards: every_teacher("metrics.csv", [wildcards.dataset]),
        students="results/{dataset}/students.csv",
    output:
        multiext("results/{dataset}/figures/l2", ".png", ".svg", ".csv"),
    log:
        "logs/{dataset}/figures/l2.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/l2.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        provider=lambda wildcards: DATASETS[wildcards.dataset]["provider"],
        code=digest("plot_l2", resources=("autogluon_l2.csv",)),
    shell:
        "script plot_l2 --dataset {wildcards.dataset} --provider {params.provider} --metrics {input.metrics:q}"
        " --students {input.students:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_heat_table:
    """Every dataset and method: the scores at the selected target, published ones beside them."""
    input:
        "results/scores.csv",
    output:
        multiext("results/figures/heat_table.{provider}.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/figures/heat_table.{provider}.{simulator}.log",
    benchmark:
        "results/benchmarks/figures/heat_table.{provider}.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_heat_table", resources=("published_scores.csv",)),
    shell:
        "script plot_heat_table --scores {input:q} --provider {wildcards.provider}"
        " --simulator {wildcards.simulator} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_profiles:
    """How often a method scores above each threshold."""
    input:
        "results/scores.csv",
    output:
        multiext("results/figures/profiles.{provider}.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/figures/profiles.{provider}.{simulator}.log",
    benchmark:
        "results/benchmarks/figures/profiles.{provider}.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_profiles"),
    shell:
        "script plot_profiles --scores {input:q} --provider {wildcards.provider}"
        " --simulator {wildcards.simulator} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule plot_improvement:
    """How often each method scores above the reference method."""
    input:
        "results/comparisons.csv",
    output:
        multiext("results/figures/improvement.{provider}.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/figures/improvement.{provider}.{simulator}.log",
    benchmark:
        "results/benchmarks/figures/improvement.{provider}.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        reference=config["reference"],
        code=digest("plot_improvement"),
    shell:
        "script plot_improvement --comparisons {input:q} --reference {params.reference:q} --provider {wildcards.provider}"
        " --simulator {wildcards.simulator} --output-prefix {params.prefix:q} > {log:q} 2>&1"


ARGUMENTS["measure_costs"] = lambda: {
    "policies": [
        made_by(dataset, method["name"], seed)
        for dataset in LEARNED
        for method in methods_for(config, dataset)
        for seed in SEEDS
    ],
    "students": expand("results/{dataset}/students.csv", dataset=LEARNED),
}


rule measure_costs:
    """What every policy cost, read from what its jobs left."""

    # The students' tables change with every policy. The benchmark files and logs are no inputs:
    # a training must not start again because one was deleted.
    input:
        arguments=ARGUMENT_FILE.format(job="measure_costs"),
        students=expand("results/{dataset}/students.csv", dataset=LEARNED),
    output:
        "results/costs.csv",
    log:
        "logs/measure_costs.log",
    benchmark:
        "results/benchmarks/measure_costs.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=digest("measure_costs"),
    shell:
        "script measure_costs @{input.arguments:q} --output {output:q} > {log:q} 2>&1"


rule plot_costs:
    """Scores against what they cost."""
    input:
        costs="results/costs.csv",
        scores="results/scores.csv",
    output:
        multiext("results/figures/costs.{provider}.{simulator}", ".png", ".svg", ".csv"),
    log:
        "logs/figures/costs.{provider}.{simulator}.log",
    benchmark:
        "results/benchmarks/figures/costs.{provider}.{simulator}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_costs"),
    shell:
        "script plot_costs --costs {input.costs:q} --scores {input.scores:q} --provider {wildcards.provider}"
        " --simulator {wildcards.simulator} --output-prefix {params.prefix:q} > {log:q} 2>&1"


ARGUMENTS["report"] = lambda: {
    "students": expand("results/{dataset}/students.csv", dataset=LEARNED),
    "cards": expand(CARD, dataset=DATASETS),
    "figures": [*overall_figures(), *every_figure(None)],
}


rule report:
    """One page that shows the run, readable without a network."""
    input:
        arguments=ARGUMENT_FILE.format(job="report"),
        scores="results/scores.csv",
        summary="results/summary.csv",
        comparisons="results/comparisons.csv",
        costs="results/costs.csv",
        students=expand("results/{dataset}/students.csv", dataset=LEARNED),
        cards=expand(CARD, dataset=DATASETS),
        figures=every_figure,
        overall=overall_figures(),
    output:
        "results/report/index.html",
    log:
        "logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        page=[sha256(ROOT / "src/d4rl_automl/report" / part) for part in ("captions", "style.css", "template.html.j2")],
        code=digest("report"),
    shell:
        "script report @{input.arguments:q} --scores {input.scores:q} --summary {input.summary:q}"
        " --comparisons {input.comparisons:q} --costs {input.costs:q} --config {params.config:q}"
        " --output {output:q} > {log:q} 2>&1"


localrules:
    plot_card,
    plot_reward_to_go,
    plot_actions,
    plot_returns,
    plot_calibration,
    plot_l2,
    measure_costs,
    plot_costs,
    plot_heat_table,
    plot_profiles,
    plot_improvement,
    plot_curves,
    plot_importance,
    report,
