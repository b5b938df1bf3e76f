"""What YAML files say and their reader would lose."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from d4rl_automl.core.errors import InputError
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.plan.config import Config
from d4rl_automl.plan.yaml_files import load, refuse_losses
from tests.support.configs import SHIPPED

KEYS = Config.model_fields


def refused(folder: Path, text: str, name: str = "some.yaml", keys: object = ()) -> str:
    """What is said of a file of this text; empty if nothing is."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    try:
        refuse_losses(path, keys)  # type: ignore[arg-type]
    except InputError as error:
        assert str(error).startswith(f"{path}: ")
        return str(error)
    return ""


@pytest.mark.parametrize("path", [*SHIPPED, BEHAVIOUR / "training.yaml"], ids=lambda path: path.name)
def test_the_files_that_ship_lose_nothing(path: Path) -> None:
    assert load(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("seeds: [1]\ndevice: cpu\nseeds: [2]\n", ["(top level): the key 'seeds'", "lines 1 and 3", "take one out"]),
        ('a: 1\n"a": 2\n', ["the key 'a'", "lines 1 and 2"]),
        ("methods:\n  - name: x\n    kind: mlp\n    name: y\n", ["methods[0]: the key 'name'", "lines 2 and 4"]),
        ("a: {b: {c: 1, d: 2, c: 3}}\n", ["a.b: the key 'c'", "lines 1 and 1"]),
        ("1: a\n1: b\n", ["the key '1'"]),
        ("name: 2024-10-01\n", ["name (line 1)", "2024-10-01 as a date", 'quote it: "2024-10-01"']),
        ("a:\n  - 2024-10-01 12:00:00\n", ["a[0] (line 2)", "a date"]),
        ("time_limit: 1:30\n", ["time_limit (line 1)", "1:30 as 90", "base 60"]),
        ("a: 190:20:30.15\n", ["a (line 1)", "as 685230.15", "base 60"]),
        ("seeds: [1, 010]\n", ["seeds[1] (line 1)", "010 as 8", "base 8", "write that number", 'quote it: "010"']),
    ],
)
def test_what_would_be_lost_is_told_with_key_line_and_cure(text: str, parts: list[str], tmp_path: Path) -> None:
    said = refused(tmp_path, text)
    for part in parts:
        assert part in said, said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\nA: 2\n1: a\n'1': b\n",
        'name: "2024-10-01"\ntime: "1:30"\nseed: "010"\n',
        "a: 0\nb: 0x10\nc: 1_000\nd: 0.5\ne: -0\nf: 1e-3\ng: 0b11\n",
        "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n  x: 3\n",
        "a: &a [*a]\n",
        "text: |\n  2024-10-01\n",
    ],
)
def test_what_loses_nothing_is_taken(text: str, tmp_path: Path) -> None:
    assert not refused(tmp_path, text)


def test_json_is_looked_at_too(tmp_path: Path) -> None:
    said = refused(tmp_path, '{\n\t"seeds": [1],\n\t"seeds": [2]\n}', "some.json")
    assert "the key 'seeds' stands twice, on lines 2 and 3" in said


def test_of_anothers_file_only_the_part_that_is_ours_is_looked_at(tmp_path: Path) -> None:
    """docs/use-in-your-workflow.md: the rest of the file is theirs."""
    theirs = "a: 1\na: 2\nwhen: 2024-10-01\nd4rl:\n  datasets: [x]\n  device: cpu\n"
    assert not refused(tmp_path, theirs, keys=KEYS)
    said = refused(tmp_path, theirs + "  device: cuda\n", keys=KEYS)
    assert "d4rl: the key 'device' stands twice, on lines 6 and 7" in said and "'a'" not in said


@settings(max_examples=50, deadline=None)
@given(value=st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.booleans() | st.floats(), min_size=1))
def test_whatever_is_written_by_a_yaml_writer_is_taken(
    value: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It quotes what another reader would take for something else."""
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8", newline="")
    refuse_losses(path)
