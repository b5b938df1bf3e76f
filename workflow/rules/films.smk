# policies, report rollouts, targets, scores -> films/{role}.{simulator}.{episode}.webp, with a still and what it shows
#
# Whose films there are: src/d4rl_automl/films/table.py. `script name ...` is scripts/name.py (common.smk).


rule film:
    """Play an episode of the reported ones once more, and film it."""
    input:
        unpack(lambda wildcards: PLAN.film_inputs(wildcards.dataset, wildcards.role, wildcards.simulator)),
        scores=paths.DATASET_SCORES,
    output:
        film=f"{paths.FILM}.webp",
        still=f"{paths.FILM}.png",
        facts=f"{paths.FILM}.json",
    log:
        paths.log("{dataset}/films/{role}.{simulator}.{episode}"),
    benchmark:
        paths.benchmark("{dataset}/films/{role}.{simulator}.{episode}")
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(
            lambda wildcards: 500 + max(map(PLAN.rollout_memory, PLAN.filmed(wildcards.dataset, wildcards.role)))
        ),
        runtime=growing(60),
    params:
        code=lambda wildcards: digest(
            "film",
            *PLAN.simulated_by(wildcards.dataset, wildcards.simulator),
            *PLAN.loaded_by(PLAN.filmed(wildcards.dataset, wildcards.role)),
            resources=("mujoco210_inertia.json",),
        ),
    shell:
        "script film --policies {input.policies:q} --rollouts {input.rollouts:q} --targets {input.targets:q}"
        " --scores {input.scores:q} --simulator {wildcards.simulator} --episode {wildcards.episode}"
        " --output {output.film:q} > {log:q} 2>&1"
