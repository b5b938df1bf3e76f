"""Rule download against hosts on the loopback, reached under the catalogue's own URLs through a proxy."""

import csv
import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from .conftest import snakemake

D4RL, MIRROR = "rail.eecs.berkeley.edu", "mirror.test"
CONFIG = ("--configfile", "mine.yaml")
SIZES = {"hopper": (11, 3), "antmaze-umaze": (29, 8)}


def hdf5(path: Path, task: str, rows: int = 5000) -> bytes:
    """A file in the layout of the task's D4RL v2 files, episodes of 100 rows."""
    rng = np.random.default_rng(0)
    observations, actions = SIZES[task]
    at_goal = (np.arange(rows) % 100 > 90).astype(np.float32)
    content = {
        "observations": rng.uniform(0, 0.1, (rows, observations)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, actions)).astype(np.float32),
        "rewards": at_goal,
        "terminals": at_goal if task.startswith("antmaze") else np.zeros(rows, bool),
        "timeouts": np.arange(rows) % 100 == 99,
    }
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file[name] = values
    return path.read_bytes()


class Hosts:
    """A proxy that plays every host: `answers[host, file]` are what its requests meet, the last one for ever.

    An answer is a status, or (body, size): its first `size` bytes are sent, then nothing until the
    host is `awake`. Every request takes `pause` seconds.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[int | tuple[bytes, int]]] = {}
        self.asked: dict[tuple[str, str], list[str | None]] = defaultdict(list)
        self.awake = threading.Event()
        self.pause = 0.0
        self.busy = self.most = 0
        lock = threading.Lock()
        hosts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlparse(self.path)
                key = str(url.hostname), Path(url.path).name
                with lock:
                    given = hosts.answers[key]
                    answer = given[min(len(hosts.asked[key]), len(given) - 1)]
                    hosts.asked[key].append(self.headers.get("Range"))
                    hosts.busy += 1
                    hosts.most = max(hosts.most, hosts.busy)
                time.sleep(hosts.pause)
                try:
                    self.answer(answer)
                finally:
                    with lock:
                        hosts.busy -= 1

            def answer(self, answer: int | tuple[bytes, int]) -> None:
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                body, size = answer
                start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
                self.send_response(206 if start else 200)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                self.wfile.write(body[start:size])
                if size < len(body):
                    hosts.awake.wait()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    made = Hosts()
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{made.server.server_port}")
    yield made
    made.awake.set()
    made.server.shutdown()
    made.server.server_close()


def provide(project: Path, **bodies: bytes) -> dict[str, str]:
    """Let the catalogue of `project` expect these bodies of these datasets; the names of their files."""
    path = project / "src/d4rl_automl/resources/catalogue.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = {}
    for row in rows:
        body = bodies.get(row["name"].replace("-", "_"))
        if body is not None:
            row |= {"size_bytes": str(len(body)), "sha256": hashlib.sha256(body).hexdigest()}
            names[row["name"]] = Path(urlparse(row["url"]).path).name
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    write_config(project, list(names), mirrors=[f"http://{MIRROR}/d4rl"])
    return names


def write_config(project: Path, datasets: list[str], **others: object) -> None:
    methods = [{"name": "mlp", "kind": "mlp"}]
    config = {"datasets": datasets, "teachers": [], "methods": methods, "d4rl_dir": "own", **others}
    (project / "mine.yaml").write_text(yaml.safe_dump(config))


def left(project: Path, dataset: str) -> list[str]:
    return sorted(path.name for path in (project / "results" / dataset).glob("*raw*"))


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
    # Of AntMaze there are data alone.
    plan = snakemake("-n", *CONFIG, directory=project).stdout
    assert "results/hopper-medium-v2/policies/mlp-s0.onnx" in plan
    assert "results/antmaze-umaze-v2/figures/reward_to_go.png" in plan
    assert "results/antmaze-umaze-v2/policies" not in plan
    assert "results/antmaze-umaze-v2/students.csv" not in plan


def test_data_alone_are_a_whole_run(project: Path, hosts: Hosts) -> None:
    ant = hdf5(project / "b.hdf5", "antmaze-umaze")
    (project / "own").mkdir()
    names = provide(project, antmaze_umaze_v2=ant)
    (project / "own" / names["antmaze-umaze-v2"]).write_bytes(ant)
    snakemake("--cores", "2", *CONFIG, directory=project)
    assert not hosts.asked
    assert (project / "results/antmaze-umaze-v2/figures/reward_to_go.png").stat().st_size > 0
    assert not (project / "results/report").exists()


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
