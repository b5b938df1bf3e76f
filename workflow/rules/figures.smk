# transitions, predictions, rollouts -> results/{dataset}/figures/: PNG and SVG, each with its CSV
# everything                        -> results/report/index.html


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
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
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
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
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
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
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
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        prefix=lambda wildcards, output: output[0].removesuffix(".png"),
        code=digest("plot_calibration"),
    shell:
        "script plot_calibration --rollouts {input:q} --output-prefix {params.prefix:q} > {log:q} 2>&1"


rule report:
    """One page that shows the run, readable without a network."""
    input:
        scores="results/scores.csv",
        summary="results/summary.csv",
        students=expand("results/{dataset}/students.csv", dataset=DATASETS),
        figures=every_figure,
    output:
        "results/report/index.html",
    log:
        "logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=json.dumps(config),
        captions=sha256(ROOT / "workflow" / "report"),
        code=digest("report"),
    shell:
        "script report --scores {input.scores:q} --summary {input.summary:q}"
        " --students {input.students:q} --figures {input.figures:q} --config {params.config:q}"
        " --output {output:q} > {log:q} 2>&1"


localrules:
    plot_reward_to_go,
    plot_actions,
    plot_returns,
    plot_calibration,
    report,
