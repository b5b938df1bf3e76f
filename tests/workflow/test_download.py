"""Rule download against hosts on the loopback, reached under the catalogue's own URLs through a proxy."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.hosts import CONFIG, D4RL, MIRROR, Hosts, hdf5, left, provide, write_config
from tests.support.project import snakemake


def test_what_one_host_began_the_mirror_ends_and_antmaze_becomes_transitions(project: Path, hosts: Hosts) -> None:
    hopper, ant = hdf5(project / "a.hdf5", "hopper"), hdf5(project / "b.hdf5", "antmaze-umaze")
    names = provide(project, hopper_medium_v2=hopper, antmaze_umaze_v2=ant)
    half = len(hopper) // 2
    hosts.awake.set()
    hosts.answers = {
        (D4RL, names["hopper-medium-v2"]): [(hopper, half), 403],
        (MIRROR, names["hopper-medium-v2"]): [(hopper, len(hopper))],
        (D4RL, names["antmaze-umaze-v2"]): [404],
        (MIRROR, names["antmaze-umaze-v2"]): [(ant, len(ant))],
    }
    snakemake("--cores", "2", "transitions", *CONFIG, directory=project)
    assert hosts.asked == {
        (D4RL, names["hopper-medium-v2"]): [None, f"bytes={half}-"],
        (MIRROR, names["hopper-medium-v2"]): [f"bytes={half}-"],
        (D4RL, names["antmaze-umaze-v2"]): [None],
        (MIRROR, names["antmaze-umaze-v2"]): [None],
    }
    for dataset, body in {"hopper-medium-v2": hopper, "antmaze-umaze-v2": ant}.items():
        assert (project / "results" / dataset / "raw.hdf5").read_bytes() == body
        assert left(project, dataset) == ["raw.hdf5", "raw.json"]
        made = json.loads((project / "results" / dataset / "raw.json").read_text())
        assert made["obtained_from"] == f"http://{MIRROR}/d4rl/{names[dataset]}"
    table = pq.read_table(project / "results/antmaze-umaze-v2/transitions.parquet").to_pandas()
    assert {"ob28", "ac7"} <= set(table)
    assert not table["terminated"].any()
    assert table.groupby("episode").size().tolist() == [100] * 50

    # Where a file may come from is no reason to fetch it again.
    write_config(project, list(names), mirrors=[])
    assert "Nothing to be done" in snakemake("-n", "transitions", *CONFIG, directory=project).stdout
    # Of AntMaze as of any other task.
    plan = snakemake("-n", *CONFIG, directory=project).stdout
    for dataset in names:
        assert f"results/{dataset}/policies/mlp-s0.onnx" in plan
        assert f"results/{dataset}/figures/card.png" in plan


def test_wrong_bytes_leave_nothing_and_the_error_names_every_host(project: Path, hosts: Hosts) -> None:
    hopper = hdf5(project / "a.hdf5", "hopper")
    name = provide(project, hopper_medium_v2=hopper)["hopper-medium-v2"]
    wrong = bytes(len(hopper))
    hosts.answers = {(D4RL, name): [(wrong, len(wrong))], (MIRROR, name): [(wrong, len(wrong))]}
    done = snakemake("--cores", "1", "transitions", *CONFIG, directory=project, check=False)
    assert done.returncode != 0
    for part in (
        "error: hopper-medium-v2: no host had a usable file",
        f"tried http://{D4RL}/datasets/offline_rl/gym_mujoco_v2/{name}",
        f"tried http://{MIRROR}/d4rl/{name}",
        hashlib.sha256(wrong).hexdigest(),
        f"put {name} ({len(hopper)} bytes, SHA-256 {hashlib.sha256(hopper).hexdigest()}) into own",
    ):
        assert part in done.stdout
    assert "Traceback" not in done.stdout
    assert left(project, "hopper-medium-v2") == []


def test_an_interrupted_run_leaves_no_file_and_the_next_one_resumes(project: Path, hosts: Hosts) -> None:
    hopper = hdf5(project / "a.hdf5", "hopper")
    name = provide(project, hopper_medium_v2=hopper)["hopper-medium-v2"]
    half = len(hopper) // 2
    hosts.answers = {(D4RL, name): [(hopper, half), (hopper, len(hopper))]}
    # Tests started in the background of a shell ignore Ctrl-C, and so would all that they start.
    heeding = ["env", "--default-signal=INT"]
    command = [*heeding, Path(sys.executable).with_name("snakemake"), "--cores", "1", "transitions", *CONFIG]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        part = project / "results/hopper-medium-v2/raw.hdf5.part"
        while not (part.exists() and part.stat().st_size > half - 10_000):
            assert run.poll() is None
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)  # what Ctrl-C does
    assert left(project, "hopper-medium-v2") == ["raw.hdf5.part"]
    have = part.stat().st_size
    snakemake("--cores", "1", "transitions", *CONFIG, directory=project)
    assert hosts.asked[D4RL, name] == [None, f"bytes={have}-"]
    assert (project / "results/hopper-medium-v2/raw.hdf5").read_bytes() == hopper
    assert left(project, "hopper-medium-v2") == ["raw.hdf5", "raw.json"]


@pytest.mark.parametrize("resources", [(), ("--resources", "gpu=1")], ids=["by default", "others limited"])
def test_three_downloads_at_a_time(project: Path, hosts: Hosts, resources: tuple[str, ...]) -> None:
    body = b"any file"
    robots = ("hopper", "walker2d")
    kinds = ("random", "medium", "medium_replay", "medium_expert")
    names = provide(project, **{f"{robot}_{kind}_v2": body for robot in robots for kind in kinds})
    hosts.answers = {(D4RL, name): [(body, len(body))] for name in names.values()}
    hosts.pause = 1.0
    targets = [f"results/{dataset}/raw.hdf5" for dataset in names]
    snakemake("--cores", "8", *targets, *CONFIG, *resources, directory=project)
    assert len(hosts.asked) == 8
    assert hosts.most == 3
