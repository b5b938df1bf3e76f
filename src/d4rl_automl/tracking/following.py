"""A fit's losses in a tracker, as they come."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from d4rl_automl.tracking import VARIABLE, base


@contextlib.contextmanager
def following(fit: str, output: str | Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Send the losses that are logged to the tracker that this job is asked for (`VARIABLE`).

    `fit`: name of the logger, whose records carry them as `learners.progress` says; `output`: the policy's handle,
    results/{dataset}/policies/{method}-s{seed}.json; `facts`: what to know of the fit.
    """
    results, dataset = Path(output).parents[2], Path(output).parents[1].name
    run = base.start(os.environ[VARIABLE], results, group=dataset, name=Path(output).stem, facts=facts)
    handler = _Sender(run)
    logger = logging.getLogger(fit)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        run.close()


class _Sender(logging.Handler):
    def __init__(self, run: base.Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        if (losses := getattr(record, "losses", None)) is not None:
            self._run.log(losses, record.__dict__["step"])
