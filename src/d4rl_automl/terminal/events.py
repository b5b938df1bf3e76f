"""What happened in a run so far, from the events that Snakemake logs."""

import logging
import time
from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.common import LogEvent

from d4rl_automl.core import paths


@dataclass
class Job:
    """A job of a run that has begun."""

    rule: str
    about: dict[str, str]
    """Its wildcards."""
    logs: list[str]
    threads: int
    started: float
    """Seconds of `time.monotonic`."""
    seconds: float | None = None
    """Its wall time; none as long as it runs, and for one that failed."""


@dataclass
class Run:
    """The jobs of a run, as `take` was told of them."""

    jobs: dict[int, Job] = field(default_factory=dict)
    """Those that have begun, by Snakemake's number of the job."""
    counts: dict[str, int] = field(default_factory=dict)
    """Jobs that the run will make, by rule."""
    failed: list[int] = field(default_factory=list)
    """The numbers of the jobs that failed, each once, in the order of their failures."""
    started: float = field(default_factory=time.monotonic)

    @property
    def finished(self) -> list[Job]:
        """The jobs that came to their end, in the order of their beginnings."""
        return [job for job in self.jobs.values() if job.seconds is not None]

    @property
    def planned(self) -> int:
        """The number of jobs, but for those that only name targets."""
        return sum(number for rule, number in self.counts.items() if rule != "all")

    def progress(self) -> tuple[dict[str, float], dict[str, float]]:
        """Seconds of the jobs that have ended, and seconds since those that run began, by name (`core.paths.log`)."""
        named = {paths.job_of_log(job.logs[0]): job for number, job in self.jobs.items() if job.logs}
        now = time.monotonic()
        ended = {name: job.seconds for name, job in named.items() if job.seconds is not None}
        return ended, {name: now - job.started for name, job in named.items() if name not in ended}

    def take(self, record: logging.LogRecord) -> Job | None:
        """Learn from a record of Snakemake's; returns the job that it says has ended or failed, if it does."""
        event, told = getattr(record, "event", None), vars(record)
        if event == LogEvent.RUN_INFO:
            self.counts = {rule: int(number) for rule, number in told["stats"].items() if rule != "total"}
        elif event == LogEvent.JOB_INFO:
            about = {name: str(value) for name, value in told["wildcards"].items()}
            self.jobs[told["jobid"]] = Job(
                told["rule_name"], about, list(told["log"]), told["threads"] or 1, time.monotonic()
            )
        elif event == LogEvent.JOB_FINISHED:
            job = self.jobs.get(told["job_id"])
            if job is not None and job.seconds is None:
                job.seconds = time.monotonic() - job.started
                return job
        elif event == LogEvent.JOB_ERROR and told["jobid"] in self.jobs:
            if told["jobid"] not in self.failed:
                self.failed.append(told["jobid"])
            return self.jobs[told["jobid"]]
        return None


class Listener(logging.Handler):
    """Keeps a `Run` of what a logger is told."""

    def __init__(self) -> None:
        super().__init__()
        self.run = Run()

    def emit(self, record: logging.LogRecord) -> None:
        """Learn from a record."""
        self.run.take(record)
