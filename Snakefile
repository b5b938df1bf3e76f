from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/student.smk"
include: "workflow/rules/baseline.smk"
include: "workflow/rules/rollout.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/behaviour.smk"


rule all:
    default_target: True
    input:
        # What the report is made of, too, so that a deleted figure or table comes back.
        (
            [
                "results/report/index.html",
                *expand("results/{table}.csv", table=["scores", "summary", "comparisons", "costs"]),
            ]
            if LEARNED
            else []
        ),
        expand("results/{dataset}/students.csv", dataset=LEARNED),
        every_figure,
        overall_figures(),
        "results/cards.csv",
        expand("results/{dataset}/card.md", dataset=DATASETS),


rule data:
    input:
        "results/cards.csv",
        expand("results/{dataset}/card.md", dataset=DATASETS),
        expand("results/{dataset}/figures/card.png", dataset=DATASETS),


rule transitions:
    input:
        expand("results/{dataset}/transitions.parquet", dataset=DATASETS),


rule csv:
    input:
        expand("results/{dataset}/transitions.csv", dataset=DATASETS),


rule teachers:
    input:
        every_teacher("metrics.csv"),


rule policies:
    input:
        [policy for dataset in DATASETS for policy in policies_of(dataset)["policies"]],


rule behaviour:
    input:
        CHOSEN,
        "results/behaviour/curves.png",


onerror:
    if any("SIGKILL" in Path(file).read_text() for file in log):
        print(f"\n{killed_process()}", file=sys.stderr)


localrules:
    all,
    data,
    behaviour,
    transitions,
    csv,
    teachers,
    policies,
