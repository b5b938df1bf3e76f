"""One line for every job that ends."""

import logging

from snakemake_interface_logger_plugins.common import LogEvent

from d4rl_automl.core import words
from d4rl_automl.plan import remaining
from d4rl_automl.terminal.events import Run


class Lines:
    """The lines of a run. Warnings and errors of Snakemake's come through, a failed job is one line."""

    def __init__(self) -> None:
        self.run = Run()

    def line(self, record: logging.LogRecord) -> str | None:
        """The line that a record of Snakemake's is worth; None for most."""
        before = len(self.run.counts)
        job = self.run.take(record)
        if job is not None and job.rule != "all":
            done = len([one for one in self.run.finished if one.rule != "all"])
            place = f"[{done:{len(str(self.run.planned))}}/{self.run.planned}]"
            name = words.job(job.rule, job.about)
            if job.seconds is None:
                return f"{place} {name}: FAILED"
            left = remaining.left(*self.run.progress())
            rest = f", {words.about(left)} left" if left else ""
            return f"{place} {name}: {words.duration(job.seconds)}{rest}"
        if len(self.run.counts) > before:
            return f"{self.run.planned} jobs"
        event = getattr(record, "event", None)
        # The failure of a job, which is told at the end.
        of_job = event == LogEvent.JOB_ERROR or getattr(record, "exception", None) == "CalledProcessError"
        if record.levelno >= logging.WARNING and not of_job:
            return record.getMessage()
        if "Nothing to be done" in str(record.msg):
            return "Nothing to be done: every file is there, and none is stale"
        return None
