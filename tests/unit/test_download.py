import ast
import hashlib
import http.server
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue, collection
from d4rl_automl.data.datasets import load_dataset
from d4rl_automl.data.downloading import download, keep
from d4rl_automl.data.providers import d4rl

BODY = np.random.default_rng(0).bytes(1_000_000)


class Host:
    """A loopback HTTP server that treats its n-th request as the n-th of `answers` says, the last one for ever.

    An answer is a status to fail with, a URL to redirect to, or (body, ranges, cut): whether Range
    is honoured, and after how many bytes the connection is cut; with cut negative, after how
    many it goes silent.
    """

    def __init__(self, answers):
        self.ranges = []
        self.awake = threading.Event()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers[min(len(host.ranges), len(answers) - 1)]
                asked = self.headers.get("Range")
                host.ranges.append(asked)
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                if isinstance(answer, str):
                    self.send_response(302)
                    self.send_header("Location", answer)
                    self.end_headers()
                    return
                body, ranges, cut = answer
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if ranges and asked else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                self.wfile.write(body[start:][: cut if cut is None else abs(cut)])
                if cut is not None and cut < 0:
                    host.awake.wait()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/datasets"
        self.url = f"{self.base}/some-file.hdf5"
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
        host.awake.set()
        host.server.shutdown()
        host.server.server_close()


