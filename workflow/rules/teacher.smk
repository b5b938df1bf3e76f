# transitions.parquet -> teachers/{teacher}-s{seed}/ac{dimension}/ (trained), deployed/ac{dimension}/ (for acting)
# every dimension     -> metrics.csv, predictions.parquet, importance.csv
#                        labels/{teacher}-s{seed}.parquet: states and outcomes with the teacher's actions
# a trained predictor -> distilled/{method}-s{seed}/ac{dimension}/: AutoGluon's own students
#
# `script name ...` is scripts/name.py (common.smk).


rule train_teacher:
    """Let AutoGluon fit one action dimension. The trained directory never changes afterwards."""
    input:
        transitions=paths.TRANSITIONS,
    output:
        predictor=directory(paths.PREDICTOR),
        predictor_sha256=f"{paths.PREDICTOR}.sha256",
        deployed=directory(paths.DEPLOYED),
        deployed_sha256=f"{paths.DEPLOYED}.sha256",
        metrics=f"{paths.PREDICTOR}.csv",
        leaderboard=f"{paths.PREDICTOR}.leaderboard.csv",
    log:
        paths.log("{dataset}/teachers/{teacher}-s{seed}/ac{dimension}"),
    benchmark:
        paths.benchmark("{dataset}/teachers/{teacher}-s{seed}/ac{dimension}")
    conda:
        LEARNING
    threads: lambda wildcards: PLAN.teachers[wildcards.teacher].threads
    resources:
        mem_mb=growing(lambda wildcards: PLAN.autogluon_memory(wildcards.dataset, wildcards.teacher)),
        runtime=growing(lambda wildcards: autogluon_minutes(PLAN.teachers[wildcards.teacher].time_limit)),
        gpu=lambda wildcards: slots_of(PLAN.autogluon_device(wildcards.teacher)),
        # Not params: where it is fitted makes nothing stale.
        device=lambda wildcards: PLAN.autogluon_device(wildcards.teacher),
    params:
        settings=lambda wildcards: PLAN.training_of(wildcards.dataset, wildcards.teacher),
        code=digest("train_teacher"),
    shell:
        "script train_teacher --settings {params.settings:q}"
        " --transitions {input.transitions:q} --dimension {wildcards.dimension}"
        " --seed {wildcards.seed} --device {resources.device} --threads {threads}"
        " --predictor {output.predictor:q} --deployed {output.deployed:q}"
        " --metrics {output.metrics:q} --leaderboard {output.leaderboard:q} > {log:q} 2>&1"


rule evaluate_teacher:
    """Loss per action dimension on held-out episodes, as trained and as acting."""
    input:
        transitions=paths.TRANSITIONS,
        deployed=per_dimension(paths.DEPLOYED),
        metrics=per_dimension(f"{paths.PREDICTOR}.csv"),
    output:
        metrics=paths.TEACHER_METRICS,
        predictions=paths.PREDICTIONS,
    log:
        paths.log("{dataset}/teachers/{teacher}-s{seed}/evaluate"),
    benchmark:
        paths.benchmark("{dataset}/teachers/{teacher}-s{seed}/evaluate")
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=digest("evaluate_teacher"),
    shell:
        "script evaluate_teacher --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " --metrics-in {input.metrics:q} --threads {threads}"
        " --metrics {output.metrics:q} --predictions {output.predictions:q} > {log:q} 2>&1"


rule measure_importance:
    """How much worse a teacher predicts where a feature is shuffled, on a sample of held-out transitions."""
    input:
        transitions=paths.TRANSITIONS,
        deployed=per_dimension(paths.DEPLOYED),
    output:
        paths.TEACHER_IMPORTANCE,
    log:
        paths.log("{dataset}/teachers/{teacher}-s{seed}/importance"),
    benchmark:
        paths.benchmark("{dataset}/teachers/{teacher}-s{seed}/importance")
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        code=digest("measure_importance"),
    shell:
        "script measure_importance --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " --seed {wildcards.seed} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule label_teacher:
    """Ask the teacher for its actions on recorded states, perturbed states and commanded outcomes."""
    input:
        transitions=paths.TRANSITIONS,
        deployed=per_dimension(paths.DEPLOYED),
    output:
        paths.LABELS,
    log:
        paths.log("{dataset}/labels/{teacher}-s{seed}"),
    benchmark:
        paths.benchmark("{dataset}/labels/{teacher}-s{seed}")
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        mixture=options(CONFIG.labels.shaping()),
        # Labels cover the range of the commanded fractions, whatever lies between.
        fractions=lambda wildcards: options({"fractions": PLAN.labelled(wildcards.dataset)}),
        code=digest("label_teacher"),
    shell:
        "script label_teacher --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " {params.fractions} {params.mixture}"
        " --seed {wildcards.seed} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule distill_teacher:
    """AutoGluon's own distillation of one action dimension, in a copy of the trained directory."""
    input:
        transitions=paths.TRANSITIONS,
        predictor=lambda wildcards: paths.PREDICTOR.format(
            teacher=PLAN.teacher_of(wildcards.method), **dict(wildcards.items())
        ),
    output:
        distilled=directory(paths.DISTILLED),
        sha256=f"{paths.DISTILLED}.sha256",
    log:
        paths.log("{dataset}/distilled/{method}-s{seed}/ac{dimension}"),
    benchmark:
        paths.benchmark("{dataset}/distilled/{method}-s{seed}/ac{dimension}")
    wildcard_constraints:
        method=any_of(PLAN.distilled()),
    conda:
        LEARNING
    threads: lambda wildcards: PLAN.teachers[PLAN.teacher_of(wildcards.method)].threads
    resources:
        mem_mb=growing(lambda wildcards: PLAN.autogluon_memory(wildcards.dataset, PLAN.teacher_of(wildcards.method))),
        runtime=growing(lambda wildcards: autogluon_minutes(PLAN.methods[wildcards.method].time_limit)),
        gpu=lambda wildcards: slots_of(PLAN.autogluon_device(wildcards.method)),
        # Not params: where it is fitted makes nothing stale.
        device=lambda wildcards: PLAN.autogluon_device(wildcards.method),
    params:
        # How its policy is played does not shape it.
        settings=lambda wildcards: PLAN.shaping(PLAN.methods[wildcards.method], "export"),
        code=digest("distill_teacher"),
    shell:
        "script distill_teacher --settings {params.settings:q}"
        " --transitions {input.transitions:q} --predictor {input.predictor:q}"
        " --dimension {wildcards.dimension} --seed {wildcards.seed} --device {resources.device} --threads {threads}"
        " --output {output.distilled:q} > {log:q} 2>&1"
