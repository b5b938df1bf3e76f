"""The whole evaluation: students on 12 datasets, 2,000 episodes each of up to 1,000 steps, and its memory.

Runs scripts/rollout.py as the workflow does, one thread a job, as many jobs side by side as there are cores: four per
robot, with a student that keeps walking, so the episodes are long. Memory is the proportional set size (PSS) of all
processes together, at its highest; then that of one job alone by the number of its episodes, with a network that falls
at once. --quick plays a share of the episodes and extrapolates: start-up as it is, the rest by the number of episodes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from support import ROOT, prepared, processes, reporting, watching

DATASETS_PER_TASK = 4
EPISODES = 200
"""Per commanded target, of which there are ten."""
POLL = 0.25


@dataclass
class Job:
    """One rollout, by its own account and ours."""

    task: str
    steps: int
    seconds: float
    startup: float


def play(jobs: list[tuple[str, Path, int]], episodes: int, side_by_side: int) -> tuple[list[Job], float, float]:
    """Jobs of (task, handle, seed), wall seconds of all of them, and the highest PSS of all processes in bytes."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    waiting, done, peak = list(jobs), [], 0
    running: list[tuple[psutil.Popen, str, Path, float]] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or running:
                while waiting and len(running) < side_by_side:
                    task, handle, seed = waiting.pop(0)
                    output = Path(folder) / f"{len(waiting)}.parquet"
                    command = [sys.executable, str(ROOT / "scripts" / "rollout.py"), "--policy", str(handle)]
                    command += ["--dataset", prepared.entry(task).name, "--simulator", "d4rl"]
                    command += ["--fractions", *map(str, watching.FRACTIONS), "--seed", str(seed), "--threads", "1"]
                    command += ["--play", "report", str(episodes), str(output)]
                    process = psutil.Popen(command, env=environment, stderr=subprocess.DEVNULL)
                    running.append((process, task, output, time.perf_counter()))
                time.sleep(POLL)
                peak = max(peak, sum(proportional_set_size(process) for process, *_ in running))
                for one in list(running):
                    process, task, output, started = one
                    if process.poll() is None:
                        continue
                    running.remove(one)
                    if process.returncode:
                        raise RuntimeError(f"the rollout of {task} failed: run {' '.join(process.args)}")
                    facts = json.loads(pq.read_schema(output).metadata[b"d4rl_automl"])
                    wall = time.perf_counter() - started
                    done.append(Job(task, facts["env_steps"], facts["seconds"], wall - facts["seconds"]))
        finally:
            for process, *_ in running:
                process.kill()
    return done, time.perf_counter() - began, peak


def proportional_set_size(process: psutil.Popen) -> int:
    """Of a process and its children, in bytes; 0 for those that have just ended."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        pass
    return total


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    parser.add_argument("--episodes", type=int, help="per commanded target; default: 200, or 10 with --quick")
    parser.add_argument("--memory-episodes", type=int, nargs="+", default=[50, 200, 800], help="per commanded target")
    arguments = parser.parse_args()
    episodes = arguments.episodes or (10 if arguments.quick else EPISODES)
    datasets = 1 if arguments.quick else DATASETS_PER_TASK
    # The long jobs first, so that no core is idle at the end.
    order = [task for task in ("hopper", "walker2d", "halfcheetah") if task in arguments.tasks]
    jobs = [(task, prepared.student(task), seed) for task in order for seed in range(datasets)]
    falling = prepared.network("hopper", 256, 1)

    found, wall, peak = play(jobs, episodes, processes.CORES)
    whole = sum((job.startup + job.seconds * EPISODES / episodes) * DATASETS_PER_TASK / datasets for job in found)
    measured = episodes == EPISODES and datasets == DATASETS_PER_TASK
    rows: list[dict[str, Any]] = []
    for task in order:
        own = [job for job in found if job.task == task]
        rows.append(
            {
                "task": task,
                "jobs": len(own),
                "episodes": len(own) * episodes * len(watching.FRACTIONS),
                "steps": sum(job.steps for job in own),
                "mean length": round(sum(job.steps for job in own) / (len(own) * episodes * len(watching.FRACTIONS))),
                "steps per second of a job": round(sum(job.steps for job in own) / sum(job.seconds for job in own)),
                "start-up seconds of a job": round(sum(job.startup for job in own) / len(own), 1),
            }
        )
    summary = {
        "wall seconds": round(wall, 1),
        "steps per second": round(sum(job.steps for job in found) / wall),
        "minutes of the whole": round((wall if measured else whole / processes.CORES) / 60, 1),
        "how": "measured" if measured else "extrapolated",
        "peak PSS, MB": round(peak / 1e6),
    }
    memory = []
    for count in arguments.memory_episodes:
        (job,), _, peak = play([("hopper", falling, 0)], count, 1)
        row = {
            "episodes": count * len(watching.FRACTIONS),
            "steps": job.steps,
            "peak PSS of one job, MB": round(peak / 1e6),
        }
        memory.append(row)
    reporting.show([summary])
    reporting.show(memory)
    reporting.report(
        arguments,
        rows,
        {"minutes of the whole": "<= 15", "peak PSS": "<= 1.5 GB, flat in the number of episodes"},
        summary=summary,
        memory=memory,
    )


if __name__ == "__main__":
    main()
