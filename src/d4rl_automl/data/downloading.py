"""D4RL's files, fetched from hosts that are often slow or down: resumed, checked, or taken from the user's own copy."""

import fcntl
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlparse

from tqdm import tqdm

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError

if TYPE_CHECKING:
    from d4rl_automl.data.providers.d4rl import Entry

log = logging.getLogger(__name__)

_BLOCK = 2**18
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
_PASSING_ERRORS = (OSError, http.client.HTTPException)


def download(
    entry: "Entry",
    output: str | Path,
    provenance: str | Path,
    *,
    local: str | Path,
    mirrors: Sequence[str] = (),
    attempts: int = 4,
    wait: float = 2.0,
    timeout: float = 30.0,
) -> None:
    """Provide the file of a catalogue entry of provider `d4rl`, its size and SHA-256 checked.

    Arguments
        entry: the file's entry of the catalogue.
        output: the file; it appears only once it is whole and right. What an interrupted
            download brought waits beside it as `.part` and is resumed, also by a later call
            and from another host.
        provenance: becomes JSON with the SHA-256 and where the file came from.
        local: folder that is looked in first, for a file named as in the URL. A right one
            is linked to; a wrong one is passed over with a warning.
        mirrors: base URLs under which hosts have files of the same names, tried in this
            order when the entry's own URL has been given up.
        attempts: how many in a row may bring no byte before a host is given up.
        wait: seconds before the second attempt, doubled with each further one in a row.
        timeout: seconds of silence that end an attempt.

    Raises InputError that says what each host answered and how to supply the file by hand.
    """
    output, own = Path(output), _own(entry, local)
    notes, origin = [], None
    if own.is_file():
        wrong = _difference(own, entry)
        if wrong is None:
            origin = str(own.resolve())
        else:
            notes.append(f"{own} was passed over: {wrong}")
            log.warning(notes[-1])
    if origin is None:
        patience = _Patience(attempts, wait, timeout)
        origin = _from_hosts(entry, output, mirrors, patience=patience, own=own, notes=notes)
    else:
        log.info("%s: using %s", entry.name, origin)
        with files.whole(output) as link:
            link.symlink_to(origin)
    files.write_json(
        provenance,
        {
            "dataset": entry.name,
            "provider": entry.provider,
            "task": entry.task,
            "sha256": entry.sha256,
            "size_bytes": entry.size_bytes,
            "url": entry.url,
            "obtained_from": origin,
        },
    )


def keep(
    entry: "Entry",
    folder: str | Path,
    mirrors: Sequence[str] = (),
    *,
    attempts: int = 4,
    wait: float = 2.0,
    timeout: float = 30.0,
) -> Path:
    """The file of a catalogue entry of provider `d4rl` where D4RL keeps it, downloaded unless it is there already.

    It is in `folder`, named as in the URL, its size and SHA-256 checked. The other arguments are those of `download`.
    Processes that ask for it at once download it once.

    Raises InputError as `download` does, and for another file of that name, which is left as it is.
    """
    own = _own(entry, folder)
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own, which stays: one that is deleted could be locked by two. NFS locks only what is written.
        with own.with_name(f".{own.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not own.exists():
                _from_hosts(entry, own, mirrors, patience=_Patience(attempts, wait, timeout), own=own, notes=[])
                return own
    if wrong := _difference(own, entry):
        raise InputError(
            f"{own}: not D4RL's file of {entry.name}: {wrong}; move it away and run this again, or load it by its path"
        )
    return own


def _own(entry: "Entry", folder: str | Path) -> Path:
    """The user's own copy of the file, if there is one."""
    try:
        home = files.expanded(folder)
    except InputError as error:
        raise InputError(f"d4rl_dir: {error}") from None
    return home / PurePosixPath(urlparse(entry.url).path).name


class _Patience(NamedTuple):
    """With a host, as `download` says."""

    attempts: int
    wait: float
    timeout: float


def _from_hosts(
    entry: "Entry", output: Path, mirrors: Sequence[str], *, patience: _Patience, own: Path, notes: list[str]
) -> str:
    """Download `output`, whole and right, from the first host that has it: its URL.

    Raises InputError that tells the `notes`, what each host answered, and how to supply `own` by hand.
    """
    part = output.with_name(output.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for url in [entry.url, *(f"{mirror.rstrip('/')}/{own.name}" for mirror in mirrors)]:
        history = _fetch(entry, url, part, patience)
        if history is None:
            part.replace(output)
            return url
        notes.append("\n    ".join([f"tried {url}", *history[-patience.attempts :]]))
    raise InputError(
        "\n  ".join(
            [
                f"{entry.name}: no host had a usable file",
                *notes,
                f"To supply it by hand, put {own.name} ({entry.size_bytes} bytes, SHA-256 {entry.sha256}) into "
                f"{own.parent} (d4rl_dir) and run this again. Further hosts go into mirrors.",
            ]
        )
    )


def _fetch(entry: "Entry", url: str, part: Path, patience: _Patience) -> list[str] | None:
    """Bring `part` to the entry's size and SHA-256, resuming it; when given up, what each attempt met."""
    history: list[str] = []
    fruitless = 0
    most = _size(part)
    resumed = most > 0
    while True:
        final, said = False, ""
        if _size(part) < entry.size_bytes:
            final, said = _attempt(entry, url, part, patience.timeout)
        size = _size(part)
        if size >= entry.size_bytes:
            wrong = _difference(part, entry)
            if wrong is None:
                return None
            part.unlink()
            # What an earlier run or another host left may be at fault: once, all of it is fetched anew.
            final, said = not resumed, f"the file is wrong: {wrong}"
            resumed, size, most, fruitless = False, 0, 0, 0
        elif not said:
            said = f"the connection ended after {size} of {entry.size_bytes} bytes"
        history.append(f"attempt {len(history) + 1}: {said}")
        log.warning("%s: %s", url, said)
        fruitless = 1 if size > most else fruitless + 1
        most = max(most, size)
        if final or fruitless >= patience.attempts:
            return history
        time.sleep(patience.wait * 2 ** (fruitless - 1))


def _attempt(entry: "Entry", url: str, part: Path, timeout: float) -> tuple[bool, str]:
    """One request, appended to `part`: whether its failure is final, and what it met ("" for a plain end)."""
    size = entry.size_bytes
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            if answer.status != http.client.PARTIAL_CONTENT:
                start = 0  # the host ignores Range: from the beginning
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.unlink()
                return False, f"asked for bytes from {start}, got {answer.headers.get('Content-Range')!r}"
            length = answer.headers.get("Content-Length")
            if length is not None and start + int(length) != size:
                return True, f"the host offers a file of {start + int(length)} bytes, expected {size}"
            with (
                part.open("r+b" if start else "wb") as stream,
                tqdm(total=size, initial=start, unit="B", unit_scale=True, mininterval=5, desc=entry.name) as bar,
            ):
                stream.seek(start)
                while start <= size and (block := answer.read1(_BLOCK)):
                    stream.write(block)
                    start += len(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        return error.code not in _PASSING_STATUS, f"the host answered {error.code} {error.reason}"
    except _PASSING_ERRORS as error:
        return False, f"{type(error).__name__}: {error}"
    return False, ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _difference(path: Path, entry: "Entry") -> str | None:
    """How a file differs from the entry's size or SHA-256; None if it does not."""
    size = path.stat().st_size
    if size != entry.size_bytes:
        return f"it has {size} bytes, expected {entry.size_bytes}"
    found = files.sha256(path)
    if found != entry.sha256:
        return f"its SHA-256 is {found}, expected {entry.sha256}"
    return None
