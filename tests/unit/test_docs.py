"""The pages lead somewhere: every link of README and docs has its file and heading, and every page is linked to."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.project import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "config/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LANGUAGES = {"sh", "python", "yaml", "text", "rst"}
LINK = re.compile(r"(?<!\!)\[[^]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```(\w*).*?^ *```$", re.M | re.S)


@cache
def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]+`", lambda code: code[0] if "](" not in code[0] else "", FENCE.sub("", page.read_text()))


@cache
def anchors(page: Path) -> set[str]:
    """What a forge and MyST call the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        file, _, heading = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (page.parent / file).resolve() if file else page
        if not target.is_file() or (heading and heading not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_pictures_are_there() -> None:
    shown = {(page.parent / picture).resolve() for page in PAGES for picture in PICTURE.findall(prose(page))}
    assert [str(path.relative_to(ROOT)) for path in sorted(shown) if not path.is_file()] == []


def test_every_page_is_among_the_contents() -> None:
    """The README's lists of links are the contents of the site (docs/conf.py)."""
    lists = prose(ROOT / "README.md").partition("\n## Where to go next\n")[2].partition("\n## ")[0]
    listed = {(ROOT / link).resolve() for link in re.findall(r"^- \[[^]]+\]\(([^)#]+)\)", lists, re.M)}
    # These stand for the README and CONTRIBUTING.md in the site.
    stand_ins = {ROOT / "docs/index.md", ROOT / "docs/contributing.md"}
    assert listed == {*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"} - stand_ins


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_says_its_language(page: Path) -> None:
    text = page.read_text()
    assert set(FENCE.findall(text)) <= LANGUAGES
    # What is indented by four is code as well, but where it belongs to a list.
    assert not re.search(r"\n\n(?! *[-\d])(?<!\n  )    \S", FENCE.sub("", text))
