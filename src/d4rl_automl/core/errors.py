"""The errors that are the user's to mend, and how a script tells them."""

import errno
import os
import sys
from concurrent.futures.process import BrokenProcessPool

REMAKE = "delete it and run snakemake again"
"""The end of a message about one of the workflow's own files."""


class InputError(ValueError):
    """Something handed to the workflow is wrong: a file, a config value, a downloaded body.

    The message names the file and the field, says what was found and what was
    expected, and ends in what to do. Scripts print it without a traceback.
    """


class MachineError(RuntimeError):
    """The machine gave out: a full disk, too little memory, a folder that is read-only, a process that was killed.

    The message says what happened and what to do. Scripts print it without a traceback.
    """


_MORE_MEMORY = (
    "run fewer jobs at a time (a smaller --cores), or give this one more (where a scheduler limits it, its rule's "
    "mem_mb: --set-resources RULE:mem_mb=8000; where a shell does, `ulimit -v`)"
)
_NO_MEMORY = ("allocate memory", "out of memory", "bad allocation", "bad_alloc")
"""In what torch, LightGBM, XGBoost and CatBoost say; they have no class for it."""


def machine_error(error: BaseException) -> MachineError | None:
    """The MachineError that a library's `error` amounts to; None if it is about something else."""
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name
        and error.name.partition(".")[0] != __name__.partition(".")[0]
    ):
        return MachineError(
            f"{sys.executable} has no package {error.name!r}: run this where the packages of the workflow are (`make "
            "install` makes .venv), or the workflow with --sdm conda"
        )
    number, where = getattr(error, "errno", None), getattr(error, "filename", None)
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return MachineError(
            f"the disk is full ({text}); nothing half-written was kept: make room where results/ is (`df -h results`) "
            "and run this again"
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(words in text for words in _NO_MEMORY):
        return MachineError(f"not enough memory ({text}); {_MORE_MEMORY}, or lower the config's rows or episodes")
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return MachineError(f"{where}: {os.strerror(number)}; let yourself read and write there, and run this again")
    if isinstance(error, BrokenProcessPool):
        return killed_process()
    return None


def killed_process() -> MachineError:
    """The error for a job, or a process of one, that was killed without a message."""
    return MachineError(
        "a process was killed (SIGKILL), by somebody or by the system for lack of memory; nothing half-written is "
        f"used: {_MORE_MEMORY}, and run this again"
    )
