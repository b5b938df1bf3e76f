"""What is said of a fault is its cause, as far as it is known."""

import pytest

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError, MachineError, ended_process, unreadable


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            ValueError("Expecting value"),
            InputError,
            "a.json: cannot be read as JSON .*delete it and run snakemake again",
        ),
        (OSError("Corrupt snappy data"), InputError, "cannot be read .*delete it and run snakemake again"),
        (FileNotFoundError(2, "No such file"), InputError, "cannot be read .*No such file.*; run snakemake again"),
        # Nothing of these says that the file is wrong.
        (PermissionError(13, "Permission denied", "a.json"), MachineError, "a.json: Permission denied; let yourself"),
        (OSError(5, "Input/output error"), InputError, "mend what the system says.* is not known"),
        (MemoryError(), MachineError, "not enough memory"),
    ],
)
def test_a_file_that_cannot_be_read_is_called_damaged_where_it_was_read(error, kind, told):
    found = unreadable("a.json", "JSON", error)
    with pytest.raises(kind, match=told):
        raise found
    assert ("delete" in str(found)) == (getattr(error, "errno", None) is None and not isinstance(error, MemoryError))


def test_a_folder_in_a_files_place_is_not_called_damaged(tmp_path):
    with pytest.raises(InputError, match=r"Is a directory.*mend what the system says"):
        tables.read_json(tmp_path, ())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (-9, r"was killed \(SIGKILL\)"),
        (-11, "ended before its time, by SIGSEGV"),
        (3, "ended before its time, with exit code 3"),
        (None, "ended before its time;"),
    ],
)
def test_a_process_that_ended_was_killed_only_where_it_was(code, told):
    with pytest.raises(MachineError, match=f"^a process {told}"):
        raise ended_process(code)
