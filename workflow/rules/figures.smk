# transitions, predictions, rollouts -> results/{dataset}/figures/: PNG and SVG, each with its CSV
# scores                            -> results/figures/: the same, over all datasets of a provider
# everything                        -> results/report/index.html
#
# Which figures there are, and what each is drawn from: src/d4rl_automl/figures/table.py. `script name ...` is
# scripts/name.py (common.smk).

from d4rl_automl.core.files import sha256
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.plan.figures import files_of, planned, settings_of

for figure in FIGURES.values():

    rule:
        """Draw one kind of figure."""
        name:
            f"plot_{figure.name}"
        input:
            unpack(files_of(PLAN, figure)),
        output:
            multiext(f"results/{figure.job}", ".png", ".svg", ".csv"),
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
        students=expand(paths.COMPARISON, dataset=PLAN.learned),
        cards=expand(paths.CARD, dataset=PLAN.datasets),
        figures=planned(PLAN),
    output:
        paths.REPORT,
    log:
        paths.log("report"),
    benchmark:
        paths.benchmark("report")
    localrule: True
    conda:
        LEARNING
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(CONFIG.model_dump(mode="json", exclude={"tracker"})),
        page=[sha256(ROOT / "src/d4rl_automl/report" / part) for part in ("captions", "style.css", "template.html.j2")],
        code=digest("report"),
    shell:
        "script report --config {params.config:q} --scores {input.scores:q} --summary {input.summary:q}"
        " --comparisons {input.comparisons:q} --costs {input.costs:q} --students {input.students:q}"
        " --cards {input.cards:q} --figures {input.figures:q} --output {output:q} > {log:q} 2>&1"
