"""Where everything stands below results/: the patterns that the rules, and whoever reads their files, fill in."""

RAW = "results/{dataset}/raw.hdf5"
PROVENANCE = "results/{dataset}/raw.json"
SIMULATOR = "results/{dataset}/simulator.json"
"""Which simulator made the dataset."""
ADMITTED = "results/{dataset}/admitted.json"
"""That a dataset of the user's is not obviously something else."""
TRANSITIONS = "results/{dataset}/transitions.parquet"
EPISODES = "results/{dataset}/episodes.parquet"
CARD = "results/{dataset}/card.json"
CARDS = "results/cards.csv"

TEACHER = "results/{dataset}/teachers/{teacher}-s{seed}"
PREDICTOR = f"{TEACHER}/ac{{dimension}}"
DEPLOYED = f"{TEACHER}/deployed/ac{{dimension}}"
TEACHER_METRICS = f"{TEACHER}/metrics.csv"
TEACHER_IMPORTANCE = f"{TEACHER}/importance.csv"
PREDICTIONS = f"{TEACHER}/predictions.parquet"
LABELS = "results/{dataset}/labels/{teacher}-s{seed}.parquet"
DISTILLED = "results/{dataset}/distilled/{method}-s{seed}/ac{dimension}"

POLICY = "results/{dataset}/policies/{method}-s{seed}"
"""Of a policy's files without their endings."""
HANDLE = f"{POLICY}.json"
ROLLOUT = "results/{dataset}/rollouts/{method}-s{seed}.{simulator}.{purpose}.parquet"
CHECKPOINT_ROLLOUT = "results/{dataset}/rollouts/{method}-s{seed}.{simulator}.checkpoints.parquet"
"""Episodes of a policy at points of its fit."""
TARGET = "results/{dataset}/targets/{method}.{simulator}.json"
FILM = "results/{dataset}/films/{role}.{simulator}.{episode}"
"""Of a film, its still and its facts, without their endings (.webp, .png, .json)."""
COMPARISON = "results/{dataset}/students.csv"

DATASET_SCORES = "results/{dataset}/scores.csv"
STANDINGS = "results/{dataset}/standings.csv"
"""Every method of a dataset against the best."""
DATASET_COSTS = "results/{dataset}/costs.csv"
SCORES = "results/scores.csv"
SUMMARY = "results/summary.csv"
COMPARISONS = "results/comparisons.csv"
COSTS = "results/costs.csv"
TRACKED = "results/tracker/run.json"
REPORT = "results/report/index.html"
REPORT_ZIP = "results/report.zip"
"""The report with all that it shows."""

CHECKPOINTS = "results/behaviour/{task}"
CHOSEN = "results/behaviour/chosen"

ESTIMATE = "results/benchmarks/estimate.csv"
"""What the jobs of runs were expected to cost when the runs started."""


def log(job: str) -> str:
    """The log of a job, whose name is the path of what it makes below results/, without the ending."""
    return f"logs/{job}.log"


def benchmark(job: str) -> str:
    """The time and memory of a job, as Snakemake measured them."""
    return f"results/benchmarks/{job}.tsv"


def checkpoints(number: int) -> list[str]:
    """A policy at so many points of its fit, in order; the last is the end."""
    return [f"{POLICY}.checkpoints/{point}-of-{number}.onnx" for point in range(1, number + 1)]


def job_of_log(log: str) -> str:
    """The name of the job that a log is of."""
    return log.removeprefix("logs/").removesuffix(".log")


def job_of(benchmark: str) -> str:
    """The name of the job that a benchmark file is of."""
    return benchmark.removeprefix("results/benchmarks/").removesuffix(".tsv")


def beside(table: str) -> str:
    """A table that stands beside a policy: "curve" or "importance"."""
    return f"{POLICY}.{table}.csv"
