"""The report and all that it shows in one file, which can be passed on."""

import posixpath
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError

FOLDER = "d4rl-automl-report"
"""What the archive unpacks to; the page is report/index.html in it, as it is in results/."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Links(HTMLParser):
    """The files that a page shows or links to, as it names them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "srcset") and tag != "use" and value and not value.startswith(("#", "data:")):
                self.found.add(unquote(urlsplit(value).path))


def write(report: str | Path, output: str | Path) -> None:
    """Write the page `report` and every file that it links to as a ZIP archive, where each has the same place.

    The same files make the same archive. Raises InputError where a linked file is missing or lies outside the folder
    that the page's folder is in.
    """
    page = Path(report)
    folder = page.parent.name
    members = {f"{folder}/{page.name}": page}
    for link in sorted(_Links(page.read_text(encoding="utf-8")).found):
        # By its name alone: what is a symbolic link in results/ is packed as the file that it leads to.
        place, path = posixpath.normpath(posixpath.join(folder, link)), page.parent / link
        if place.startswith(("../", "/")):
            raise InputError(f"{report}: links to {link}, which is outside {page.parents[1]}; write the report again")
        if not path.is_file():
            raise InputError(f"{path}: is missing, and {report} shows it; make it again")
        members[place] = path
    with files.whole(output) as part, zipfile.ZipFile(part, "w") as archive:
        for place, path in sorted(members.items()):
            # Pictures and films are compressed already.
            packed = zipfile.ZIP_STORED if path.suffix in (".png", ".webp") else zipfile.ZIP_DEFLATED
            entry = zipfile.ZipInfo(f"{FOLDER}/{place}", _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), packed)
