# transitions.parquet -> policies/{method}-s{seed}.onnx: policies fitted to the data directly


rule fit_mlp:
    """The student's network fitted to the data: the control of every distillation."""
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
        method=of_kind("mlp"),
    conda:
        "../../envs/d4rl-automl.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=GPU,
    params:
        settings=method_entry,
        device=DEVICE,
        code=digest("fit_policy", "methods.mlp"),
    shell:
        "script fit_policy --settings {params.settings:q} --transitions {input.transitions:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads} --output {output.policy:q}"
        " > {log:q} 2>&1"
