"""One line for every job that ends, instead of Snakemake's paragraphs: `snakemake --logger d4rl-automl`.

Snakemake finds its plugins by names like this one, and imports all that there are whenever it starts. So the package
itself is imported late: by the first event, when the workflow has been read and has said which copy of it to use.
"""

import logging
import sys
from typing import TYPE_CHECKING

from snakemake_interface_logger_plugins.base import LogHandlerBase

if TYPE_CHECKING:
    from d4rl_automl.terminal.lines import Lines


class LogHandler(LogHandlerBase):
    """Writes to standard error what `d4rl_automl.terminal.lines` makes of Snakemake's events."""

    def __post_init__(self) -> None:
        self._lines: Lines | None = None

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's log file stays Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is told is decided by the lines."""
        return True

    @property
    def has_formatter(self) -> bool:
        """And how."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It draws none."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if the record is worth one."""
        if self._lines is None and hasattr(record, "event") and record.levelno < logging.WARNING:
            from d4rl_automl.terminal.lines import Lines  # noqa: PLC0415

            self._lines = Lines()
        if self._lines is not None:
            line = self._lines.line(record)
        else:
            line = record.getMessage() if record.levelno >= logging.WARNING else None
        if line is not None:
            print(line, file=sys.stderr, flush=True)
