"""Who is on the GPUs while the workflow trains: never two processes on one, and how much of the time one.

Fits six networks and two forests on made-up transitions, on all cores, and looks at the cards' processes four times a
second. Two Snakemakes share the work, one seed each, and each may use all GPUs: what keeps their jobs apart is the lock
on a card. Needs a GPU and nvidia-smi; no other process may be on the cards.
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

from d4rl_automl.core import gpus

CONFIG = {
    "datasets": [{"name": "made-up", "provider": "file", "task": "hopper", "path": "../made-up.hdf5"}],
    "device": "auto",
    "teachers": [],
    "methods": [
        {"name": "rvs", "kind": "rvs", "updates": 20_000},
        {"name": "rvs-large", "kind": "rvs", "network": {"width": 1024}, "updates": 5_000},
        {"name": "bc", "kind": "bc", "updates": 20_000},
        {"name": "rcdtp", "kind": "rcdtp"},
    ],
}
NETWORKS = 3
"""Of these methods: the forest is fitted by the processor."""


def main() -> None:
    arguments = reporting.parser(__doc__).parse_args()
    cards = gpus.visible()
    if not cards:
        sys.exit("nvidia-smi finds no GPU")
    with tempfile.TemporaryDirectory() as folder:
        make_up(Path(folder, "made-up.hdf5"))
        homes = [Path(folder, f"seed-{seed}") for seed in (0, 1)]
        started = time.time()
        looks: list[dict[str, list[str]]] = []
        runs = [subprocess.Popen(command(home, seed, len(cards))) for seed, home in enumerate(homes)]
        while any([run.poll() is None for run in runs]):  # noqa: C419  Every one of them is asked.
            looks.append(on_the_cards())
            time.sleep(0.25)
        if any(run.returncode for run in runs):
            for log in Path(folder).glob("*/logs/**/*.log"):
                print(f"{log}:\n{log.read_text()[-2000:]}")
            sys.exit(f"snakemake ended with {[run.returncode for run in runs]}")
    at_once = collections.Counter(len(look.get(card, ())) for look in looks for card in cards)
    row = {"cards": len(cards), "networks": NETWORKS * len(homes), "seconds": round(time.time() - started, 1)}
    row |= {"looks": len(looks)}
    row |= {f"looks at a card with {count} on it": number for count, number in sorted(at_once.items())}
    row["different processes"] = len({one for look in looks for of_card in look.values() for one in of_card})
    reporting.report(arguments, [row], {"processes on a card at once": "1", "different processes": "the networks"})
    if max(at_once) > 1:
        sys.exit(f"{max(at_once)} processes were on a card at once")


def command(home: Path, seed: int, slots: int) -> list[str]:
    """A run of the workflow in a folder of its own, whose config this writes."""
    home.mkdir()
    config = CONFIG | {"seeds": [seed]}
    (home / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "workflow/Snakefile"),
        "--directory",
        str(home),
    ]
    words += ["--configfile", str(home / "config.json"), "--cores", "all", "--resources", f"gpu={slots}"]
    return [*words, "--quiet", "rules", "progress", "host", "--scheduler", "greedy", "policies"]


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


def on_the_cards() -> dict[str, list[str]]:
    """Numbers of the processes that compute on each GPU, by its UUID; of a divided card, on all of it."""
    query = ["nvidia-smi", "--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader"]
    found: dict[str, list[str]] = {}
    for line in subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines():
        card, process = line.split(", ")
        found.setdefault(card, []).append(process)
    return found


if __name__ == "__main__":
    main()
