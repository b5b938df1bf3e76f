# transitions, predictions, rollouts -> results/{dataset}/figures/: PNG and SVG, each with its CSV
# everything                        -> results/report/index.html

FIGURE = "results/{dataset}/figures/"


rule plot_reward_to_go:
    """What the data hold: reward-to-go by step, returns, and where the commanded targets lie."""
    input:
        transitions=TRANSITIONS,
        episodes=EPISODES,
    output:
        multiext(FIGURE + "reward_to_go", ".png", ".svg", ".csv"),
    params:
        fractions=FRACTIONS,
        code=digest("plot_reward_to_go"),
    log:
        "logs/{dataset}/figures/reward_to_go.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/reward_to_go.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    conda:
        "../../envs/d4rl-automl.yaml"
    shell:
        "{PYTHON} {SCRIPTS}/plot_reward_to_go.py --transitions {input.transitions:q} --episodes {input.episodes:q}"
        " --fractions {params.fractions:q} --output {output[0]:q} > {log:q} 2>&1"


rule plot_actions:
    """Recorded and predicted actions on held-out episodes, by action dimension."""
    input:
        predictions=TEACHER + "/predictions.parquet",
        metrics=TEACHER + "/metrics.csv",
    output:
        multiext(FIGURE + "actions-{teacher}-s{seed}", ".png", ".svg", ".csv"),
    params:
        code=digest("plot_actions"),
    log:
        "logs/{dataset}/figures/actions-{teacher}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/actions-{teacher}-s{seed}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/d4rl-automl.yaml"
    shell:
        "{PYTHON} {SCRIPTS}/plot_actions.py --predictions {input.predictions:q} --metrics {input.metrics:q}"
        " --output {output[0]:q} > {log:q} 2>&1"


rule plot_returns:
    """Violins of the returns by commanded target, the demonstrator's beside them."""
    input:
        rollouts=reported(ROLLOUT, purpose="report", seed=SEEDS),
        targets=reported(TARGET),
        episodes=EPISODES,
    output:
        multiext(FIGURE + "returns.{simulator}", ".png", ".svg", ".csv"),
    params:
        code=digest("plot_returns"),
    log:
        "logs/{dataset}/figures/returns.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/returns.{simulator}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/d4rl-automl.yaml"
    shell:
        "{PYTHON} {SCRIPTS}/plot_returns.py --rollouts {input.rollouts:q} --targets {input.targets:q}"
        " --episodes {input.episodes:q} --output {output[0]:q} > {log:q} 2>&1"


rule plot_calibration:
    """Commanded against achieved return."""
    input:
        reported(ROLLOUT, purpose="report", seed=SEEDS),
    output:
        multiext(FIGURE + "calibration.{simulator}", ".png", ".svg", ".csv"),
    params:
        code=digest("plot_calibration"),
    log:
        "logs/{dataset}/figures/calibration.{simulator}.log",
    benchmark:
        "results/benchmarks/{dataset}/figures/calibration.{simulator}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/d4rl-automl.yaml"
    shell:
        "{PYTHON} {SCRIPTS}/plot_calibration.py --rollouts {input:q} --output {output[0]:q} > {log:q} 2>&1"
