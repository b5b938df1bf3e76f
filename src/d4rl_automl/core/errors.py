"""The errors that are the user's to mend, and how a script tells them."""

import errno
import os
import signal
import sys
import tempfile
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

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
    text = (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
    if number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return MachineError(_no_room(text, quota=number == errno.EDQUOT))
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(words in text for words in _NO_MEMORY):
        return MachineError(_no_memory(text))
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        place = text if where is None else f"{where}: {os.strerror(number)}"
        return MachineError(f"{place}; let yourself read and write there, and run this again")
    if isinstance(error, BrokenProcessPool):
        return ended_process(None)
    return None


def _no_room(text: str, *, quota: bool) -> str:
    if quota:
        told, cure = "your quota of the disk is used up", "delete something of yours, or have it raised"
    else:
        told = "the disk is full"
        cure = f"make room where results/ is, or in {tempfile.gettempdir()} (`df -h` and `df -i` of both tell which)"
    return f"{told} ({text}); nothing half-written was kept: {cure}, and run this again"


def _no_memory(text: str) -> str:
    if "CUDA" in text:
        return (
            f"not enough memory on the GPU ({text}); `nvidia-smi` tells what else holds some: end that, name "
            "another GPU by CUDA_VISIBLE_DEVICES, or set device: cpu"
        )
    return f"not enough memory ({text}); {_MORE_MEMORY}, or lower the config's rows or episodes"


def unreadable(path: str | Path, what: str, error: Exception) -> InputError | MachineError:
    """The error for one of the workflow's own files that could not be read as `what`, for the reason in `error`.

    Its content is to blame only where the system did read it.
    """
    if (told := machine_error(error)) is not None:
        return told
    if isinstance(error, FileNotFoundError):
        advice = "run snakemake again, which makes it"
    elif getattr(error, "errno", None) is not None:
        advice = "mend what the system says, and run this again; whether the file is damaged is not known"
    else:
        advice = REMAKE
    return InputError(f"{path}: cannot be read as {what} ({error}); {advice}")


def killed_process() -> MachineError:
    """The error for a job, or a process of one, that was killed without a message."""
    return MachineError(
        "a process was killed (SIGKILL), by somebody or by the system for lack of memory; nothing half-written is "
        f"used: {_MORE_MEMORY}, and run this again"
    )


def ended_process(exit_code: int | None) -> MachineError:
    """The error for a process of a job that ended without a message; a negative `exit_code` is the signal's number.

    None where it is not known.
    """
    if exit_code == -signal.SIGKILL:
        return killed_process()
    how = "ended before its time"
    if exit_code is not None:
        how += f", by {signal.Signals(-exit_code).name}" if exit_code < 0 else f", with exit code {exit_code}"
    return MachineError(
        f"a process {how}; nothing half-written is used. What it wrote is above, if it wrote anything. Where it was "
        f"killed for lack of memory (`dmesg` may say so), {_MORE_MEMORY}; run this again"
    )
