# transitions.parquet -> policies/{method}-s{seed}.onnx, .ubj: policies fitted to the data directly


rule fit_policy:
    """One network fitted to the transitions, by the method's module."""
    input:
        transitions=TRANSITIONS,
    output:
        policy=POLICY,
        onnx=POLICY_ONNX,
        curve=POLICY_CURVE,
    log:
        "logs/{dataset}/policies/{method}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/policies/{method}-s{seed}.tsv"
    wildcard_constraints:
        method=any_of(name for name in METHODS if name not in named(*TAUGHT, *XGBOOST)),
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        # RvS-R at its published size takes days on a processor, hours on a GPU.
        runtime=growing(lambda wildcards: 2880 if kind_of(wildcards) == "rvs_r" else 120),
        gpu=GPU,
    params:
        settings=method_entry,
        device=DEVICE,
        code=fitted_by,
    shell:
        "script fit_policy --settings {params.settings:q} --transitions {input.transitions:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.policy:q}"
        " > {log:q} 2>&1"


use rule fit_policy as fit_forest with:
    output:
        policy=POLICY,
        xgboost=POLICY_XGBOOST,
        curve=POLICY_CURVE,
        importance=POLICY_IMPORTANCE,
    wildcard_constraints:
        method=of_kind(*XGBOOST),
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
