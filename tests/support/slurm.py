"""A real Slurm of one node on the loopback interface, and Snakemake as a user of it calls it.

munged, slurmctld and slurmd are Debian's; no systemd, no cgroups, no accounting database; one GPU that is only
pretended. Memory is enforced: slurmd looks at every job once a second and kills what holds more than it asked for.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

from tests.support.project import SNAKEMAKE, environment

ETC = Path("/etc/slurm")
"""Where every Slurm command looks, also those that Snakemake's job steps start without SLURM_CONF."""

FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd")
CORES = 2
PORT = 16817
"""Of slurmctld; slurmd has the next one."""

MINUTES = 20
"""No call of Snakemake takes longer."""

CONFIG = """\
ClusterName=loopback
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
MinJobAge=3600
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={node} MaxTime=INFINITE State=UP
"""

# Any device serves: nothing here opens it.
GRES = "NodeName={node} Name=gpu File=/dev/null\n"
CGROUP = "CgroupAutomount=no\nConstrainCores=no\nConstrainDevices=no\nConstrainRAMSpace=no\n"


class Slurm:
    """A running scheduler with all its state in `folder`; `stop` ends what was started, by its process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = socket.gethostname().split(".")[0]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Raises RuntimeError where Slurm is not installed, the user is not root, or another Slurm is set up here."""
        if os.geteuid() != 0:
            raise RuntimeError("munged and slurmd of this test run as root")
        missing = [program for program in PROGRAMS if not shutil.which(program)]
        if missing:
            raise RuntimeError(f"not installed: {', '.join(missing)}; `make test-cluster` installs them")
        for name in FILES:
            # A link that leads nowhere is what a test that was killed left.
            if (ETC / name).exists():
                raise RuntimeError(f"{ETC / name} belongs to another Slurm")
        self._write_config()
        try:
            self._launch("munged", *self._munged())
            self._wait(20, "munged does not answer", ["munge", "-S", self.folder / "munge.sock", "-n"])
            self._launch("slurmctld", "slurmctld", "-D", "-i")
            self._wait(30, "slurmctld does not answer", ["scontrol", "ping"])
            self._launch("slurmd", "slurmd", "-D", "-N", self.node)
            self._wait_for(
                60, "the node does not come up", lambda: self._call("sinfo", "-hN", "-o", "%t") == "idle\nidle"
            )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        try:
            if "slurmd" in self.daemons:
                self._call("scancel", "--me")
                self._wait_for(30, "jobs do not end", lambda: not self._call("squeue", "-h"))
        finally:
            for name in reversed(PROGRAMS):
                self._end(name)
            for name in FILES:
                (ETC / name).unlink(missing_ok=True)
            if self.made_etc:
                ETC.rmdir()

    def wait_until_running(self, rule: str) -> str:
        """The id of a job of `rule`, as soon as one runs."""
        self._wait_for(120, f"no job of {rule} runs", lambda: self._running(rule) != [])
        return self._running(rule)[0]

    def cancel(self, rule: str) -> None:
        """End a job of `rule` as soon as one runs."""
        self._call("scancel", self.wait_until_running(rule))

    def _running(self, rule: str) -> list[str]:
        return [job["JobId"] for job in self.jobs() if (job["Rule"], job["JobState"]) == (rule, "RUNNING")]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def jobs(self) -> list[dict[str, str]]:
        """The scheduler's own record of every job since its start, in the order of submission.

        Fields as `scontrol show job` names them (`TresPerJob` holds the GPUs), and `Rule`: the rule or group that
        Snakemake submitted.
        """
        lines = self._call("scontrol", "show", "job", "-o").splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        for job in found:
            job["Rule"] = re.sub(r"^rule_|_wildcards_.*", "", job["Comment"])
        return sorted(found, key=lambda job: int(job["JobId"]))

    def table(self) -> str:
        """The record as a table to read."""
        columns = ("JobId", "Rule", "Partition", "TRES", "TresPerJob", "StartTime", "EndTime", "JobState", "ExitCode")
        rows = [columns, *(tuple(job.get(column, "") for column in columns) for job in self.jobs())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // 2**20
        values = {"node": self.node, "port": PORT, "slurmd_port": PORT + 1, "folder": self.folder, "cores": CORES}
        self.made_etc = not ETC.exists()
        ETC.mkdir(exist_ok=True)
        for name, text in zip(FILES, (CONFIG, GRES, CGROUP), strict=True):
            (self.folder / name).write_text(text.format(memory=memory, **values))
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.folder / name)

    def _munged(self) -> list[str | Path]:
        files = {"socket": "munge.sock", "key-file": "munge.key", "pid-file": "munged.pid", "log-file": "munged.log"}
        files["seed-file"] = "munge.seed"
        return ["munged", "--foreground", "--force", *(f"--{key}={self.folder / name}" for key, name in files.items())]

    def _launch(self, name: str, *command: str | Path) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def _end(self, name: str) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _call(self, *command: str) -> str:
        return subprocess.run(command, text=True, check=True, capture_output=True, timeout=60).stdout.strip()

    def _wait(self, seconds: float, problem: str, command: list[str | Path]) -> None:
        self._wait_for(
            seconds, problem, lambda: not subprocess.run(command, check=False, capture_output=True).returncode
        )

    def _wait_for(self, seconds: float, problem: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))
                raise RuntimeError(f"{problem} after {seconds} s:\n{logs}")
            time.sleep(0.2)


def span(job: dict[str, str]) -> tuple[datetime, datetime]:
    """When a job ran, to the second."""
    return datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"])


class Submission:
    """`snakemake --profile profiles/slurm`, started in `directory`.

    A real cluster is looked at once a minute, this one every two seconds.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        command = [
            SNAKEMAKE,
            *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"),
            *arguments,
        ]
        users = {key: value for key, value in environment().items() if key != "SLURM_CONF"}
        self.process = subprocess.Popen(
            command, cwd=directory, env=users, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            # As Ctrl-C: Snakemake cancels its jobs. SIGTERM would let them end first.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def finish(self, *, check: bool = True) -> str:
        """What it printed, once it has ended; it must have ended well if `check`, and badly otherwise."""
        output, _ = self.process.communicate(timeout=60 * MINUTES)
        assert (self.process.returncode == 0) == check, output
        return output


def submit(directory: Path, *arguments: str) -> str:
    """What a call that ends well printed."""
    with Submission(directory, *arguments) as submission:
        return submission.finish()
