"""Who is on the GPU while the workflow trains: never two processes at once, and how much of the time one.

Fits six networks on made-up transitions, on all cores with one GPU slot, and looks at the card's processes four
times a second. Needs a GPU and nvidia-smi.
"""

import collections
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from support import ROOT, reporting

CONFIG = {
    "datasets": [{"name": "made-up", "provider": "file", "task": "hopper", "path": "made-up.hdf5"}],
    "seeds": [0, 1],
    "device": "cuda",
    "teachers": [],
    "methods": [
        {"name": "rvs", "kind": "rvs", "updates": 20_000},
        {"name": "rvs-large", "kind": "rvs", "network": {"width": 1024}, "updates": 5_000},
        {"name": "bc", "kind": "bc", "updates": 20_000},
    ],
}


def main() -> None:
    arguments = reporting.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_up(Path(folder, "made-up.hdf5"))
        Path(folder, "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        command += ["--configfile", str(Path(folder, "config.json")), "--cores", "all", "--resources", "gpu=1"]
        command += ["--quiet", "all", "--scheduler", "greedy", "policies"]
        started = time.time()
        looks: list[list[str]] = []
        with subprocess.Popen(command) as run:
            while run.poll() is None:
                looks.append(on_the_card())
                time.sleep(0.25)
        if run.returncode:
            for log in Path(folder).glob("logs/**/*.log"):
                print(f"{log}:\n{log.read_text()[-2000:]}")
            sys.exit(f"snakemake ended with {run.returncode}")
        jobs = len(list(Path(folder).glob("results/made-up/policies/*.json")))
    at_once = collections.Counter(map(len, looks))
    row = {"jobs on the GPU": jobs, "seconds": round(time.time() - started, 1), "looks": len(looks)}
    row |= {f"looks with {count} on it": number for count, number in sorted(at_once.items())}
    row["different processes"] = len({one for look in looks for one in look})
    reporting.report(arguments, [row], {"processes on the GPU at once": "1"})
    if max(at_once) > 1:
        sys.exit(f"{max(at_once)} processes were on the GPU at once")


def make_up(path: Path) -> None:
    """200 episodes of 250 transitions with Hopper's sizes, in D4RL's layout."""
    generator, rows = np.random.default_rng(0), 50_000
    with h5py.File(path, "w") as file:
        observations = generator.standard_normal((rows, 11)).astype(np.float32)
        file["observations"] = observations
        file["actions"] = np.tanh(observations[:, :3] + generator.standard_normal((rows, 3))).astype(np.float32)
        file["rewards"] = generator.uniform(0, 2, rows).astype(np.float32)
        file["terminals"] = np.arange(rows) % 250 == 249
        file["timeouts"] = np.zeros(rows, bool)


def on_the_card() -> list[str]:
    """Numbers of the processes that compute on the GPU."""
    query = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    main()
