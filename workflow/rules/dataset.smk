# provider        -> results/{dataset}/raw.hdf5 and raw.json
# raw.hdf5        -> simulator.json: which simulator made it
# raw.hdf5        -> admitted.json, of files of the user's: they are not another task's
# raw.hdf5        -> transitions.parquet, episodes.parquet
# all of these    -> card.json, card.md, and results/cards.csv of all datasets
# transitions     -> transitions.csv (on demand)
#
# `script name ...` is scripts/name.py (common.smk).

from d4rl_automl.data.providers.table import PROVIDERS

for provider in PROVIDERS.values():

    rule:
        """Provide a raw dataset: download it, collect it, or take in a file of the user's."""
        name:
            provider.rule
        output:
            raw=paths.RAW,
            provenance=paths.PROVENANCE,
        log:
            paths.log(f"{{dataset}}/{provider.rule}"),
        benchmark:
            paths.benchmark(f"{{dataset}}/{provider.rule}")
        wildcard_constraints:
            dataset=any_of(PLAN.provided_by(provider.name)),
        retries: provider.retries
        localrule: provider.local
        conda:
            "../../envs/data.yaml"
        threads: provider.threads
        resources:
            mem_mb=growing(provider.memory),
            runtime=growing(provider.minutes),
            download=provider.downloads,
            # Not params: where data may be had from is no reason to fetch them again.
            entry=lambda wildcards: PLAN.datasets[wildcards.dataset].model_dump_json(),
            places=options({"d4rl_dir": CONFIG.d4rl_dir, "mirrors": CONFIG.mirrors}),
        params:
            identity=lambda wildcards: PLAN.identity(wildcards.dataset),
            code=lambda wildcards: PLAN.fetched_by(wildcards.dataset),
        shell:
            "script fetch_dataset --entry {resources.entry:q} {resources.places} --threads {threads}"
            " --output {output.raw:q} --provenance {output.provenance:q} > {log:q} 2>&1"


rule identify_simulator:
    """Which simulator made a dataset."""
    input:
        raw=paths.RAW,
        provenance=paths.PROVENANCE,
    output:
        paths.SIMULATOR,
    log:
        paths.log("{dataset}/identify_simulator"),
    benchmark:
        paths.benchmark("{dataset}/identify_simulator")
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=lambda wildcards: digest(
            "identify_simulator", *PLAN.simulated_by(wildcards.dataset), resources=("mujoco210_inertia.json",)
        ),
    shell:
        "script identify_simulator --raw {input.raw:q} --provenance {input.provenance:q}"
        " --output {output:q} > {log:q} 2>&1"


rule admit:
    """Refuse a file of the user's that is another task's, or whose actions are on another scale, before it is learned from."""
    input:
        raw=paths.RAW,
        provenance=paths.PROVENANCE,
    output:
        paths.ADMITTED,
    log:
        paths.log("{dataset}/admit"),
    benchmark:
        paths.benchmark("{dataset}/admit")
    wildcard_constraints:
        dataset=any_of(PLAN.foreign()),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    # No `code`: what was admitted stays so, and is not learned from anew because a simulator changed. (Were
    # simulator.json an ancient() input of the transitions instead, Snakemake would pass over all that is made of them
    # whenever it is stale, whatever else made that stale.)
    shell:
        "script admit --raw {input.raw:q} --provenance {input.provenance:q} --output {output:q} > {log:q} 2>&1"


rule make_transitions:
    """Flatten episodes to transitions with reward-to-go, split by whole episodes."""
    input:
        raw=paths.RAW,
        provenance=paths.PROVENANCE,
        admitted=lambda wildcards: [paths.ADMITTED] if wildcards.dataset in PLAN.foreign() else [],
    output:
        transitions=paths.TRANSITIONS,
        episodes=paths.EPISODES,
    log:
        paths.log("{dataset}/make_transitions"),
    benchmark:
        paths.benchmark("{dataset}/make_transitions")
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        split=options(CONFIG.split.shaping()),
        code=digest("make_transitions"),
    shell:
        "script make_transitions --raw {input.raw:q} --provenance {input.provenance:q} {params.split}"
        " --output {output.transitions:q} --episodes {output.episodes:q} > {log:q} 2>&1"


rule make_card:
    """What a dataset holds, where it is from, and which simulator made it."""
    input:
        raw=paths.RAW,
        provenance=paths.PROVENANCE,
        simulator=paths.SIMULATOR,
        transitions=paths.TRANSITIONS,
        episodes=paths.EPISODES,
    output:
        card=paths.CARD,
        markdown="results/{dataset}/card.md",
    log:
        paths.log("{dataset}/make_card"),
    benchmark:
        paths.benchmark("{dataset}/make_card")
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        simulators=options({"simulators": CONFIG.simulators}),
        code=digest("make_card"),
    shell:
        "script make_card --raw {input.raw:q} --provenance {input.provenance:q} --simulator {input.simulator:q}"
        " --transitions {input.transitions:q} --episodes {input.episodes:q} {params.simulators}"
        " --output {output.card:q} --markdown {output.markdown:q} > {log:q} 2>&1"


rule merge_cards:
    """The main facts of every dataset in one table."""
    input:
        expand(paths.CARD, dataset=PLAN.datasets),
    output:
        paths.CARDS,
    log:
        paths.log("merge_cards"),
    benchmark:
        paths.benchmark("merge_cards")
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=digest("merge_cards"),
    shell:
        "script merge_cards --cards {input:q} --output {output:q} > {log:q} 2>&1"


rule write_csv:
    """The finished episodes in the plain format ob0, ..., ac0, ..., rtg."""
    input:
        paths.TRANSITIONS,
    output:
        "results/{dataset}/transitions.csv",
    log:
        paths.log("{dataset}/write_csv"),
    benchmark:
        paths.benchmark("{dataset}/write_csv")
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=digest("write_csv"),
    shell:
        "script write_csv --transitions {input:q} --output {output:q} > {log:q} 2>&1"
