"""What a run says on the terminal, from events as Snakemake logs them."""

import csv
import logging
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from d4rl_automl.core import paths, words
from d4rl_automl.plan import remaining
from d4rl_automl.plan.scheduling import Task
from d4rl_automl.terminal import end
from d4rl_automl.terminal.events import Job, Run
from d4rl_automl.terminal.lines import Lines

DATASET = "hopper-medium-v2"


def record(
    event: LogEvent | None = None, message: str = "", level: int = logging.INFO, **told: Any
) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelno": level, **told})
    if event is not None:
        made.event = event
    return made


def begins(number: int, rule: str, **wildcards: str) -> logging.LogRecord:
    return record(
        LogEvent.JOB_INFO, jobid=number, rule_name=rule, wildcards=wildcards, log=[f"logs/{rule}.log"], threads=1
    )


def test_snakemake_finds_the_handler_and_every_job_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LoggerPluginRegistry().get_plugin("d4rl-automl").log_handler(None, None)
    stats = {"train_teacher": 11, "report": 1, "all": 1, "total": 13}
    events = [
        record(message="Building DAG of jobs..."),
        record(message="a config that warns", level=logging.WARNING),
        record(LogEvent.RUN_INFO, "Job stats: ...", stats=stats),
        begins(7, "train_teacher", dataset=DATASET, teacher="medium", seed="0", dimension="2"),
        record(LogEvent.JOB_STARTED, jobs=[7]),
        record(LogEvent.JOB_FINISHED, job_id=7),
        record(LogEvent.PROGRESS, done=1, total=13),
        begins(3, "report"),
        record(LogEvent.JOB_ERROR, "Error in rule report", logging.ERROR, jobid=3, log=["logs/report.log"]),
        record(LogEvent.ERROR, "died", logging.ERROR, exception="CalledProcessError"),
        begins(0, "all"),
        record(LogEvent.JOB_FINISHED, job_id=0),
        record(message="a job could not be resumed", level=logging.WARNING),
    ]
    for event in events:
        handler.emit(event)
    assert capsys.readouterr().err.splitlines() == [
        "a config that warns",
        "12 jobs",
        f"[ 1/12] train_teacher {DATASET} medium, seed 0, dimension 2: 0 s",
        "[ 1/12] report: FAILED",
        "a job could not be resumed",
    ]


def test_a_failed_job_ends_in_its_own_error_and_the_path_of_its_log(tmp_path: Path) -> None:
    run = Run()
    for number, rule in enumerate(("link", "score", "rollout", "report")):
        run.take(begins(number, rule, dataset=DATASET))
        # Snakemake tells a failure again when it gives up.
        for _ in range(2):
            run.take(record(LogEvent.JOB_ERROR, jobid=number, rule_name=rule, log=[f"logs/{rule}.log"]))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/link.log").write_text("read\nerror: x.hdf5: no such file;\ngive one\n0.2 s of processor time\n")
    (tmp_path / "logs/score.log").write_text("Traceback\n  ...\nKeyError: 'kind'\n0.20 s of processor time\n")
    (tmp_path / "logs/rollout.log").write_text("")
    assert end.failures(run, tmp_path, killed=False) == [
        f"link {DATASET} failed:",
        "  error: x.hdf5: no such file;",
        "  give one",
        "  log: logs/link.log",
        f"score {DATASET} failed:",
        "  KeyError: 'kind'",
        "  log: logs/score.log",
        f"rollout {DATASET} failed:",
        "  its log is empty: what ended it is not known",
        "  log: logs/rollout.log",
        f"report {DATASET} failed:",
        "  its log is empty: what ended it is not known",
        "  log: logs/report.log",
    ]
    killed = end.failures(run, tmp_path, killed=True)
    # One that says what happened to it was not killed.
    assert killed[1] == "  error: x.hdf5: no such file;"
    assert killed[8].startswith("  error: a process was killed (SIGKILL)")


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def finished(directory: Path, datasets: int, seeds: int) -> Run:
    """Tables of a run of two methods, and its jobs."""
    names = [f"hopper-{place}" for place in range(datasets)]
    keys = [(name, method, seed) for name in names for method in ("teacher", "bc") for seed in range(seeds)]
    write(
        directory / paths.SCORES,
        [
            {"dataset": name, "method": method, "seed": seed, "simulator": simulator, "target": target}
            | {"normalised": 50 + 10 * seed + 1000 * (target != "selected") + 1000 * (simulator != "d4rl")}
            for name, method, seed in keys
            for simulator in ("d4rl", "gymnasium-v5")
            for target in ("selected", "fixed", "all")
        ],
    )
    write(
        directory / paths.COSTS,
        [
            {"dataset": name, "method": method, "seed": seed}
            | {"with_teacher_seconds": "" if method == "bc" else 95.5, "microseconds_per_action": 81.05}
            for name, method, seed in keys
        ],
    )
    run = Run()
    run.jobs[0] = Job("report", {}, [], 1, 0.0, 1.0)
    run.jobs.update({n: Job("rollout", {"dataset": names[0]}, [], 1, 0.0, 40.0) for n in (1, 2)})
    return run


