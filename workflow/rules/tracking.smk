# tables, figures -> results/tracker/: the run in TensorBoard or Weights & Biases, if the config asks for it
#
# Fits send their losses there themselves, as they come (scripts/fit_policy.py). `script name ...` is scripts/name.py
# (common.smk).

if CONFIG.tracker != NO_TRACKER:

    rule track:
        """The tables and figures of the run in its tracker."""
        input:
            tables=(
                [paths.SCORES, paths.SUMMARY, paths.COMPARISONS, paths.COSTS]
                + expand(paths.COMPARISON, dataset=PLAN.learned)
                if PLAN.learned
                else [paths.CARDS]
            ),
            figures=planned(PLAN),
        output:
            paths.TRACKED,
        log:
            paths.log("track"),
        benchmark:
            paths.benchmark("track")
        localrule: True
        conda:
            LEARNING
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(30),
        params:
            tracker=CONFIG.tracker,
            config=json.dumps(CONFIG.model_dump(mode="json")),
            code=digest("track", f"tracking.{CONFIG.tracker}"),
        shell:
            "script track --tracker {params.tracker} --config {params.config:q} --tables {input.tables:q}"
            " --figures {input.figures:q} --output {output:q} > {log:q} 2>&1"
