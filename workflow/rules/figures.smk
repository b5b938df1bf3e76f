# transitions, predictions, rollouts -> results/{dataset}/figures/: PNG and SVG, each with its CSV
# scores                            -> results/figures/: the same, over all datasets of a provider
# everything                        -> results/report/index.html, which shows it; with what it shows: results/report.zip
#
# Which figures there are, and what each is drawn from: src/d4rl_automl/figures/table.py. `script name ...` is
# scripts/name.py (common.smk).

from d4rl_automl.core.files import sha256
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.plan.figures import files_of, planned, settings_of, shown_as
from d4rl_automl.plan.graph import rules_before

# What the page is made from, beside its code.
PAGE = ("captions", "style.css", "script.js", "template.html.j2")

for figure in FIGURES.values():

    rule:
        """Draw one kind of figure."""
        name:
            f"plot_{figure.name}"
        input:
            unpack(files_of(PLAN, figure)),
        output:
            report(f"results/{figure.job}.png", **shown_as(figure)),
            multiext(f"results/{figure.job}", ".svg", ".csv"),
        log:
            paths.log(figure.job),
        benchmark:
            paths.benchmark(figure.job)
        localrule: True
        conda:
            "../../envs/figures.yaml"
        threads: 1
        resources:
            mem_mb=growing(figure.memory),
            runtime=growing(10),
        params:
            figure=figure.name,
            files=input_files,
            settings=settings_of(PLAN, figure),
            prefix=lambda wildcards, output: output[0].removesuffix(".png"),
            code=digest("plot", f"figures.{figure.name}", resources=figure.resources),
        shell:
            "script plot {params.figure} {params.files} {params.settings} --prefix {params.prefix:q} > {log:q} 2>&1"


rule report:
    """One page that shows the run, readable without a network."""
    input:
        scores=paths.SCORES,
        summary=paths.SUMMARY,
        comparisons=paths.COMPARISONS,
        costs=paths.COSTS,
        standings=expand(paths.STANDINGS, dataset=PLAN.learned),
        students=expand(paths.COMPARISON, dataset=PLAN.learned),
        teachers=PLAN.of_teachers(paths.TEACHER_METRICS, PLAN.learned),
        cards=expand(paths.CARD, dataset=PLAN.datasets),
        figures=planned(PLAN),
        films=PLAN.films(CONFIG.films),
    output:
        paths.REPORT,
    log:
        paths.log("report"),
    benchmark:
        paths.benchmark("report")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(CONFIG.model_dump(mode="json", exclude={"tracker"})),
        plan=lambda wildcards, output: json.dumps(rules_before(workflow.dag, output[0])),
        page=[sha256(ROOT / "src/d4rl_automl/report" / part) for part in PAGE],
        code=digest("report"),
    shell:
        "script report --config {params.config:q} --plan {params.plan:q} --scores {input.scores:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q} --costs {input.costs:q}"
        " --standings {input.standings:q} --students {input.students:q} --teachers {input.teachers:q}"
        " --cards {input.cards:q} --figures {input.figures:q} --films {input.films:q} --output {output:q} > {log:q} 2>&1"


rule pack_report:
    """The report with all that it shows, in one file to pass on."""
    input:
        rules.report.input,
        report=paths.REPORT,
    output:
        paths.REPORT_ZIP,
    log:
        paths.log("pack_report"),
    benchmark:
        paths.benchmark("pack_report")
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        code=digest("pack_report"),
    shell:
        "script pack_report --report {input.report:q} --output {output:q} > {log:q} 2>&1"
