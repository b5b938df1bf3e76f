"""What every script in `scripts/` does around its one call: log, and tell errors."""

import logging
import os
import re
import resource
import signal
import sys
import types
from collections.abc import Callable

from d4rl_automl.core.errors import InputError, MachineError, machine_error
from d4rl_automl.core.processes import end_with_parent, hide_gpus

PROCESSOR_TIME = re.compile(r"([\d.]+) s of processor time$", re.MULTILINE)
"""What `run` writes at the end of a log."""


def run(main: Callable[[], None], *, gpu: bool = False) -> None:
    """Run a script's `main`, logging to standard error (the rule's log).

    Unless the script trains on a GPU where it is told to (`gpu`), it finds none.

    An `InputError`, and what the machine is at fault for (`machine_error`), ends the script with
    its message alone and exit code 1; any other exception keeps its traceback, because it is ours
    to mend. The last line of the log is the processor time, which Snakemake's benchmark only samples.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    # A cluster ends a job by this signal: as an exit, it lets half-written files be cleaned up.
    signal.signal(signal.SIGTERM, _exit)
    # Set in the workflow only: a script started by hand may outlive its shell.
    if parent := os.environ.get("D4RL_AUTOML_PARENT"):
        end_with_parent(int(parent))
    if not gpu:
        hide_gpus()
    try:
        main()
    except Exception as error:
        told = error if isinstance(error, (InputError, MachineError)) else machine_error(error)
        if told is None:
            raise
        sys.exit(f"error: {told}")
    finally:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        logging.info("%.2f s of processor time", sum(one.ru_utime + one.ru_stime for one in used))


def _exit(number: int, frame: types.FrameType | None) -> None:
    # It may come again in the midst of the clean-up: the kernel sends it for every thread of a parent that ends.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
