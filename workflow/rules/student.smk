# teacher             -> labels/{teacher}-s{seed}.parquet      states and outcomes with the teacher's actions
# labels              -> policies/{method}-s{seed}.onnx        the joint student of all action dimensions
# trained predictors  -> distilled/{teacher}-s{seed}/          AutoGluon's own students
# all of them         -> students.csv

DISTILLED = "results/{dataset}/distilled/{method}-s{seed}/ac{dimension}"


rule label_teacher:
    """Ask the teacher for its actions on recorded states, perturbed states and commanded outcomes."""
    input:
        transitions=TRANSITIONS,
        deployed=per_dimension("results/{dataset}/teachers/{teacher}-s{seed}/deployed/ac{dimension}"),
    output:
        "results/{dataset}/labels/{teacher}-s{seed}.parquet",
    log:
        "logs/{dataset}/labels/{teacher}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/labels/{teacher}-s{seed}.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        teacher=teacher_entry,
        settings=json.dumps(config["labels"]),
        fractions=COMMANDED,
        code=digest("label_teacher"),
    shell:
        "script label_teacher --transitions {input.transitions:q} --deployed {input.deployed:q}"
        " --teacher-settings {params.teacher:q} --fractions {params.fractions:q} --settings {params.settings:q}"
        " --seed {wildcards.seed} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule fit_student:
    """One network for all action dimensions, fitted to the teacher's labels."""
    input:
        transitions=TRANSITIONS,
        labels=lambda wildcards: f"results/{{dataset}}/labels/{teacher_of(wildcards)}-s{{seed}}.parquet",
    output:
        policy=POLICY,
        onnx=POLICY_ONNX,
        curve=POLICY_CURVE,
    log:
        "logs/{dataset}/policies/{method}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/policies/{method}-s{seed}.tsv"
    wildcard_constraints:
        method=of_kind("student"),
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
        gpu=GPU,
    params:
        settings=method_entry,
        device=DEVICE,
        code=fitted_by,
    shell:
        "script fit_policy --settings {params.settings:q} --transitions {input.transitions:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.policy:q}"
        " --labels {input.labels:q} > {log:q} 2>&1"


use rule fit_student as fit_catboost_student with:
    output:
        policy=POLICY,
        catboost=POLICY_CATBOOST,
        curve=POLICY_CURVE,
        importance=POLICY_IMPORTANCE,
    wildcard_constraints:
        method=of_kind("catboost_student"),
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),


rule distill_teacher:
    """AutoGluon's own distillation of one action dimension, in a copy of the trained directory."""
    input:
        transitions=TRANSITIONS,
        predictor=lambda wildcards: f"results/{{dataset}}/teachers/{teacher_of(wildcards)}-s{{seed}}/ac{{dimension}}",
    output:
        distilled=directory(DISTILLED),
        sha256=f"{DISTILLED}.sha256",
    log:
        "logs/{dataset}/distilled/{method}-s{seed}/ac{dimension}.log",
    benchmark:
        "results/benchmarks/{dataset}/distilled/{method}-s{seed}/ac{dimension}.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(autogluon_memory),
        runtime=growing(lambda wildcards: autogluon_minutes(METHODS[wildcards.method])),
        gpu=GPU,
    params:
        settings=distillation_entry,
        teacher=teacher_entry,
        device=DEVICE,
        code=digest("distill_teacher"),
    shell:
        "script distill_teacher --transitions {input.transitions:q} --predictor {input.predictor:q}"
        " --dimension {wildcards.dimension} --settings {params.settings:q} --teacher-settings {params.teacher:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.distilled:q} > {log:q} 2>&1"


rule fit_autogluon_student:
    """The policy that plays AutoGluon's own students."""
    input:
        transitions=TRANSITIONS,
        deployed=per_dimension(DISTILLED),
    output:
        policy=POLICY,
    log:
        "logs/{dataset}/policies/{method}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/policies/{method}-s{seed}.tsv"
    wildcard_constraints:
        method=of_kind("autogluon_student", export=False),
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


use rule fit_autogluon_student as export_autogluon_student with:
    output:
        policy=POLICY,
        onnx=POLICY_ONNX,
    wildcard_constraints:
        method=of_kind("autogluon_student", export=True),
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),


rule compare_students:
    """Teacher, students and the control side by side: loss, size, speed."""
    input:
        unpack(lambda wildcards: policies_of(wildcards.dataset)),
        transitions=TRANSITIONS,
    output:
        "results/{dataset}/students.csv",
    log:
        "logs/{dataset}/compare_students.log",
    benchmark:
        "results/benchmarks/{dataset}/compare_students.tsv"
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=lambda wildcards: digest("compare_students", *loaded_by(methods_for(config, wildcards.dataset))),
    shell:
        "script compare_students --transitions {input.transitions:q} --policies {input.policies:q}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"
