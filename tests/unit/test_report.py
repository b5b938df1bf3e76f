import json
import re
import shutil
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import statistics
from d4rl_automl.figures import style
from d4rl_automl.figures.table import CAPTIONS, FIGURES
from d4rl_automl.plan import graph
from d4rl_automl.report import answer, drawing, pack, page
from tests.support import finished


class Page(HTMLParser):
    """Links, images, ids and the text of every table cell; refuses tags that do not nest."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input", "source"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.words = ""
        self.rows: list[list[str]] = []
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
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cells.append("")
        if facts.get("id"):
            self.ids.append(facts["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.rows[-1].append(" ".join(self.cells[-1].split()))

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.open and any(tag in self.open for tag in ("td", "th")):
            self.cells[-1] += data


KINDS = ("profiles", "returns", "calibration", "budget", "card", "curves")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One dataset of one seed, with small figures, a film and a benchmark file."""
    folder = tmp_path_factory.mktemp("single")
    name = "hopper-medium-embedded-v1"
    made = finished.run(folder, [name], provider="embedded", episodes=6, drawn=False)
    home = folder / "results" / name
    # Given in another order than that of the page.
    for kind in KINDS[::-1]:
        facts = {"kind": kind} | ({"provider": "embedded"} if kind == "profiles" else {"dataset": name})
        style.save(Figure(figsize=(2, 1)), pd.DataFrame({"x": [1]}), home / "figures" / kind, facts)
        made["figures"].append(home / f"figures/{kind}.png")
    film = home / "films/best.d4rl.median.webp"
    film.parent.mkdir()
    for path in (film, film.with_suffix(".png")):
        Image.new("RGB", (32, 24)).save(path)
    film.with_suffix(".json").write_text(json.dumps({"alt": "The median of <6> episodes.", "width": 32, "height": 24}))
    benchmark = folder / f"results/benchmarks/{name}/rollouts/mlp-s0.d4rl.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\tmax_rss\n150.0\t100\n")
    return made | {"films": [film]}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three datasets of two seeds, without figures."""
    names = ["hopper-medium-v2", "hopper-random-v2", "hopper-expert-v2"]
    said = ["A third of it is <odd>.", "Nothing repeats it."]

    def near(*draws: np.ndarray, statistic: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Without a bootstrap, which takes long."""
        return statistic(*draws) - 2, statistic(*draws) + 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "interval", near)
        return finished.run(
            tmp_path_factory.mktemp("several"), names, seeds=(0, 1), doubts=said, episodes=6, drawn=False
        )


def read(given: dict[str, Any]) -> Page:
    page.write(**given)
    return Page(given["output"].read_text(encoding="utf-8"))


def test_the_page_needs_nothing_from_anywhere(single: dict[str, Any]) -> None:
    shown = read(single)
    text = single["output"].read_text()
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    assert "default-src 'none'" in text and "'unsafe-eval'" not in text
    for link in [*shown.links, *(str(image["src"]) for image in shown.images)]:
        if link.startswith("#"):
            assert link[1:] in shown.ids
        else:
            assert (single["output"].parent / link).is_file(), link
    assert len(shown.ids) == len(set(shown.ids))
    assert all(image["loading"] == "lazy" and image["width"] and image["alt"] for image in shown.images)


def test_figures_are_the_files_beside_it_in_the_order_of_the_table(single: dict[str, Any]) -> None:
    shown = read(single)
    pictures = [Path(str(image["src"])).name.split(".")[0] for image in shown.images]
    # What is of all datasets comes first; the film follows the first figure of its dataset, the card the others.
    assert pictures == ["profiles", "returns", "best", "calibration", "budget", "card", "curves"]
    words = " ".join(shown.words.split())
    for kind in (*KINDS, "scores", "students"):
        for part in " ".join((CAPTIONS / f"{kind}.rst").read_text().split()).split(". ", 1):
            assert part in words
    assert "The median of <6> episodes." in words


