"""Which GPUs there are, and that two processes never have one at a time."""

import collections
import itertools
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from d4rl_automl.core import gpus
from d4rl_automl.core.errors import MachineError
from tests.support.pretend_gpus import pretend

CARDS = ["GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "GPU-0aa7c2c7-33ac-4f34-9d2b-b6e6ad2b2d5b", "GPU-77"]
MIG = ["MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb"]

JOB = """
import logging, os, sys, time
from pathlib import Path
from d4rl_automl.core import gpus
from d4rl_automl.core.errors import MachineError
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
gpus.FOLDERS, gpus.WAIT = (Path(sys.argv[1]),), 0.01

def tell(what):
    line = f"{os.getpid()} {what} {os.environ['CUDA_VISIBLE_DEVICES']} {time.monotonic()}\\n"
    descriptor = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

started = Path(sys.argv[1], f"started-{os.getpid()}")
started.touch()
gpus.take("auto")
tell("has")
{body}
tell("leaves")
"""
"""Takes a card and says when it has it, and when it is about to leave it."""


def start(folder: Path, body: str, **environment: str) -> subprocess.Popen[str]:
    # Replaced and not formatted: the code has braces of its own.
    code = JOB.replace("{body}", body)
    command = [sys.executable, "-c", code, str(folder), str(folder / "told.txt")]
    return subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


def told(folder: Path, count: int) -> list[tuple[int, str, str, float]]:
    """The first `count` lines that jobs have told, waited for."""
    limit = time.monotonic() + 60
    while True:
        lines = (folder / "told.txt").read_text().splitlines() if (folder / "told.txt").exists() else []
        if len(lines) >= count:
            return [(int(a), b, c, float(d)) for a, b, c, d in map(str.split, lines[:count])]
        assert time.monotonic() < limit, lines
        time.sleep(0.005)


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_never_two_jobs_have_one_card_and_all_cards_are_used(tmp_path, locks, monkeypatch):
    pretend(tmp_path / "bin", monkeypatch, CARDS[:2])
    # One of them sees the second card alone, by the number that nvidia-smi gives it.
    chosen = [{"CUDA_VISIBLE_DEVICES": "1"}, *({},) * 6]
    all_began = f"while len(list(started.parent.glob('started-*'))) < {len(chosen)}: time.sleep(0.01)\ntime.sleep(0.05)"
    jobs = [start(locks, all_began, **environment) for environment in chosen]
    said = [job.communicate(timeout=60)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * len(jobs), said
    spans = collections.defaultdict(list)
    lines = told(locks, 2 * len(jobs))
    for process in {line[0] for line in lines}:
        (_, _, card, begin), (_, _, again, end) = (line for line in lines if line[0] == process)
        assert card == again
        spans[card].append((begin, end, process))
    assert spans.keys() == set(CARDS[:2])
    for of_card in spans.values():
        for (_, end, _), (begin, _, _) in itertools.pairwise(sorted(of_card)):
            assert begin >= end
    assert any(process == jobs[0].pid for _, _, process in spans[CARDS[1]])
    waited = [text for text in said if "waiting for a GPU: other jobs of this workflow have GPU-" in text]
    assert waited
    assert all(re.search(r"^GPU-\S+ is this process's, after \d+ s$", text, re.M) for text in waited)


def test_a_killed_job_leaves_its_card_even_if_what_it_started_lives_on(tmp_path, locks, monkeypatch):
    pretend(tmp_path / "bin", monkeypatch, CARDS[:1])
    # A child by fork has all that its parent had open.
    first = start(locks, "if os.fork() == 0: time.sleep(600)\ntime.sleep(600)")
    told(locks, 1)
    second = start(locks, "")
    assert second.stderr is not None
    assert "waiting for a GPU" in second.stderr.readline()
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    assert len(children) == 1
    killed = time.monotonic()
    first.send_signal(signal.SIGKILL)
    try:
        assert second.wait(timeout=30) == 0
    finally:
        os.kill(int(children[0]), signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    has, leaves = told(locks, 3)[1:]
    assert (has[1], leaves[1]) == ("has", "leaves") and has[3] >= killed


def test_the_lock_is_for_every_user_and_what_stands_in_its_place_is_told(locks, monkeypatch):
    monkeypatch.setattr(gpus, "_held", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = os.umask(0o077)
    try:
        gpus.hold(["GPU-x"], locks)
    finally:
        os.umask(before)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-x"
    assert stat.S_IMODE((locks / "d4rl-automl-GPU-x.lock").stat().st_mode) == 0o666
    # It has one: no other is asked for.
    gpus.hold(["GPU-y"], locks)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-x"
    os.close(gpus._held.pop())
    target = locks / "somebody's"
    (locks / "d4rl-automl-GPU-z.lock").symlink_to(target)
    with pytest.raises(MachineError, match=r"GPU-z\.lock: .*delete it while nobody trains, or set device: cpu"):
        gpus.hold(["GPU-z"], locks)
    assert not target.exists()


def test_a_lock_that_was_deleted_while_it_was_taken_is_not_one(locks, monkeypatch):
    file = locks / "d4rl-automl-GPU-x.lock"
    opened = gpus._open

    def deleted(path):
        descriptor = opened(path)
        path.unlink()
        return descriptor

    monkeypatch.setattr(gpus, "_open", deleted)
    assert gpus._lock(file) is None


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (None, [CARDS[1], *MIG, CARDS[2]]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,1", [CARDS[2], CARDS[1]]),
        ("1, 1,2", [CARDS[1], CARDS[2]]),
        ("0", MIG),
        # Up to the first that there is not.
        ("1,7,2", [CARDS[1]]),
        (f"{CARDS[2]},GPU-0aa7", [CARDS[2], CARDS[1]]),
        (MIG[1], [MIG[1]]),
        # CUDA knows a divided card by its parts alone.
        (CARDS[0], []),
    ],
)
def test_the_gpus_that_may_be_used(tmp_path, monkeypatch, given, seen):
    memory = {CARDS[0]: "24000", CARDS[1]: "40960", CARDS[2]: "[N/A]"}
    pretend(tmp_path / "bin", monkeypatch, CARDS, {CARDS[0]: MIG}, memory)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert gpus.visible() == seen


@pytest.mark.parametrize("said", ["exit 9", "echo NVIDIA-SMI has failed", None])
def test_without_a_driver_there_are_none(tmp_path, monkeypatch, said):
    pretend(tmp_path / "bin", monkeypatch, CARDS)
    if said is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        (tmp_path / "bin/nvidia-smi").write_text(f"#!/bin/sh\n{said}\n")
    assert gpus.visible() == []
    gpus.take("auto")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_an_nvidia_smi_that_hangs_is_told(tmp_path, monkeypatch, caplog):
    pretend(tmp_path / "bin", monkeypatch, CARDS)
    (tmp_path / "bin/nvidia-smi").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(gpus, "PATIENCE", 0.05)
    assert gpus.visible() == []
    assert "timed out" in caplog.text and "no GPU is used" in caplog.text


@pytest.mark.parametrize(
    ("device", "given", "taken"),
    [
        ("cpu", None, None),
        ("auto", None, CARDS[:2]),
        ("cuda", "1", CARDS[1:2]),
        # Slurm's one GPU is the job's already; of several that it gave, each of the jobs takes one.
        ("auto", "slurm 0", ()),
        ("cuda", "slurm 0,1", CARDS[:2]),
    ],
)
def test_what_a_job_takes(tmp_path, monkeypatch, device, given, taken):
    pretend(tmp_path / "bin", monkeypatch, CARDS[:2])
    asked = []
    monkeypatch.setattr(gpus, "hold", asked.append)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given.removeprefix("slurm "))
    if given and given.startswith("slurm"):
        monkeypatch.setenv("SLURM_JOB_ID", "7")
    gpus.take(device)
    assert asked == ([list(taken)] if taken else [])
    if device == "cpu":
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_all_users_of_a_machine_look_for_locks_in_one_folder(tmp_path, monkeypatch):
    mine, everybodys = tmp_path / "mine", tmp_path / "everybodys"
    mine.mkdir(mode=0o755)
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    monkeypatch.setattr(gpus, "FOLDERS", (tmp_path / "none", mine, everybodys))
    assert gpus._folder() == everybodys
