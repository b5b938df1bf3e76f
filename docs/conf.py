"""How `make docs` makes a site of the Markdown in this folder. Its front page and its contents are the README's."""

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "d4rl-automl"
extensions = ["myst_parser"]
exclude_patterns = ["examples", "evidence/results"]
# Headings are linked to as on a forge.
myst_heading_anchors = 4

html_theme = "furo"
html_title = project
html_static_path = ["site.css", "site.js"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
# The excerpts below what a search finds are fetched, which a browser refuses to a page of a folder.
html_show_search_summary = False

# Pages of the root, which a forge looks for there.
OF_THE_ROOT = {"index": "README.md", "contributing": "CONTRIBUTING.md"}


def from_here(text: str) -> str:
    """A page of the root with its links as from this folder."""
    pages = {source: f"{page}.md" for page, source in OF_THE_ROOT.items()}
    text = re.sub(r"\]\((?!\w+:|#)([^)]+)\)", lambda link: f"]({pages.get(link[1], '../' + link[1])})", text)
    return text.replace("](../docs/", "](")


def contents(readme: str) -> str:
    """The sidebar: the lists of links in the section "Where to go next", each below its heading."""
    section = readme.partition("\n## Where to go next\n")[2].partition("\n## ")[0]
    lists = []
    for part in section.split("\n### ")[1:]:
        heading, _, items = part.partition("\n")
        links = re.findall(r"^- \[([^]]+)\]\(([^)#]+)\.md\)", items, re.M)
        pages = "\n".join(f"{title} <{page}>" for title, page in links)
        lists.append(f"\n\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n")
    return "".join(lists)


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Put a page of the root in the place of its stand-in here. A link that a file names gets the title instead."""
    if page in OF_THE_ROOT:
        source[0] = from_here((ROOT / OF_THE_ROOT[page]).read_text(encoding="utf-8"))
    if page == "index":
        source[0] += contents(source[0])
    source[0] = re.sub(r"\[[\w-]+\.md\]\((?=[\w./-]+\.md)", "[](", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read)