def test_every_kind_of_figure_has_a_caption() -> None:
    for kind in [*FIGURES, "scores", "summary", "students"]:
        first, _, others = (CAPTIONS / f"{kind}.rst").read_text().partition(". ")
        assert len(others.split()) > 20 and len(first.split()) > 3, kind


def test_numbers_on_the_page(several: dict[str, Any]) -> None:
    shown = read(several)
    scores = pd.read_csv(several["scores"])
    stand = pd.concat([pd.read_csv(path) for path in several["standings"]])
    (head,) = [row for row in shown.rows if row[:2] == ["dataset", "method"]]
    table = pd.DataFrame(
        [row for row in shown.rows if len(row) == len(head) and row[0] in set(stand["dataset"])], columns=head
    )
    assert len(table) == len(stand) == 3 * 4
    for row, own in zip(table.to_dict("records"), stand.to_dict("records"), strict=True):
        assert (row["dataset"], row["method"]) == (own["dataset"], own["method"])
        assert row["score"] == f"{own['score']:.1f}" and row["behind"] == f"{own['behind']:.1f}"
        assert row["95 % interval"] == f"{own['low']:.1f} to {own['high']:.1f}"
        at = (scores["dataset"] == own["dataset"]) & (scores["method"] == own["method"])
        selected = scores[at & (scores["target"] == "selected")]["normalised"].to_numpy()
        # Two seeds: their standard deviation is half the distance times the root of two.
        assert row["± seeds"] == f"{abs(selected[0] - selected[1]) / 2**0.5:.1f}"
    costs = pd.read_csv(several["costs"]).query("dataset == 'hopper-medium-v2' and method == 'mlp'")
    (told,) = table[(table["dataset"] == "hopper-medium-v2") & (table["method"] == "mlp")].to_dict("records")
    made_in = answer.duration(costs["with_teacher_core_seconds"].mean())
    assert told["processor time"] == " ".join(made_in.split())
    assert "nan" not in shown.words.lower().split()


def test_what_has_nothing_to_show_is_not_shown(single: dict[str, Any], several: dict[str, Any]) -> None:
    one, three = read(single), read(several)
    assert "± seeds" in three.cells and "± seeds" not in one.cells
    assert "dataset" in three.cells and "dataset" not in one.cells
    assert "IQM" in three.cells and "IQM" not in one.cells
    assert "Where the time went" in one.words and "2.5\xa0min" in one.cells and "Where the time went" not in three.words
    assert "Doubt" not in one.words
    nothing = {"low": np.nan, "high": np.nan, "behind_low": np.nan, "behind_high": np.nan, "level": True}
    path = single["output"].parents[1] / "one-episode.csv"
    pd.read_csv(single["standings"][0]).assign(**nothing).to_csv(path, index=False)
    without = read(single | {"standings": [path]})
    assert "95 % interval" not in without.cells and "95 % interval" in one.cells
    assert "too few episodes were played" in without.words


def test_embedded_data_are_marked(single: dict[str, Any], several: dict[str, Any]) -> None:
    shown = read(single)
    assert "Do not compare scores on it with published D4RL numbers" in " ".join(shown.words.split())
    assert "embedded, not D4RL's data" in shown.words
    real = read(several)
    assert "published D4RL numbers" not in real.words and "embedded, not D4RL's data" not in real.words


def test_doubts_are_told_with_the_answer_and_in_full_with_their_dataset(
    several: dict[str, Any], tmp_path: Path
) -> None:
    metrics = tmp_path / "metrics.csv"
    facts = {"dataset": "hopper-random-v2", "teacher": "t", "seed": 0, "dimension": [0, 1]}
    pd.DataFrame(facts | {"doubts": [None, "No network was tried."]}).to_csv(metrics, index=False)
    shown = read(several | {"teachers": [metrics]})
    words = " ".join(shown.words.split())
    told = "Doubtful, and so is every score on them: hopper-medium-v2 hopper-random-v2"
    assert words.index(told) < words.index("Protocol")
    assert "Doubts about hopper-medium-v2, and so about every score on it: A third of it is <odd>." in words
    assert "Teacher t, training seed 0, action dimension 1: No network was tried." in words
    assert shown.links.count("#doubts-hopper-medium-v2") == 2  # with the answer, and beside its scores
    assert "#doubts-hopper-expert-v2" not in shown.links
    pd.DataFrame(facts).to_csv(metrics, index=False)
    assert "Doubts about hopper-random-v2" not in read(several | {"teachers": [metrics]}).words


