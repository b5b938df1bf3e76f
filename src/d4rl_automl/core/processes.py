"""Processes that end when the one that started them ends, however that ended; and that see no GPU."""

import ctypes
import multiprocessing
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>; see prctl(2)."""


def end_with_parent(parent: int) -> None:
    """Have the kernel send this process SIGTERM when the one that started it, process `parent`, ends.

    Exits if that has ended already. Without this, what a killed Snakemake or a killed job had started
    would go on, use the machine, and some day put its output in the place of the next run's.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.kill(parent, 0)
    except ProcessLookupError:
        sys.exit(f"error: process {parent}, which started this one, has ended")


def hide_gpus() -> None:
    """Have this process, and those that it starts from now on, find no GPU.

    For jobs that hold no slot of one: models that were trained on a GPU go back to it where they see it. To be called
    before anything asks for CUDA, which looks for GPUs once.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def end_with_job() -> None:
    """`end_with_parent`, for a process that multiprocessing started."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        raise RuntimeError("this process was not started by multiprocessing")
    end_with_parent(parent.pid)
