# transitions.parquet -> policies/{method}-s{seed}.onnx: policies fitted to the data directly


rule fit_mlp:
    """The student's network fitted to the data: the control of every distillation."""
    input:
        transitions=TRANSITIONS,
    output:
        policy=POLICY,
        onnx=POLICY_ONNX,
        curve=POLICY_CURVE,
    wildcard_constraints:
        method=of_kind("mlp"),
    params:
        settings=method_entry,
        device=DEVICE,
        code=digest("fit_policy", "methods.mlp"),
    log:
        "logs/{dataset}/policies/{method}-s{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/policies/{method}-s{seed}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=GPU,
    conda:
        "../../envs/d4rl-automl.yaml"
    shell:
        FIT_POLICY + " > {log:q} 2>&1"