def test_everything_is_escaped(single: dict[str, Any], tmp_path: Path) -> None:
    evil = "<script>alert('1')</script>&\""
    changed = {}
    for name in ("scores", "costs"):
        table = pd.read_csv(single[name])
        table["method"] = table["method"].replace("mlp", evil)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        changed[name] = tmp_path / f"{name}.csv"
    table = pd.read_csv(single["standings"][0])
    table["method"] = table["method"].replace("mlp", evil)
    table.to_csv(tmp_path / "standings.csv", index=False)
    methods = [{**entry, "name": entry["name"].replace("mlp", evil)} for entry in single["config"]["methods"]]
    config = single["config"] | {"methods": methods}
    shown = read(single | changed | {"standings": [tmp_path / "standings.csv"], "config": config})
    text = single["output"].read_text()
    assert text.count("<script>") == 1
    assert evil in " ".join(shown.cells)


def test_the_same_run_gives_the_same_page(single: dict[str, Any]) -> None:
    read(single)
    first = single["output"].read_bytes()
    read(single)
    assert single["output"].read_bytes() == first


def test_the_command_is_told(single: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The run was started by" not in read(single).words
    monkeypatch.setenv(page.COMMAND, "snakemake --cores 2 --config 'a=<b>'")
    assert "snakemake --cores 2 --config 'a=<b>'" in read(single).words


def test_what_is_refused(single: dict[str, Any], tmp_path: Path) -> None:
    def refused(said: str, **changed: Any) -> None:
        with pytest.raises(InputError, match=said):
            page.write(**(single | {"output": tmp_path / "out" / "index.html"} | changed))
        assert not (tmp_path / "out" / "index.html").exists()

    (tmp_path / "empty.csv").write_text("")
    refused(r"empty\.csv: cannot be read", scores=tmp_path / "empty.csv")
    refused(r"gone\.csv: cannot be read", summary=tmp_path / "gone.csv")
    refused(r"gone\.csv: cannot be read", standings=[tmp_path / "gone.csv"])
    refused(r"gone\.csv: is missing", comparisons=tmp_path / "gone.csv")
    (tmp_path / "students.csv").write_text("method\nmlp\n")
    refused(f"is of dataset '{tmp_path.name}'", students=[tmp_path / "students.csv"])
    here = [*single["config"]["datasets"], {"name": tmp_path.name, "provider": "file", "task": "hopper"}]
    config = single["config"] | {"datasets": here}
    refused(f"the card of dataset '{tmp_path.name}' is missing", config=config)
    refused("scores.csv: is of dataset 'hopper-medium-embedded-v1'", config=config | {"datasets": here[1:]})
    good = single["figures"][0]
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:-200])
    refused(r"torn\.png: is no PNG", figures=[tmp_path / "torn.png"])
    Image.new("RGB", (4, 4)).save(tmp_path / "foreign.png")
    refused(r"foreign\.png: is no PNG of this project", figures=[tmp_path / "foreign.png"])
    (tmp_path / "alone.png").write_bytes(good.read_bytes())
    refused(r"alone\.csv: is missing beside alone\.png", figures=[tmp_path / "alone.png"])
    copied = tmp_path / "hopper-medium-embedded-v1/films"
    shutil.copytree(single["films"][0].parent, copied)
    (copied / "best.d4rl.median.png").unlink()
    refused(r"best\.d4rl\.median\.png: is missing", films=[copied / "best.d4rl.median.webp"])


# The answer ------------------------------------------------------------------------------------


