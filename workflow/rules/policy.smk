# transitions, labels, predictors -> policies/{method}-s{seed}.json, and the file or folders that it points at
# of networks that are asked for them -> policies/{method}-s{seed}.checkpoints/
# every policy of a dataset       -> students.csv
#
# Which methods there are, what each needs and leaves: src/d4rl_automl/methods. `script name ...` is scripts/name.py
# (common.smk).

from d4rl_automl.policies.formats import FORMATS

for kind, making, points, own in PLAN.makings():

    rule:
        """Make the policies of one kind of method."""
        name:
            f"{making.rule}_with_{points}_checkpoints" if points else making.rule
        input:
            unpack(lambda wildcards: PLAN.taught(wildcards.dataset, wildcards.method, wildcards.seed)),
            transitions=paths.TRANSITIONS,
        output:
            *(f"{paths.POLICY}{ending}" for ending in filter(None, [FORMATS[making.format].ending])),
            *map(paths.beside, making.beside),
            handle=paths.HANDLE,
            checkpoints=paths.checkpoints(points),
        log:
            paths.log("{dataset}/policies/{method}-s{seed}"),
        benchmark:
            paths.benchmark("{dataset}/policies/{method}-s{seed}")
        wildcard_constraints:
            method=any_of(own),
        conda:
            LEARNING
        threads: 1
        resources:
            mem_mb=growing(making.memory),
            runtime=growing(making.minutes),
            gpu=slots_of(PLAN.device(kind)),
            # Not params: where it is fitted makes nothing stale.
            device=PLAN.device(kind),
        params:
            settings=lambda wildcards: PLAN.shaping(PLAN.methods[wildcards.method]),
            files=input_files,
            code=lambda wildcards: PLAN.fitted_by(wildcards.method),
        shell:
            "script fit_policy --settings {params.settings:q} {params.files} --seed {wildcards.seed}"
            " --device {resources.device} --threads {threads} --output {output.handle:q}"
            " --checkpoints {output.checkpoints:q} > {log:q} 2>&1"


rule compare_students:
    """Teacher, students and the control side by side: loss, size, speed."""
    input:
        unpack(lambda wildcards: PLAN.policies(wildcards.dataset)),
        transitions=paths.TRANSITIONS,
    output:
        report(paths.COMPARISON, **table_shown_as("students", "Teacher and students", "{dataset}")),
    log:
        paths.log("{dataset}/compare_students"),
    benchmark:
        paths.benchmark("{dataset}/compare_students")
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=lambda wildcards: digest(
            "compare_students", *PLAN.loaded_by(method.name for method in CONFIG.methods_for(wildcards.dataset))
        ),
    shell:
        "script compare_students --transitions {input.transitions:q} --policies {input.policies:q}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"
