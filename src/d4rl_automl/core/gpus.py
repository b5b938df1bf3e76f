"""The GPUs of this machine, and one of them for each process that trains.

Snakemake counts slots and assigns no device, and two runs of it, or of two users, know nothing of each other. So a
process that trains on a GPU holds a lock on it until it ends.
"""

import fcntl
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from d4rl_automl.core.errors import MachineError
from d4rl_automl.core.processes import hide_gpus

FOLDERS = (Path("/run/lock"), Path("/tmp"))
"""Where locks may be: the first one that everybody may write to, so that all users of a machine agree on it."""

WAIT = 0.1
"""Seconds between two looks for a free card: few, or the next job of who had it would always be the first."""

PATIENCE = 60
"""Seconds that nvidia-smi may take. Without its daemon it starts the driver first."""

_LINE = re.compile(r"\s*(GPU|MIG) .*\(UUID: ([^)\s]+)\)")

_held: list[int] = []
"""Descriptor of the lock that this process holds."""

log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """A card of the machine."""

    uuid: str
    parts: list[str]
    """UUIDs of what one process can use of it: its own, or those of its parts."""


def take(device: str) -> None:
    """Have this process, and those that it starts from now on, see the GPU that it may train on, and no other.

    `device` is a job's: with "cpu" it sees none, with "auto" and "cuda" a card that no other job of this workflow on
    this machine has until this process ends, however it ends. Where all are taken it waits, and says so. To be called
    before anything asks for CUDA, which looks for GPUs once.

    Where a scheduler gave the job its one GPU (Slurm), that is left as it is, and so is a machine on which nvidia-smi
    finds none: what there is, torch says.
    """
    if device == "cpu":
        hide_gpus()
    elif not _given_by_scheduler():
        hold(visible())


def visible() -> list[str]:
    """The UUIDs of the GPUs that this process may use, without a start of CUDA: of a divided card (MIG), its parts'.

    They are nvidia-smi's, those with the most memory first, so that a card for the screen comes last. Where
    CUDA_VISIBLE_DEVICES is set, they are the ones that it names, in its order: by UUID, by the beginning of one, or by
    nvidia-smi's number of the card. As CUDA does, it is read up to the first name that there is not.
    """
    cards = _installed()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        memory = _memory() if len(cards) > 1 else {}
        cards.sort(key=lambda card: -memory.get(card.uuid, 0))
        return [uuid for card in cards for uuid in card.parts]
    chosen: list[str] = []
    for name in map(str.strip, given.split(",")):
        if name.isdecimal():
            named = cards[int(name)].parts if int(name) < len(cards) else []
        else:
            named = [uuid for card in cards for uuid in card.parts if name and uuid.startswith(name)]
        if not named:
            break
        chosen += [uuid for uuid in named if uuid not in chosen]
    return chosen


def hold(uuids: Sequence[str], folder: Path | None = None) -> None:
    """Take one of the GPUs of these UUIDs for this process alone until it ends, and have CUDA see no other.

    Waits while all are taken, and says so in the log. Does nothing without any, and in a process that holds one.
    Raises MachineError where the `folder` of the locks (one of `FOLDERS` if left out) does not serve.
    """
    if not uuids or _held:
        return
    files = [(folder or _folder()) / f"d4rl-automl-{uuid}.lock" for uuid in uuids]
    started, said = time.monotonic(), False
    while True:
        for uuid, file in zip(uuids, files, strict=True):
            descriptor = _lock(file)
            if descriptor is not None:
                _held.append(descriptor)
                os.environ["CUDA_VISIBLE_DEVICES"] = uuid
                log.info("%s is this process's%s", uuid, f", after {time.monotonic() - started:.0f} s" if said else "")
                return
        if not said:
            log.info("waiting for a GPU: other jobs of this workflow have %s", ", ".join(uuids))
            said = True
        time.sleep(WAIT)


def _given_by_scheduler() -> bool:
    """Whether Slurm gave this job one GPU. Among the GPUs of a larger allocation, the jobs that run in it choose."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return "SLURM_JOB_ID" in os.environ and given != "" and "," not in given


def _installed() -> list[Gpu]:
    """The cards as nvidia-smi numbers them."""
    cards: list[Gpu] = []
    for line in nvidia_smi("-L"):
        kind, uuid = matched.groups() if (matched := _LINE.match(line)) else ("", "")
        if kind == "GPU":
            cards.append(Gpu(uuid, [uuid]))
        elif kind == "MIG" and cards:
            whole, parts = cards[-1]
            cards[-1] = Gpu(whole, [*(part for part in parts if part != whole), uuid])
    return cards


def _memory() -> dict[str, int]:
    """MiB of each card, by its UUID; without those that do not tell."""
    lines = nvidia_smi("--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits")
    told = [[word.strip() for word in line.split(",")] for line in lines]
    return {words[0]: int(words[1]) for words in told if len(words) == 2 and words[1].isdecimal()}


def nvidia_smi(*arguments: str) -> list[str]:
    """The lines that nvidia-smi says; none where there is no such program, or it finds no driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s; no GPU is used", command, error)
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _folder() -> Path:
    return next((folder for folder in FOLDERS if folder.is_dir() and folder.stat().st_mode & 0o002), FOLDERS[-1])


def _lock(file: Path) -> int | None:
    """A descriptor of the file, locked by this process; None where another one has it."""
    try:
        descriptor = _open(file)
        try:
            # A lock of POSIX: no child inherits it, so that it ends with this process, whatever that has started.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who cleans such folders may have deleted the file meanwhile: the next process would lock another one.
            if file.exists() and os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        except BlockingIOError:
            pass
        os.close(descriptor)
    except OSError as error:
        raise MachineError(
            f"{file}: {error.strerror}; by a lock on this file a job has the GPU for itself, so that everybody must be "
            "able to write to it: delete it while nobody trains, or set device: cpu"
        ) from error
    return None


def _open(file: Path) -> int:
    """A descriptor of a file that everybody may open; it is made where it is not there.

    Not made with O_CREAT alone: in a folder that all may write to, Linux refuses that for files of other users.
    """
    how = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(100):
        try:
            return os.open(file, how)
        except FileNotFoundError:
            before = os.umask(0)
            try:
                return os.open(file, how | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                pass
            finally:
                os.umask(before)
    raise FileNotFoundError(2, "made and deleted by turns", str(file))
