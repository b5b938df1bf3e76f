"""Hosts on the loopback that datasets are downloaded from, reached under the catalogue's own URLs through a proxy."""

import contextlib
import csv
import hashlib
import http.server
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.parse import urlparse

import h5py
import numpy as np
import yaml

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


@contextlib.contextmanager
def serving() -> Iterator[Hosts]:
    """Hosts that this process, and what it starts, are sent to."""
    made = Hosts()
    with mock.patch.dict(os.environ, http_proxy=f"http://127.0.0.1:{made.server.server_port}"):
        for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
            os.environ.pop(name, None)
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
