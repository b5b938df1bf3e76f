"""Tables of many datasets in one."""

from pathlib import Path

import pytest

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError


def files_of(folder: Path, *contents: str) -> list[Path]:
    found = [folder / f"{index}.csv" for index in range(len(contents))]
    for path, content in zip(found, contents, strict=True):
        path.write_bytes(content.encode())
    return found


def test_tables_are_put_together_line_by_line(tmp_path: Path) -> None:
    """As they were written: no number is read, and nothing is quoted anew."""
    first, second, third = "a,b\n1.50,x\n2e-7,\n", "a,b\n", 'a,b\n0.1000000000000000055,"y, z"\n'
    parts = files_of(tmp_path, first, second, third)
    tables.concatenate(parts, tmp_path / "out/all.csv")
    assert (tmp_path / "out/all.csv").read_text() == 'a,b\n1.50,x\n2e-7,\n0.1000000000000000055,"y, z"\n'
    tables.concatenate(parts[:1], tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text() == first


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,c\n1,2\n", "has the columns a,c, expected a,b"),
        ("b,a\n1,2\n", "has the columns b,a, expected a,b"),
        ("", "cannot be read as CSV"),
        ("\udcff", "cannot be read as CSV"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, content: str, told: str) -> None:
    good = files_of(tmp_path, "a,b\n1,2\n")[0]
    bad = tmp_path / "bad.csv"
    bad.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=rf"bad\.csv: {told}.*delete it and run snakemake again"):
        tables.concatenate([good, bad], tmp_path / "all.csv")
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read as CSV"):
        tables.concatenate([good, tmp_path / "gone.csv"], tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()


def test_a_table_that_was_cut_short_is_not_run_together_with_the_next(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0\.csv: cannot be read as CSV \(its last line is cut off\)"):
        tables.concatenate(files_of(tmp_path, "a,b\n1,2", "a,b\n3,4\n"), tmp_path / "all.csv")
