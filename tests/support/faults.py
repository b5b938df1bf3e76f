"""What a small run has made for the tests of faults, and ways to hold, kill and hinder its jobs."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from tests.support import tiny
from tests.support.project import SNAKEMAKE, environment

TINY: dict[str, Any] = tiny.CONFIG
DATASET, MINE = tiny.EMBEDDED, tiny.MINE
FIGURE = f"results/{DATASET}/figures/returns.d4rl.png"
CONFIG = {key: TINY[key] for key in ("seeds", "device", "simulators", "split")} | {
    "datasets": TINY["datasets"][:2],
    "teachers": [
        {"name": "tiny", "preset": "medium", "rows": 1000, "hyperparameters": {"GBM": {"num_boost_round": 5}}}
    ],
    "methods": [{"name": "student", "kind": "student", "teacher": "tiny", "network": {"width": 16}, "updates": 20}],
    "labels": {"recorded": 500, "perturbed": 100, "commanded": 100},
    "rollout": {"fractions": [0.3, 1.0], "selection_episodes": 1, "report_episodes": 2},
}
ARGUMENTS = ("--configfile", "tiny.yaml", "--cores", "2")

# Python imports this at the start of every job of the copy. A job whose output the file `hold` names waits, its output
# half-written, until that file is gone; `held` is then its process id.
HOLD = """
import os, pathlib, time

replace = pathlib.Path.replace

def held(self, target):
    hold = pathlib.Path("hold")
    if hold.exists() and str(target) == hold.read_text():
        files = [path for path in [self, *self.rglob("*")] if path.is_file()]
        contents = {path: path.read_bytes() for path in files}
        for path, content in contents.items():
            path.write_bytes(content[:len(content) // 2])
        pathlib.Path("held.new").write_text(str(os.getpid()))
        os.rename("held.new", "held")
        while hold.exists():
            time.sleep(0.05)
        for path, content in contents.items():
            path.write_bytes(content)
    return replace(self, target)

pathlib.Path.replace = held
"""


class Run:
    """A snakemake in the background, in a session of its own; `output` is one that its job is held before."""

    def __init__(self, project: Path, output: str, *targets: str) -> None:
        self.project, self.output = project, project / output
        (project / "hold").write_text(output)
        (project / "held").unlink(missing_ok=True)
        # Tests started in the background of a shell ignore Ctrl-C, and so would all that they start.
        command = ["env", "--default-signal=INT", SNAKEMAKE, *ARGUMENTS, *(targets or [output])]
        self._said = project / "said.txt"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                command,
                cwd=project,
                env=environment(),
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def held(self) -> list[psutil.Process]:
        """The job that is held, and its own processes."""
        while not (self.project / "held").exists():
            assert self.process.poll() is None, self._said.read_text()
            time.sleep(0.05)
        job = psutil.Process(int((self.project / "held").read_text()))
        return [job, *job.children(recursive=True)]

    def said(self) -> str:
        """What it has said when it has ended."""
        self.process.wait()
        return self._said.read_text()

    def release(self) -> None:
        (self.project / "hold").unlink()


def all_end(processes: list[psutil.Process]) -> bool:
    """Whether all of them end of themselves within a minute."""
    deadline = time.monotonic() + 60
    while running := [process for process in processes if is_running(process)]:
        if time.monotonic() > deadline:
            for process in running:
                process.kill()
            return False
        time.sleep(0.05)
    return True


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def jobs(said: str) -> list[str]:
    """The rules of the jobs that a snakemake ran."""
    return re.findall(r"^(?:local)?rule (\w+):", said, re.M)


def half_written(project: Path) -> list[Path]:
    return list((project / "results").rglob(".*.part*"))


def stamps(project: Path) -> dict[Path, tuple[int, int]]:
    """What tells whether a file was written anew, of every file of the results."""
    found = {path: path.stat() for path in (project / "results").rglob("*") if path.is_file()}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


class Mounts:
    """A mount namespace: what is mounted there is seen by what runs `within` it, and gone with it."""

    def __init__(self, process: "subprocess.Popen[bytes]", options: list[str], directory: Path) -> None:
        self._root = f"/proc/{process.pid}/root"
        self.within = ["nsenter", "--target", str(process.pid), *options, "env", f"--chdir={directory}"]

    def run(self, *command: str) -> None:
        subprocess.run([*self.within, *command], check=True)

    def path(self, path: Path) -> Path:
        """`path` as it is seen there."""
        return Path(f"{self._root}{path}")
