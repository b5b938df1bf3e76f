# transitions.parquet -> teachers/{teacher}-s{seed}/ac{dimension}/ (trained), deployed/ac{dimension}/ (for acting)
# every dimension     -> metrics.csv, predictions.parquet, and the policy that plays the teacher


rule train_teacher:
    """Let AutoGluon fit one action dimension. The trained directory never changes afterwards."""
    input:
        transitions=TRANSITIONS,
    output:
        predictor=directory("results/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}"),
        predictor_sha256="results/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.sha256",
        deployed=directory("results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}"),
        deployed_sha256="results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}.sha256",
        metrics="results/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.csv",
        leaderboard="results/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.leaderboard.csv",
    log:
        "logs/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.log",
    benchmark:
        "results/benchmarks/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(autogluon_memory),
        runtime=growing(lambda wildcards: autogluon_minutes(TEACHERS[wildcards.teacher])),
        gpu=GPU,
    params:
        settings=teacher_entry,
        device=DEVICE,
        code=digest("train_teacher"),
    shell:
        "script train_teacher --transitions {input.transitions:q} --dimension {wildcards.dimension}"
        " --settings {params.settings:q} --seed {wildcards.seed} --device {params.device} --threads {threads}"
        " --predictor {output.predictor:q} --deployed {output.deployed:q}"
        " --metrics {output.metrics:q} --leaderboard {output.leaderboard:q} > {log:q} 2>&1"


rule evaluate_teacher:
    """Loss per action dimension on held-out episodes, as trained and as acting."""
    input:
        transitions=TRANSITIONS,
        deployed=per_dimension("results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}"),
        metrics=per_dimension("results/{dataset}/teachers/{teacher}-s{seed}/ac{dimension}.csv"),
    output:
        metrics="results/{dataset}/teachers/{teacher}-s{seed}/metrics.csv",
        predictions="results/{dataset}/teachers/{teacher}-s{seed}/predictions.parquet",
    log:
        "logs/{dataset}/teachers/{teacher}-s{seed}/evaluate.log",
    benchmark:
        "results/benchmarks/{dataset}/teachers/{teacher}-s{seed}/evaluate.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=teacher_entry,
        code=digest("evaluate_teacher"),
    shell:
        "script evaluate_teacher --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " --metrics-in {input.metrics:q} --settings {params.settings:q} --threads {threads}"
        " --metrics {output.metrics:q} --predictions {output.predictions:q} > {log:q} 2>&1"


rule measure_importance:
    """How much worse a teacher predicts where a feature is shuffled, on a sample of held-out transitions."""
    input:
        transitions=TRANSITIONS,
        deployed=per_dimension("results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}"),
    output:
        "results/{dataset}/teachers/{teacher}-s{seed}/importance.csv",
    log:
        "logs/{dataset}/teachers/{teacher}-s{seed}/importance.log",
    benchmark:
        "results/benchmarks/{dataset}/teachers/{teacher}-s{seed}/importance.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=teacher_entry,
        code=digest("measure_importance"),
    shell:
        "script measure_importance --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " --settings {params.settings:q} --seed {wildcards.seed} --threads {threads} --output {output:q}"
        " > {log:q} 2>&1"


rule fit_teacher:
    """The policy that plays the teacher itself."""
    input:
        transitions=TRANSITIONS,
        deployed=per_dimension("results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}"),
    output:
        policy=POLICY,
    log:
        "logs/{dataset}/policies/{method}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/policies/{method}-s{seed}.tsv"
    wildcard_constraints:
        method=of_kind("teacher", export=False),
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=method_entry,
        teacher=teacher_entry,
        device=DEVICE,
        code=fitted_by,
    shell:
        "script fit_policy --settings {params.settings:q} --transitions {input.transitions:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.policy:q}"
        " --teacher {params.teacher:q} --deployed {input.deployed:q} > {log:q} 2>&1"


use rule fit_teacher as export_teacher with:
    output:
        policy=POLICY,
        onnx=POLICY_ONNX,
    wildcard_constraints:
        method=of_kind("teacher", export=True),
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