def test_a_run_ends_in_one_small_table(tmp_path: Path) -> None:
    run = finished(tmp_path, datasets=1, seeds=1)
    assert end.told(run, tmp_path, "d4rl") == [
        "hopper-0",
        "method   score       made in  actions/s",
        "teacher   50.0    1 min 36 s     12,000",
        "bc        50.0  not measured     12,000",
        "Score: 0 is the random policy, 100 D4RL's expert; one training seed.",
        "",
        "Slow: rollout 1 min 20 s (2 jobs), report 1 s.",
        "The report: results/report/index.html",
    ]


def test_of_many_datasets_the_table_has_a_row_per_method(tmp_path: Path) -> None:
    several = end.told(finished(tmp_path, datasets=2, seeds=3), tmp_path, "d4rl")
    assert several[:2] == [
        "dataset   method                 score       made in  actions/s",
        "hopper-0  teacher  60.0 (50.0 to 70.0)    1 min 36 s     12,000",
    ]
    assert several[5] == "Score: 0 is the random policy, 100 D4RL's expert; the mean and the range of 3 training seeds."
    many = end.told(finished(tmp_path, datasets=18, seeds=3), tmp_path, "d4rl")
    assert many[:3] == [
        "datasets  method                 score       made in  actions/s",
        "18        teacher  60.0 (50.0 to 70.0)    1 min 36 s     12,000",
        "18        bc       60.0 (50.0 to 70.0)  not measured     12,000",
    ]


def test_a_run_that_makes_no_report_says_nothing(tmp_path: Path) -> None:
    assert end.told(Run(), tmp_path, "d4rl") == []


@pytest.mark.parametrize(
    ("seconds", "exact", "rounded", "rough"),
    [
        (0.24, "0 s", "0.2 s", "about 10 s"),
        (59.6, "1 min", "60 s", "about 60 s"),
        (125, "2 min 5 s", "2.1 min", "about 2 min"),
        (599, "9 min 59 s", "10 min", "about 10 min"),
        (3600, "1 h", "1 h", "about 60 min"),
        (11_400, "3 h 10 min", "3.2 h", "about 3 h"),
        (187_200, "2 days 4 h", "52 h", "about 2 days"),
        (1e7, "115 days 17 h", "116 days", "about 116 days"),
    ],
)
def test_durations_are_written_for_people(seconds: float, exact: str, rounded: str, rough: str) -> None:
    assert (words.duration(seconds), words.rounded(seconds), words.about(seconds)) == (exact, rounded, rough)


EXPECTED = remaining.Expected(
    ["data", "fit-a", "fit-b", "report"],
    [Task(10, 1, 0, 0, ()), Task(60, 1, 0, 0, (0,)), Task(100, 1, 0, 0, (0,)), Task(5, 1, 0, 0, (1, 2))],
    cores=2,
    slots=1,
)


@pytest.mark.parametrize(
    ("ended", "running", "left"),
    [
        ({}, {}, 115),
        # Too little has been seen to tell the machine's speed.
        ({"data": 20}, {"fit-a": 0, "fit-b": 0}, 105),
        # Twice as slow as reckoned: 200 - 120 of one fit, and 10 of the report.
        ({"data": 20, "fit-a": 120}, {"fit-b": 120}, 90),
        # What takes longer than it should ends any time.
        ({"data": 10, "fit-a": 60}, {"fit-b": 300}, 5),
        ({"data": 10, "fit-a": 60, "fit-b": 100, "report": 5}, {}, 0),
        # Of another run.
        ({"other": 10}, {}, None),
    ],
)
def test_the_rest_is_reckoned_at_the_speed_that_was_seen(
    ended: dict[str, float], running: dict[str, float], left: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remaining, "_expected", None)
    assert remaining.left(ended, running) is None
    remaining.begins(EXPECTED)
    assert remaining.left(ended, running) == left


def test_a_line_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remaining, "_expected", EXPECTED)
    told = Lines()
    told.line(record(LogEvent.RUN_INFO, stats={"data": 1, "fit": 2, "report": 1, "all": 1, "total": 5}))
    told.line(begins(1, "data"))
    assert told.line(record(LogEvent.JOB_FINISHED, job_id=1)) == "[1/4] data: 0 s, about 2 min left"
