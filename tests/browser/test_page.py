"""The report as a browser and a screen reader have it: `make test-browser`.

It takes Chromium, Node.js and the packages of package.json, and is skipped where one of them is missing.
"""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from d4rl_automl.report import pack, page
from tests.support import finished

HERE = Path(__file__).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VIEWS = [
    {"width": width, "dark": dark, "open": opened}
    for width, dark, opened in ((1400, False, False), (390, False, True), (1400, True, True), (390, True, False))
]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js: apt-get install nodejs npm"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason=f"run npm ci in {HERE}"),
]


def look(report: Path, views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What look.mjs tells of every view of a page."""
    assert CHROMIUM is not None
    asked = json.dumps([{"page": report.resolve().as_uri(), **view} for view in views])
    done = subprocess.run(
        ["node", HERE / "look.mjs", CHROMIUM, asked], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of two datasets and a maze, with doubts and a film, packed and unpacked elsewhere."""
    folder = tmp_path_factory.mktemp("run")
    names = ["hopper-medium-v2", "hopper-random-v2"]
    said = ["A third of it is <odd>."]
    made = finished.run(folder, names, mazes=["antmaze-umaze-v2"], doubts=said, count=5, partial=names[:1], episodes=4)
    film = folder / "results/hopper-medium-v2/films/best.d4rl.median.webp"
    film.parent.mkdir()
    Image.new("RGB", (320, 240), "teal").save(film)
    Image.new("RGB", (320, 240), "teal").save(film.with_suffix(".png"))
    film.with_suffix(".json").write_text(json.dumps({"alt": "The median episode.", "width": 320, "height": 240}))
    page.write(**(made | {"films": [film]}))
    pack.write(made["output"], folder / "report.zip")
    with zipfile.ZipFile(folder / "report.zip") as archive:
        archive.extractall(folder / "elsewhere")
    shutil.rmtree(folder / "results")
    return folder / "elsewhere" / pack.FOLDER / "report/index.html"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: "-".join(f"{name}={value}" for name, value in view.items()))
def test_the_page_in_a_browser(report: Path, view: dict[str, Any]) -> None:
    (seen,) = look(report, [view])
    assert seen["console"] == [] and seen["failed"] == []
    # Nothing but files beside it is asked for.
    root = report.parents[1].resolve().as_uri()
    assert all(url.startswith((root, "data:")) for url in seen["requests"]), seen["requests"]
    # Pictures load when they are looked at, and all of them do.
    pictures = len(list(report.parents[1].rglob("*.png"))) - 1 + 1  # the still beside, the film among them
    assert seen["pictures"] == {"shown": pictures, "broken": []}
    assert seen["loadedAtFirst"] < pictures / 2
    assert seen["beyond"] == 0, "it scrolls sideways"
    assert seen["violations"] == [] and seen["passes"] > 30


def test_tables_sort(report: Path) -> None:
    (seen,) = look(report, [{"width": 1000}])
    values = [float(value) for value in seen["sorted"]["values"] if value]
    assert seen["sorted"]["by"] == "descending" and values == sorted(values, reverse=True) and len(values) > 1
    assert seen["sorted"]["said"].startswith("Sorted by ")
