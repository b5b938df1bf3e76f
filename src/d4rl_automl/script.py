"""What every script in `scripts/` does around its one call: log, and tell errors."""

import logging
import resource
import signal
import sys
from collections.abc import Callable

from d4rl_automl.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`, logging to standard error (the rule's log).

    An `InputError` ends the script with its message alone and exit code 1; any other
    exception keeps its traceback, because it is ours to mend. The last line of the log is
    the processor time, which Snakemake's benchmark only samples.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    # A cluster ends a job by this signal: as an exit, it lets half-written files be cleaned up.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    finally:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        logging.info("%.2f s of processor time", sum(one.ru_utime + one.ru_stime for one in used))