def stand(scores: dict[str, dict[str, tuple[float, float, bool]]]) -> pd.DataFrame:
    """Standings by dataset and method: (score, behind, level)."""
    facts = {"suite": "gym", "simulator": "d4rl", "fraction": 1.0, "training_seeds": 1, "episodes": 20}
    rows = [
        {"dataset": dataset, **facts, "method": method}
        | {"score": score, "low": score - 1, "high": score + 1}
        | {"behind": behind, "behind_low": behind - 1, "behind_high": behind + 1, "level": level}
        for dataset, methods in scores.items()
        for method, (score, behind, level) in methods.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def said(scores: dict[str, dict[str, tuple[float, float, bool]]], **costs: float) -> str:
    table = stand(scores)
    rows = [(d, m, costs.get(m, np.nan)) for d, m in zip(table["dataset"], table["method"], strict=True)]
    spent = pd.DataFrame(rows, columns=["dataset", "method", "with_teacher_core_seconds"])
    order = list(dict.fromkeys(table["method"]))
    (group,) = answer.answers(table, spent, dict.fromkeys(scores, "d4rl"), order)
    return " ".join(Markup(sentence).striptags() for sentence in group.sentences)


def test_the_answer_of_one_dataset_claims_no_more_than_its_intervals() -> None:
    level = {"d": {"a": (80.0, 0.0, True), "b": (79.5, 0.5, True), "c": (60.0, 20.0, False)}}
    assert said(level, a=3600.0, b=30.0, c=5.0) == (
        "On d, a scores highest: 80.0 (95 % interval 79.0 to 81.0); the episodes played do not tell b apart from it. "
        "The cheapest is b: 30 s of processor time to make, against 1 h for a."
    )
    clear = {"d": {"a": (80.0, 0.0, True), "c": (60.0, 20.0, False)}}
    assert said(clear, a=3600.0, c=5.0) == (
        "On d, a scores highest: 80.0 (95 % interval 79.0 to 81.0), above every other method in these episodes. "
        "The next, c, is 20.0 points behind (95 % interval 19.0 to 21.0). "
        "Making a took 1 h of processor time; c, the cheapest, took 5 s and is 20.0 points behind."
    )
    assert said({"d": {"a": (80.0, 0.0, True)}}) == "On d, a scores 80.0 (95 % interval 79.0 to 81.0)."


def test_the_answer_of_several_datasets() -> None:
    scores = {
        "d": {"a": (80.0, 0.0, True), "b": (79.0, 1.0, True), "some": (99.0, 0.0, True)},
        "e": {"a": (50.0, 9.0, False), "b": (59.0, 0.0, True)},
        "f": {"a": (50.0, 0.0, True), "b": (20.0, 30.0, False)},
    }
    told = said(scores, a=7200.0, b=30.0, some=1.0)
    assert told.startswith("a and b are each the best or level with the best on 2 of 3 datasets. ")
    # A method of one dataset stands in no mean, however high.
    assert "The highest mean over all of them is that of a: 60.0." in told
    assert "It takes 2 h of processor time a policy; the cheapest, b, takes 30 s, with a mean of 52.7." in told
    assert told.endswith("One method was made for some of the datasets alone, and is compared there only.")
    ranked = answer.ranking(stand(scores).assign(cost=1.0), ["a", "b", "some"])
    assert list(ranked["method"]) == ["a", "b", "some"] and list(ranked["whole"]) == [True, True, False]


def test_providers_and_suites_have_answers_of_their_own() -> None:
    table = pd.concat([stand({"d": {"a": (80.0, 0.0, True)}}), stand({"e": {"a": (8.0, 0.0, True)}})])
    table["suite"] = ["gym", "antmaze"]
    empty = pd.DataFrame(columns=["dataset", "method", "with_teacher_core_seconds"])
    groups = answer.answers(table, empty, {"d": "d4rl", "e": "embedded"}, ["a"])
    assert [group.title for group in groups] == ["d4rl's data, gym datasets", "embedded's data, antmaze datasets"]
    assert not any(group.costly for group in groups)


def test_marks_stand_where_their_scores_are() -> None:
    (group,) = answer.answers(
        stand({"d": {"a": (80.0, 0.0, True), "b": (40.0, 40.0, False)}}),
        pd.DataFrame(columns=["dataset", "method", "with_teacher_core_seconds"]),
        {"d": "d4rl"},
        ["a", "b"],
    )
    places = {float(text): at for at, text in group.ticks}
    assert min(places) >= 39 and max(places) <= 81
    first, second = (row["marks"][0] for row in group.rows)
    assert (first["at"], second["at"]) == pytest.approx((places[80], places[40]), abs=0.01)
    assert first["full"] and not second["full"]
    assert 0 <= second["interval"][0] < second["at"] < second["interval"][1] <= 100


# The plan and the archive ----------------------------------------------------------------------


def test_the_rules_of_a_run_are_counted_from_its_jobs() -> None:
    class Job(SimpleNamespace):
        __hash__ = object.__hash__

    def made(name: str, *output: str) -> Job:
        return Job(rule=SimpleNamespace(name=name), output=output)

    data, fits, page_job, other = made("data"), [made("fit", "a"), made("fit", "b")], made("report", "p"), made("other")
    dag = SimpleNamespace(
        jobs=[other, page_job, *fits, data],
        dependencies={page_job: dict.fromkeys(fits), fits[0]: {data: None}, fits[1]: {data: None}, data: {}, other: {}},
    )
    assert graph.rules_before(dag, "p") == {
        "rules": {"data": 1, "fit": 2, "report": 1},
        "edges": [("data", "fit"), ("fit", "report")],
    }


def test_the_drawing_has_every_rule_once_and_none_on_another() -> None:
    names = [f"rule {index}" for index in range(14)]
    edges = {(names[i], names[j]) for i in range(14) for j in range(i + 1, 14) if (i * j) % 3 == 1 or j == i + 2}
    drawn = drawing.draw({name: name for name in names}, edges)
    assert sorted(box.text for box in drawn.boxes) == sorted(names)
    for one in drawn.boxes:
        assert one.x - one.width / 2 >= 0 and one.x + one.width / 2 <= drawn.width and one.y + 34 <= drawn.height
        beside = [box for box in drawn.boxes if box is not one and box.layer == one.layer]
        assert all(abs(box.x - one.x) >= (box.width + one.width) / 2 for box in beside)
    layer = {box.text: box.layer for box in drawn.boxes}
    assert all(layer[before] < layer[after] for before, after in edges)
    # An arrow that others say already is left out.
    triangle = drawing.draw(dict.fromkeys("abc", "x"), [("a", "b"), ("b", "c"), ("a", "c")])
    assert len(triangle.arrows) == 2
    with pytest.raises(ValueError, match="circle: a -> b -> a"):
        drawing.draw(dict.fromkeys("ab", "x"), [("a", "b"), ("b", "a")])


def test_the_archive_is_the_page_with_all_that_it_shows(single: dict[str, Any], tmp_path: Path) -> None:
    shown = read(single)
    for name in ("one.zip", "two.zip"):
        pack.write(single["output"], tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        archive.extractall(tmp_path)
    unpacked = tmp_path / pack.FOLDER / "report/index.html"
    assert unpacked.read_bytes() == single["output"].read_bytes()
    linked = {link for link in shown.links if not link.startswith("#")} | {str(image["src"]) for image in shown.images}
    assert all((unpacked.parent / link).is_file() for link in linked)
    assert (
        len([path for path in (tmp_path / pack.FOLDER).rglob("*") if path.is_file()]) == len(linked) + 2
    )  # page, still
    bad = tmp_path / "report/index.html"
    bad.parent.mkdir()
    for link, told in (("../gone.png", "is missing"), ("../../secret", "is outside"), ("/etc/hostname", "is outside")):
        bad.write_text(f'<a href="{link}">x</a>')
        with pytest.raises(InputError, match=told):
            pack.write(bad, tmp_path / "bad.zip")
