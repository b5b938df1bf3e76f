"""The commands and the code in README and docs, and what becomes of each in the tests.

A comment above a block says so, where it does not run in `make test`:

    <!-- runs in make test-all -->
    <!-- planned: why only a dry run of it is made -->
    <!-- tested by: the file that runs it -->
    <!-- not run: why not -->
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.project import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "config/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<comment>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^ *```$", re.M | re.S
)
FATES = ("runs in make test-all", "planned", "tested by", "not run")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    body: str
    fate: str
    """One of `FATES`, or nothing: it runs in `make test`."""
    reason: str

    @property
    def place(self) -> str:
        """The page and the line, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in some languages, page by page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if block["language"] not in languages:
                continue
            fate, _, reason = (block["comment"] or "").partition(": ")
            body = "".join(line.removeprefix(block["indent"]) for line in block["body"].splitlines(keepends=True))
            line = text.count("\n", 0, block.start("language")) + 1
            found.append(Block(page, line, block["language"], body, fate, reason))
    return found


def of(fate: str, *languages: str) -> list[Block]:
    """The blocks that have one fate."""
    return [block for block in blocks(*languages) if block.fate == fate]
