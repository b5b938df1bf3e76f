from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/policy.smk"
include: "workflow/rules/rollout.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/behaviour.smk"


rule all:
    """The report, and everything that it is made of, so that a deleted figure or table comes back."""
    input:
        [paths.REPORT, paths.SCORES, paths.SUMMARY, paths.COMPARISONS, paths.COSTS] if PLAN.learned else [],
        expand(paths.COMPARISON, dataset=PLAN.learned),
        planned(PLAN),
        paths.CARDS,
        expand("results/{dataset}/card.md", dataset=PLAN.datasets),


rule data:
    """The datasets with their cards, and nothing learned from them."""
    input:
        paths.CARDS,
        expand("results/{dataset}/card.md", dataset=PLAN.datasets),
        expand("results/{dataset}/figures/card.png", dataset=PLAN.datasets),


rule transitions:
    """The datasets as Parquet."""
    input:
        expand(paths.TRANSITIONS, dataset=PLAN.datasets),


rule csv:
    """The datasets as CSV."""
    input:
        expand("results/{dataset}/transitions.csv", dataset=PLAN.datasets),


rule teachers:
    """The teachers and their losses."""
    input:
        PLAN.of_teachers(paths.TEACHER_METRICS),


rule policies:
    """Every policy, not played."""
    input:
        [policy for dataset in PLAN.datasets for policy in PLAN.policies(dataset)["policies"]],


rule behaviour:
    """The behaviour policies that collect embedded datasets, trained anew."""
    input:
        paths.CHOSEN,
        "results/behaviour/curves.png",


onerror:
    if any("SIGKILL" in Path(file).read_text() for file in log):
        print(f"\n{killed_process()}", file=sys.stderr)
