import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.costs import COLUMNS
from d4rl_automl.figures import style
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.methods import mlp, teacher
from d4rl_automl.report import page
from tests.support import synthetic

METHODS = ["medium", "mlp"]


class Page(HTMLParser):
    """Links, images, ids and the text of every table cell; refuses tags that do not nest."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "a":
            self.links.append(facts["href"] or "")
        if tag == "img":
            self.images.append(facts)
        if tag in ("td", "th"):
            self.cells.append("")
        if facts.get("id"):
            self.ids.append(facts["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.open and any(tag in self.open for tag in ("td", "th")):
            self.cells[-1] += data


def run(folder: Path, datasets: list[tuple[str, str]], seeds: list[int]) -> dict[str, Any]:
    """The arguments of `page.write` for a small run; `datasets`: (name, provider)."""
    generator = np.random.default_rng(0)
    rows, students, cards, figures = [], [], [], []
    for name, provider in datasets:
        home = folder / name
        for method in METHODS:
            for seed in seeds:
                for rule in ("selected", "fixed", "all"):
                    score = float(generator.normal(50, 10))
                    rows.append((name, provider, "gym", method, "kind", seed, "d4rl", rule, 20, score * 30, score))
        # Given in another order than that of the page.
        for kind in ("calibration", "reward_to_go"):
            prefix = home / "figures" / f"{kind}.d4rl"
            figure = Figure(figsize=(2, 1))
            figure.suptitle(kind)
            style.save(figure, pd.DataFrame({"x": [1]}), prefix, {"kind": kind, "dataset": name, "simulator": "d4rl"})
            figures.append(Path(f"{prefix}.png"))
        home.mkdir(exist_ok=True)
        cards.append(synthetic.card(home / "card.json", name, provider))
        (home / "card.md").touch()
        students.append(home / "students.csv")
        compared = [(m, "kind", s, "medium", 0.02, 0.003, 2_500_000, 123_456, 50_000) for m in METHODS for s in seeds]
        names = [
            "method",
            "kind",
            "seed",
            "teacher",
            "l2_data",
            "l2_teacher",
            "bytes",
            "rows_per_second",
            "rows",
        ]
        pd.DataFrame(compared, columns=names).to_csv(students[-1], index=False)
    names = [
        "dataset",
        "provider",
        "suite",
        "method",
        "kind",
        "seed",
        "simulator",
        "target",
        "episodes",
        "mean_return",
        "normalised",
    ]
    pd.DataFrame(rows, columns=names).assign(doubts="", teacher_doubts="").to_csv(folder / "scores.csv", index=False)
    pd.DataFrame(
        {
            "provider": "embedded",
            "suite": "gym",
            "method": METHODS,
            "simulator": "d4rl",
            "target": "selected",
            "datasets": 1,
            "seeds": 2,
            "mean": [51.23, 61.23],
            "iqm": [52.34, 62.34],
            "iqm_low": [40.11, np.nan],
            "iqm_high": [60.22, np.nan],
            "optimality_gap": [47.65, 37.65],
            "optimality_gap_low": [39.77, np.nan],
            "optimality_gap_high": [59.88, np.nan],
            "no_interval": [None, "one training seed"],
        }
    ).to_csv(folder / "summary.csv", index=False)
    comparisons = folder / "comparisons.csv"
    comparisons.touch()
    costs = folder / "costs.csv"
    spent = [(datasets[0][0], "mlp", "mlp", 0, 31.25, 30.5, 512.0, 31.25, 30.5, 99_000, 12.75)]
    pd.DataFrame(spent, columns=COLUMNS).to_csv(costs, index=False)
    prefix = folder / "figures" / "profiles"
    style.save(Figure(figsize=(2, 1)), pd.DataFrame({"x": [1]}), prefix, {"kind": "profiles", "provider": "embedded"})
    figures.append(Path(f"{prefix}.png"))
    config = {
        "datasets": [{"name": name, "provider": provider, "task": "hopper"} for name, provider in datasets],
        "seeds": seeds,
        "simulators": ["d4rl"],
        "methods": [
            teacher.Settings(name="medium", kind="teacher", teacher="medium", report_episodes=5).model_dump(),
            mlp.Settings(name="mlp", kind="mlp").model_dump(),
        ],
        "rollout": {"seed": 0, "fractions": [0.3, 1.2], "selection_episodes": 20, "report_episodes": 200},
    }
    return {
        "scores": folder / "scores.csv",
        "summary": folder / "summary.csv",
        "comparisons": comparisons,
        "costs": costs,
        "students": students,
        "cards": cards,
        "figures": figures,
        "config": config,
        "output": folder / "report" / "index.html",
    }


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("results")
    return run(folder, [("hopper-medium-embedded-v1", "embedded")], [0, 1])


def read(given: dict[str, Any]) -> Page:
    page.write(**given)
    return Page(given["output"].read_text(encoding="utf-8"))


def test_the_page_needs_nothing_from_anywhere(single: dict[str, Any]) -> None:
    shown = read(single)
    text = single["output"].read_text()
    assert "script" not in shown.tags
    assert not re.search(r"https?://|url\(|@import", text)
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in shown.images)
    for link in shown.links:
        if link.startswith("#"):
            assert link[1:] in shown.ids
        else:
            assert (single["output"].parent / link).is_file(), link
    assert len(shown.ids) == len(set(shown.ids))


def test_figures_are_the_files_in_the_order_of_the_page(single: dict[str, Any]) -> None:
    shown = read(single)
    calibration_png, reward_to_go_png, profiles_png = single["figures"]
    embedded = [base64.b64decode(str(image["src"]).split(",")[1]) for image in shown.images]
    assert embedded == [profiles_png.read_bytes(), reward_to_go_png.read_bytes(), calibration_png.read_bytes()]
    assert [str(image["alt"]).split(",")[0] for image in shown.images] == [
        "Performance profiles",
        "The data",
        "Commanded against achieved return",
    ]
    for kind in ("reward_to_go", "calibration", "scores", "summary", "students"):
        assert (page.CAPTIONS / f"{kind}.rst").read_text().strip() in shown.words


def test_every_kind_of_figure_has_a_caption() -> None:
    for kind in [*FIGURES, "scores", "summary", "students"]:
        assert len((page.CAPTIONS / f"{kind}.rst").read_text().split()) > 20


def test_numbers_on_the_page(single: dict[str, Any]) -> None:
    shown = read(single)
    table = pd.read_csv(single["scores"])
    for method in METHODS:
        own = table[(table["method"] == method) & (table["target"] == "selected")]["normalised"].to_numpy()
        # Two seeds: their standard deviation is half the distance times the root of two.
        assert f"{own.sum() / 2:.1f} ± {abs(own[0] - own[1]) / 2**0.5:.1f}" in shown.cells
        assert f"{own[0]:.1f}" in shown.cells  # joined to the comparison of students
    assert {
        "52.3",
        "40.1 to 60.2",
        "47.6",
        "39.8 to 59.9",
        "one training seed",
        "0.02000",
        "0.00300",
        "2.5 MB",
        "123,456",
    } <= set(shown.cells)
    assert {"31.25", "12.75"} <= set(shown.cells)
    assert "nan" not in shown.words.lower().split()
    assert "200" in shown.cells
    assert {"1,234", "43.2", "12.5%", "d4rl", "card.md"} <= set(shown.cells)
    assert "5" in shown.cells  # the teacher's own number of episodes


def test_embedded_data_are_marked(single: dict[str, Any], tmp_path: Path) -> None:
    shown = read(single)
    assert "Do not compare scores on it with published D4RL numbers" in " ".join(shown.words.split())
    assert shown.words.count("embedded, not D4RL's data") >= 3
    real = read(run(tmp_path, [("hopper-medium-v2", "d4rl")], [0]))
    assert "published D4RL numbers" not in real.words
    assert "embedded, not D4RL's data" not in real.words


def test_doubts_stand_above_the_scores_and_beside_them(tmp_path: Path) -> None:
    arguments = run(tmp_path, [("certain", "d4rl"), ("doubtful", "d4rl")], [0])
    assert "Doubts about" not in read(arguments).words
    said = ["A third of it is <odd>.", "Nothing repeats it."]
    synthetic.card(arguments["cards"][1], "doubtful", "d4rl", doubts=said)
    shown = read(arguments)
    assert "Doubts about doubtful, and so about every score on it" in " ".join(shown.words.split())
    assert all(shown.words.count(doubt) == 1 for doubt in said)
    assert "Doubts about certain" not in shown.words
    beside = [cell.split() for cell in shown.cells if cell.startswith(("certain", "doubtful"))]
    assert ["doubtful", "d4rl", "doubtful"] in beside
    assert ["certain", "d4rl", "doubtful"] not in beside


def test_doubts_about_a_teacher_stand_above_the_scores_and_at_those_of_who_learned_from_it(tmp_path: Path) -> None:
    arguments = run(tmp_path, [("one", "d4rl"), ("other", "d4rl")], [0, 1])
    table = pd.read_csv(arguments["scores"])
    taught = (table["dataset"] == "other") & (table["method"] == METHODS[0]) & (table["seed"] == 1)
    table.assign(teacher_doubts=np.where(taught, "Teacher t, ac0: no <CAT>.", "")).to_csv(
        arguments["scores"], index=False
    )
    shown = read(arguments)
    assert f"† Doubts about the teacher behind {METHODS[0]} on other" in " ".join(shown.words.split())
    assert shown.words.count("Teacher t, ac0: no <CAT>.") == 1
    marked = [cell for cell in shown.cells if cell.endswith("†")]
    assert len(marked) == table["target"].nunique()


def test_twelve_datasets(tmp_path: Path) -> None:
    names = [f"robot-{index}-v2" for index in range(12)]
    shown = read(run(tmp_path, [(name, "d4rl") for name in names], [0]))
    assert [anchor for anchor in shown.ids if anchor.startswith("dataset-")] == [f"dataset-{name}" for name in names]
    assert len(shown.images) == 25


def test_everything_is_escaped(single: dict[str, Any], tmp_path: Path) -> None:
    evil = "<script>alert('1')</script>&\""
    table = pd.read_csv(single["scores"])
    table["method"] = table["method"].replace("mlp", evil)
    table.to_csv(tmp_path / "scores.csv", index=False)
    config = single["config"] | {"methods": [single["config"]["methods"][1] | {"name": evil, "kind": evil}]}
    shown = read(single | {"scores": tmp_path / "scores.csv", "config": config, "output": tmp_path / "r" / "i.html"})
    assert "script" not in shown.tags
    assert evil in shown.cells


def test_the_same_run_gives_the_same_page(single: dict[str, Any]) -> None:
    read(single)
    first = single["output"].read_bytes()
    read(single)
    assert single["output"].read_bytes() == first


def test_what_is_refused(single: dict[str, Any], tmp_path: Path) -> None:
    def refused(said: str, **changed: Any) -> None:
        with pytest.raises(InputError, match=said):
            page.write(**(single | {"output": tmp_path / "out" / "index.html"} | changed))
        assert not (tmp_path / "out" / "index.html").exists()

    (tmp_path / "empty.csv").write_text("")
    refused(r"empty\.csv: cannot be read", scores=tmp_path / "empty.csv")
    refused(r"gone\.csv: cannot be read", summary=tmp_path / "gone.csv")
    refused(r"gone\.csv: is missing", comparisons=tmp_path / "gone.csv")
    (tmp_path / "students.csv").write_text("method\nmlp\n")
    refused(f"is of dataset '{tmp_path.name}'", students=[tmp_path / "students.csv"])
    here = [*single["config"]["datasets"], {"name": tmp_path.name, "provider": "file", "task": "hopper"}]
    config = single["config"] | {"datasets": here}
    refused("the column 'kind' is missing", students=[tmp_path / "students.csv"], config=config)
    refused("scores.csv: is of dataset 'hopper-medium-embedded-v1'", config=config | {"datasets": here[1:]})
    good = single["figures"][0]
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:2000])
    refused(r"torn\.png: is no PNG", figures=[tmp_path / "torn.png"])
    Image.new("RGB", (4, 4)).save(tmp_path / "foreign.png")
    refused(r"foreign\.png: is no PNG of this project", figures=[tmp_path / "foreign.png"])
    (tmp_path / "alone.png").write_bytes(good.read_bytes())
    refused(r"alone\.csv: is missing beside alone\.png", figures=[tmp_path / "alone.png"])
