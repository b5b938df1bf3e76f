# provider        -> results/{dataset}/raw.hdf5 and raw.json
# raw.hdf5        -> transitions.parquet, episodes.parquet
# all of these    -> card.json, card.md, and results/cards.csv of all datasets
# transitions     -> transitions.csv (on demand)

RAW = "results/{dataset}/raw.hdf5"
PROVENANCE = "results/{dataset}/raw.json"
TRANSITIONS = "results/{dataset}/transitions.parquet"
EPISODES = "results/{dataset}/episodes.parquet"
CARD = "results/{dataset}/card.json"


rule download:
    """Fetch a D4RL file, resuming, and check it before it gets its name."""
    output:
        raw=ensure(RAW, sha256=lambda wildcards: DATASETS[wildcards.dataset]["sha256"]),
        provenance=PROVENANCE,
    log:
        "logs/{dataset}/download.log",
    benchmark:
        "results/benchmarks/{dataset}/download.tsv"
    wildcard_constraints:
        dataset=provided_by("d4rl"),
    retries: 3
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(240),
        download=1,
        # Not params: where a file may come from is no reason to fetch it again.
        local=config["d4rl_dir"],
        mirrors=json.dumps(config["mirrors"]),
    params:
        entry=dataset_entry,
        code=digest("download"),
    shell:
        "script download --dataset {params.entry:q} --local {resources.local:q} --mirrors {resources.mirrors:q}"
        " --output {output.raw:q} --provenance {output.provenance:q} > {log:q} 2>&1"


rule collect:
    """Collect an embedded dataset with the shipped behaviour policies, in D4RL's own physics."""
    output:
        raw=RAW,
        provenance=PROVENANCE,
    log:
        "logs/{dataset}/collect.log",
    benchmark:
        "results/benchmarks/{dataset}/collect.tsv"
    wildcard_constraints:
        dataset=provided_by("embedded"),
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        entry=dataset_entry,
        behaviour=behaviour,
        code=digest("collect", resources=("mujoco210_inertia.json",)),
    shell:
        "script collect --dataset {params.entry:q} --threads {threads}"
        " --output {output.raw:q} --provenance {output.provenance:q} > {log:q} 2>&1"


rule link:
    """Take in a file of the user's: validated, linked, its checksum kept."""
    input:
        lambda wildcards: DATASETS[wildcards.dataset]["path"],
    output:
        raw=RAW,
        provenance=PROVENANCE,
    log:
        "logs/{dataset}/link.log",
    benchmark:
        "results/benchmarks/{dataset}/link.tsv"
    wildcard_constraints:
        dataset=provided_by("file"),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        entry=dataset_entry,
        stamp=stamp,
        code=digest("link"),
    shell:
        "script link --dataset {params.entry:q}"
        " --output {output.raw:q} --provenance {output.provenance:q} > {log:q} 2>&1"


rule make_transitions:
    """Flatten episodes to transitions with reward-to-go, split by whole episodes."""
    input:
        raw=RAW,
        provenance=PROVENANCE,
    output:
        transitions=TRANSITIONS,
        episodes=EPISODES,
    log:
        "logs/{dataset}/make_transitions.log",
    benchmark:
        "results/benchmarks/{dataset}/make_transitions.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        entry=dataset_entry,
        split=json.dumps(config["split"]),
        code=digest("make_transitions"),
    shell:
        "script make_transitions --raw {input.raw:q} --provenance {input.provenance:q}"
        " --dataset {params.entry:q} --split {params.split:q}"
        " --output {output.transitions:q} --episodes {output.episodes:q} > {log:q} 2>&1"


rule make_card:
    """What a dataset holds, where it is from, and whether the simulator repeats its steps."""
    input:
        raw=RAW,
        provenance=PROVENANCE,
        transitions=TRANSITIONS,
        episodes=EPISODES,
    output:
        card=CARD,
        markdown="results/{dataset}/card.md",
    log:
        "logs/{dataset}/make_card.log",
    benchmark:
        "results/benchmarks/{dataset}/make_card.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=digest("make_card", resources=("mujoco210_inertia.json",)),
    shell:
        "script make_card --raw {input.raw:q} --provenance {input.provenance:q}"
        " --transitions {input.transitions:q} --episodes {input.episodes:q}"
        " --output {output.card:q} --markdown {output.markdown:q} > {log:q} 2>&1"


rule merge_cards:
    """The main facts of every dataset in one table."""
    input:
        expand(CARD, dataset=DATASETS),
    output:
        "results/cards.csv",
    log:
        "logs/merge_cards.log",
    benchmark:
        "results/benchmarks/merge_cards.tsv"
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
    """The finished episodes in the plain format ob0, …, ac0, …, rtg."""
    input:
        TRANSITIONS,
    output:
        "results/{dataset}/transitions.csv",
    log:
        "logs/{dataset}/write_csv.log",
    benchmark:
        "results/benchmarks/{dataset}/write_csv.tsv"
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


localrules:
    download,
    link,
    merge_cards,
