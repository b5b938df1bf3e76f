"""What every script in `scripts/` does around its one call: log, and tell errors."""

import logging
import signal
import sys
from collections.abc import Callable

from d4rl_automl.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`, logging to standard error (the rule's log).

    An `InputError` ends the script with its message alone and exit code 1; any other
    exception keeps its traceback, because it is ours to mend.
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
