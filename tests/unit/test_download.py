import hashlib
import http.server
import json
import threading

import numpy as np
import pytest

from d4rl_automl.download import download
from d4rl_automl.errors import InputError

BODY = np.random.default_rng(0).bytes(1_000_000)


class Host:
    """A loopback HTTP server that treats its n-th request as the n-th of `answers` says, the last one for ever.

    An answer is a status to fail with, or (body, ranges, cut): whether Range is honoured, and
    after how many bytes the connection is cut.
    """

    def __init__(self, answers):
        self.ranges = []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers[min(len(host.ranges), len(answers) - 1)]
                asked = self.headers.get("Range")
                host.ranges.append(asked)
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                body, ranges, cut = answer
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if ranges and asked else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                self.wfile.write(body[start:][:cut])

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/datasets/some-file.hdf5"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    hosts = []

    def start(*answers):
        hosts.append(Host(answers))
        return hosts[-1]

    yield start
    for host in hosts:
        host.server.shutdown()
        host.server.server_close()


def get(host, folder, body=BODY, **options):
    entry = {
        "name": "some-v2",
        "provider": "d4rl",
        "task": "hopper",
        "url": host if isinstance(host, str) else host.url,
        "size_bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    options = {"local": folder / "local", "wait": 0.01, "timeout": 5, **options}
    download(entry, folder / "out" / "raw.hdf5", folder / "out" / "raw.json", **options)
    assert (folder / "out" / "raw.hdf5").read_bytes() == body
    assert json.loads((folder / "out" / "raw.json").read_text())["sha256"] == entry["sha256"]
    return json.loads((folder / "out" / "raw.json").read_text())


def left(folder):
    return sorted(path.name for path in (folder / "out").iterdir()) if (folder / "out").exists() else []


def test_a_plain_download(serve, tmp_path):
    host = serve((BODY, True, None))
    assert get(host, tmp_path)["obtained_from"] == host.url
    assert left(tmp_path) == ["raw.hdf5", "raw.json"]


def test_cut_connections_are_resumed(serve, tmp_path):
    host = serve((BODY, True, 400_000), 503, (BODY, True, 300_000), (BODY, True, None))
    get(host, tmp_path)
    assert host.ranges == [None, "bytes=400000-", "bytes=400000-", "bytes=700000-"]


def test_many_cuts_are_no_reason_to_give_up_while_bytes_come(serve, tmp_path):
    host = serve((BODY, True, 60_000))
    get(host, tmp_path, attempts=2)
    assert len(host.ranges) == 17


def test_a_later_call_resumes(serve, tmp_path):
    with pytest.raises(InputError, match="connection ended after 600000 of 1000000 bytes"):
        get(serve((BODY, True, 600_000), 503), tmp_path, attempts=2)
    assert left(tmp_path) == ["raw.hdf5.part"]
    host = serve((BODY, True, None))
    get(host, tmp_path)
    assert host.ranges == ["bytes=600000-"]
    assert left(tmp_path) == ["raw.hdf5", "raw.json"]


def test_a_host_that_ignores_range_starts_again(serve, tmp_path):
    host = serve((BODY, False, 400_000), (BODY, False, None))
    get(host, tmp_path)
    assert host.ranges == [None, "bytes=400000-"]


def test_a_host_that_always_cuts_at_the_same_byte_is_given_up(serve, tmp_path):
    host = serve((BODY, False, 400_000))
    with pytest.raises(InputError, match="ended after 400000"):
        get(host, tmp_path, attempts=3)
    assert len(host.ranges) == 3
    assert left(tmp_path) == ["raw.hdf5.part"]


def test_a_wrong_part_from_before_is_fetched_anew(serve, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "raw.hdf5.part").write_bytes(bytes(500_000))
    host = serve((BODY, True, None))
    get(host, tmp_path)
    assert host.ranges == ["bytes=500000-", None]


@pytest.mark.parametrize("size", [1_000_000, 1_000_001])
def test_a_wrong_part_of_full_size_is_fetched_anew(serve, tmp_path, size):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "raw.hdf5.part").write_bytes(bytes(size))
    get(serve((BODY, True, None)), tmp_path)


def refused(host, folder, **options):
    with pytest.raises(InputError) as error:
        get(host, folder, **options)
    assert "raw.hdf5" not in left(folder)
    assert "raw.json" not in left(folder)
    return str(error.value)


def test_wrong_bytes(serve, tmp_path):
    wrong = bytes(len(BODY))
    host = serve((wrong, True, 100_000), (wrong, True, None))
    message = refused(host, tmp_path)
    for part in (host.url, hashlib.sha256(wrong).hexdigest(), hashlib.sha256(BODY).hexdigest()):
        assert part in message
    assert len(host.ranges) == 2  # asking again would bring the same
    assert left(tmp_path) == []


def test_wrong_bytes_after_a_wrong_part(serve, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "raw.hdf5.part").write_bytes(bytes(500_000))
    host = serve((bytes(len(BODY)), True, None))
    assert "the file is wrong" in refused(host, tmp_path)
    assert len(host.ranges) == 2


def test_a_page_instead_of_the_file(serve, tmp_path):
    host = serve((b"<html>sorry</html>", True, None))
    assert "offers a file of 18 bytes, expected 1000000" in refused(host, tmp_path)
    assert len(host.ranges) == 1


@pytest.mark.parametrize("status, requests", [(404, 1), (403, 1), (503, 3), (429, 3)])
def test_statuses(serve, tmp_path, status, requests):
    host = serve(status)
    message = refused(host, tmp_path, attempts=3)
    assert f"the host answered {status}" in message
    assert host.url in message
    assert len(host.ranges) == requests
    assert f"put some-file.hdf5 (1000000 bytes, SHA-256 {hashlib.sha256(BODY).hexdigest()})" in message
    assert str(tmp_path / "local") in message


def test_no_host(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "Connection refused" in refused("http://127.0.0.1:9/some-file.hdf5", tmp_path, attempts=2)


def test_the_users_own_copy_comes_first(serve, tmp_path):
    (tmp_path / "local").mkdir()
    own = tmp_path / "local" / "some-file.hdf5"
    own.write_bytes(BODY)
    host = serve(500)
    assert get(host, tmp_path)["obtained_from"] == str(own)
    assert (tmp_path / "out" / "raw.hdf5").resolve() == own
    assert host.ranges == []


@pytest.mark.parametrize("wrong", [BODY[:-1], bytes(len(BODY))])
def test_a_wrong_own_copy_is_passed_over(serve, tmp_path, wrong, caplog):
    (tmp_path / "local").mkdir()
    own = tmp_path / "local" / "some-file.hdf5"
    own.write_bytes(wrong)
    host = serve((BODY, True, None))
    assert get(host, tmp_path)["obtained_from"] == host.url
    assert f"{own} was passed over" in caplog.text
    assert own.read_bytes() == wrong