def entry_of(host, body=BODY):
    return d4rl.Entry(
        name="some-v2",
        provider="d4rl",
        task="hopper",
        url=host if isinstance(host, str) else host.url,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def get(host, folder, body=BODY, **options):
    entry = entry_of(host, body)
    options = {"local": folder / "local", "wait": 0.01, "timeout": 5, **options}
    download(entry, folder / "out" / "raw.hdf5", folder / "out" / "raw.json", **options)
    assert (folder / "out" / "raw.hdf5").read_bytes() == body
    assert json.loads((folder / "out" / "raw.json").read_text())["sha256"] == entry.sha256
    return json.loads((folder / "out" / "raw.json").read_text())


def left(folder):
    return sorted(path.name for path in (folder / "out").iterdir()) if (folder / "out").exists() else []


def test_a_plain_download(serve, tmp_path):
    host = serve((BODY, True, None))
    assert get(host, tmp_path)["obtained_from"] == host.url
    assert left(tmp_path) == ["raw.hdf5", "raw.json"]


def test_the_config_says_where_to_look(serve, tmp_path):
    """The provider hands on its folder, and the hosts besides the entry's own."""
    first, mirror = serve(404), serve((BODY, True, None))
    outputs = {"output": str(tmp_path / "out/raw.hdf5"), "provenance": str(tmp_path / "out/raw.json")}
    places = {"local": str(tmp_path / "local"), "mirrors": [mirror.base]}
    d4rl.fetch(entry_of(first), **places, **outputs, threads=1)
    assert json.loads((tmp_path / "out/raw.json").read_text())["obtained_from"] == mirror.url
    (tmp_path / "local").mkdir()
    (tmp_path / "local/some-file.hdf5").write_bytes(BODY)
    d4rl.fetch(entry_of(first), **places, **outputs, threads=1)
    said = json.loads((tmp_path / "out/raw.json").read_text())
    assert said["obtained_from"] == str(tmp_path / "local/some-file.hdf5")
    assert (said["dataset"], said["provider"], said["task"]) == ("some-v2", "d4rl", "hopper")


def test_where_the_file_may_be_had_from_identifies_nothing():
    here, there = entry_of("https://a/some-file.hdf5"), entry_of("http://b/some-file.hdf5")
    assert here != there
    identified = [d4rl.PROVIDER.identity(entry) for entry in (here, there)]
    assert identified[0] == identified[1]
    other = here.model_copy(update={"sha256": "0" * 64})
    assert d4rl.PROVIDER.identity(other) != identified[0]


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


def test_a_folder_of_a_home_that_is_not_known_is_told_by_its_key(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(InputError, match=r"^d4rl_dir: found '~/local', but the variable HOME is empty; write"):
        get(serve(), tmp_path, local="~/local")


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


def test_a_host_that_goes_silent_keeps_what_it_sent(serve, tmp_path):
    """Less than the downloader reads at once."""
    host = serve((BODY, True, -100_000), (BODY, True, None))
    get(host, tmp_path, timeout=0.3)
    assert host.ranges == [None, "bytes=100000-"]


def test_a_silent_host_is_given_up(serve, tmp_path):
    assert "timed out" in refused(serve((BODY, False, -1)), tmp_path, timeout=0.2, attempts=2)
    assert left(tmp_path) == ["raw.hdf5.part"]


def test_a_redirect_is_followed_and_resumed(serve, tmp_path):
    """As Hugging Face answers: from its own host to the one that stores the file."""
    store = serve((BODY, True, 400_000), (BODY, True, None))
    get(serve(store.url), tmp_path)
    assert store.ranges == [None, "bytes=400000-"]


@pytest.mark.parametrize("bad", [403, 404, 503, (bytes(len(BODY)), True, None), (b"<html>sorry</html>", True, None)])
def test_the_next_mirror_takes_over(serve, tmp_path, bad):
    hosts = [serve(bad), serve(bad), serve((BODY, True, None)), serve(500)]
    made = get(hosts[0], tmp_path, mirrors=[f"{hosts[1].base}/", hosts[2].base, hosts[3].base], attempts=2)
    assert made["obtained_from"] == hosts[2].url
    assert made["url"] == hosts[0].url
    assert hosts[2].ranges == [None]
    assert hosts[3].ranges == []
    assert left(tmp_path) == ["raw.hdf5", "raw.json"]


def test_the_next_mirror_takes_over_from_no_host_at_all(serve, tmp_path):
    mirror = serve((BODY, True, None))
    assert get("http://127.0.0.1:9/some-file.hdf5", tmp_path, mirrors=[mirror.base])["obtained_from"] == mirror.url


def test_the_next_mirror_takes_over_from_a_silent_host(serve, tmp_path):
    mirror = serve((BODY, True, None))
    get(serve((BODY, True, -300_000)), tmp_path, mirrors=[mirror.base], timeout=0.2, attempts=1)
    assert mirror.ranges == ["bytes=300000-"]


def test_the_next_mirror_resumes(serve, tmp_path):
    first, mirror = serve((BODY, True, 600_000), 404), serve((BODY, True, None))
    assert get(first, tmp_path, mirrors=[mirror.base])["obtained_from"] == mirror.url
    assert mirror.ranges == ["bytes=600000-"]


def test_a_mirror_that_ignores_range_starts_again(serve, tmp_path):
    first, mirror = serve((BODY, True, 600_000), 404), serve((BODY, False, None))
    get(first, tmp_path, mirrors=[mirror.base])
    assert mirror.ranges == ["bytes=600000-"]


def test_a_mirror_does_not_suffer_for_what_the_host_before_it_sent(serve, tmp_path):
    """Half of another file, resumed, is wrong: the mirror then sends all of it, as often cut as it likes."""
    first = serve((bytes(len(BODY)), True, 600_000), 404)
    mirror = serve((BODY, True, None), (BODY, True, 200_000))
    get(first, tmp_path, mirrors=[mirror.base], attempts=2)
    assert mirror.ranges == ["bytes=600000-", None, *(f"bytes={i}00000-" for i in (2, 4, 6, 8))]


def test_the_error_names_every_host_what_it_answered_and_the_way_out(serve, tmp_path):
    (tmp_path / "local").mkdir()
    own = tmp_path / "local" / "some-file.hdf5"
    own.write_bytes(b"cut")
    wrong = bytes(len(BODY))
    hosts = [serve(403), serve(503), serve((wrong, True, None)), serve((BODY, False, 1000))]
    message = refused(hosts[0], tmp_path, mirrors=[host.base for host in hosts[1:]], attempts=2)
    assert message.splitlines() == [
        "some-v2: no host had a usable file",
        f"  {own} was passed over: it has 3 bytes, expected 1000000",
        f"  tried {hosts[0].url}",
        "    attempt 1: the host answered 403 Forbidden",
        f"  tried {hosts[1].url}",
        "    attempt 1: the host answered 503 Service Unavailable",
        "    attempt 2: the host answered 503 Service Unavailable",
        f"  tried {hosts[2].url}",
        f"    attempt 1: the file is wrong: its SHA-256 is {hashlib.sha256(wrong).hexdigest()}, "
        f"expected {hashlib.sha256(BODY).hexdigest()}",
        f"  tried {hosts[3].url}",
        "    attempt 1: the connection ended after 1000 of 1000000 bytes",
        "    attempt 2: the connection ended after 1000 of 1000000 bytes",
        f"  To supply it by hand, put some-file.hdf5 (1000000 bytes, SHA-256 {hashlib.sha256(BODY).hexdigest()}) "
        f"into {tmp_path / 'local'} (d4rl_dir) and run this again. Further hosts go into mirrors.",
    ]


class Kept:
    """A small dataset that the catalogue is said to have, at a host, and the folder where D4RL would keep it."""

    def __init__(self, folder, serve, monkeypatch, answers=None):
        self.source = folder / "source.hdf5"
        with h5py.File(self.source, "w") as file:
            file["observations"], file["actions"] = np.zeros((6, 11), np.float32), np.zeros((6, 3), np.float32)
            file["rewards"] = np.arange(6, dtype=np.float32)
            file["terminals"], file["timeouts"] = np.arange(6) == 2, np.arange(6) == 5
        body = self.source.read_bytes()
        self.host = serve(*(answers or [(body, True, None)]))
        self.folder = folder / "datasets"
        self.file = self.folder / "some-file.hdf5"
        monkeypatch.setattr(catalogue, "names", lambda: ["some-v2", "some-embedded-v1"])
        monkeypatch.setattr(catalogue, "entry", lambda name: entry_of(self.host, body))
        monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)


@pytest.fixture
def kept(tmp_path, serve, monkeypatch):
    return Kept(tmp_path, serve, monkeypatch)


def test_a_dataset_is_loaded_by_its_name(kept, capsys):
    """Downloaded where D4RL keeps it, telling how far it is; from there without a host, as by its path."""
    for _ in range(2):
        dataset = load_dataset("some-v2", d4rl_dir=kept.folder)
        assert dataset.task == "hopper"
        np.testing.assert_array_equal(dataset.rewards, np.arange(6))
        np.testing.assert_array_equal(dataset.terminated, np.arange(6) == 2)
        np.testing.assert_array_equal(dataset.truncated, np.arange(6) == 5)
        assert kept.host.ranges == [None]
    assert "some-v2: 100%" in capsys.readouterr().err
    assert kept.file.read_bytes() == kept.source.read_bytes()
    assert sorted(path.name for path in kept.folder.iterdir()) == [".some-file.hdf5.lock", "some-file.hdf5"]
    np.testing.assert_array_equal(load_dataset(str(kept.file)).rewards, np.arange(6))


def test_where_a_dataset_is_kept(kept, monkeypatch, tmp_path):
    """As D4RL itself decides; what is there already is enough, also where nothing can be written."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    load_dataset("some-v2")
    assert (tmp_path / "home/.d4rl/datasets/some-file.hdf5").is_file()
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "shared"))
    load_dataset("some-v2")
    assert (tmp_path / "shared/some-file.hdf5").is_file()
    kept.folder.mkdir()
    kept.file.symlink_to(kept.source)
    load_dataset("some-v2", d4rl_dir=str(kept.folder))
    assert [path.name for path in kept.folder.iterdir()] == ["some-file.hdf5"]
    assert kept.host.ranges == [None, None]


def test_a_dataset_comes_from_a_mirror(tmp_path, serve, monkeypatch):
    kept = Kept(tmp_path, serve, monkeypatch, [404])
    mirror = serve((kept.source.read_bytes(), True, None))
    load_dataset("some-v2", d4rl_dir=kept.folder, mirrors=[mirror.base])
    assert (kept.host.ranges, mirror.ranges) == ([None], [None])


def test_another_file_of_that_name_is_refused_and_left(kept):
    kept.folder.mkdir()
    kept.file.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"some-file.hdf5: not D4RL's file of some-v2: it has 4 bytes.*; move it away"):
        load_dataset("some-v2", d4rl_dir=kept.folder)
    assert kept.file.read_bytes() == b"mine"
    assert kept.host.ranges == []


def test_who_asks_at_once_downloads_once(tmp_path, serve, monkeypatch):
    kept = Kept(tmp_path, serve, monkeypatch)
    body = kept.source.read_bytes()
    slow = serve((body, True, 1000), (body, True, None))
    entry = entry_of(slow, body)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(keep, entry, kept.folder, wait=0.2) for _ in range(4)]
        assert {one.result() for one in asked} == {kept.file}
    assert slow.ranges == [None, "bytes=1000-"]
    assert kept.file.read_bytes() == body


def test_names_that_give_no_file(kept, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="task: found 'walker2d' for some-v2, which is of 'hopper'"):
        load_dataset("some-v2", "walker2d", d4rl_dir=kept.folder)
    with pytest.raises(
        InputError, match="no-v2: no such file, and no dataset of the catalogue, which has some-v2, some-"
    ):
        load_dataset("no-v2", d4rl_dir=kept.folder)
    with pytest.raises(InputError, match=r"no\.hdf5: no such file; give the path"):
        load_dataset("no.hdf5", d4rl_dir=kept.folder)
    monkeypatch.undo()
    with pytest.raises(InputError) as error:
        load_dataset("hopper-medium-embedded-v1")
    assert kept.host.ranges == []
    # What it says works, here with a hundredth of the data.
    monkeypatch.chdir(tmp_path)
    told = re.search(
        r"collect\(d4rl_automl\.data\.catalogue\.entry\((.*)\), 'raw.hdf5', 'raw.json'\)", str(error.value)
    )
    entry = catalogue.entry(ast.literal_eval(told[1])).model_copy(update={"transitions": 1000})
    collection.collect(entry, "raw.hdf5", "raw.json")
    assert len(load_dataset("raw.hdf5", "hopper").rewards) == 1000
