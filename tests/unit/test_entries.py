"""What a job reads of the run's config."""

import json
from pathlib import Path

import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.config import validated
from d4rl_automl.settings import entries
from d4rl_automl.teachers.settings import TeacherSettings

GIVEN = {
    "datasets": ["hopper-medium-v2", {"name": "mine", "provider": "file", "task": "hopper", "path": "x.hdf5"}],
    "teachers": [{"name": "t", "preset": "good", "hyperparameters": {"XGB": {}, "GBM": [{"a": 1}, {"b": 2}]}}],
    "methods": [
        {"name": "s", "kind": "student", "teacher": "t", "network": {"width": 7}, "learning_rate": 1},
        {"name": "b", "kind": "bc", "best": 0.25},
    ],
}


def test_entries_come_back_as_they_were_validated(tmp_path: Path) -> None:
    """Through the file that the workflow writes: numbers as written, hyperparameters in their order."""
    config = validated(GIVEN)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.model_dump(mode="json")))
    read = entries.read(path)
    for dataset in config.datasets:
        found = entries.entry(read, "datasets", dataset.name)
        assert PROVIDERS[dataset.provider].entry.model_validate(found) == dataset
    teacher = TeacherSettings.model_validate(entries.entry(read, "teachers", "t"))
    assert teacher == config.teacher("t")
    assert list(teacher.hyperparameters or {}) == ["XGB", "GBM"]
    assert [json.dumps(teacher.shaping()), json.dumps(read["teachers"][0]["time_limit"])] == [
        json.dumps(config.teacher("t").shaping()),
        "600",
    ]
    for method in config.methods:
        again = METHODS[method.kind].settings.model_validate(entries.entry(read, "methods", method.name))
        assert again == method
        assert json.dumps(again.shaping()) == json.dumps(method.shaping())
    assert (read["d4rl_dir"], read["mirrors"]) == (config.d4rl_dir, list(config.mirrors))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    config = {"methods": [{"name": "s"}]}
    for key, name in (("methods", "t"), ("teachers", "s")):
        with pytest.raises(InputError, match=rf"config: {key}: there is no '{name}'; run this with the config that"):
            entries.entry(config, key, name)
    with pytest.raises(InputError, match=r"gone\.json: cannot be read as the config of a run .*run snakemake again"):
        entries.read(tmp_path / "gone.json")
    bad = tmp_path / "bad.json"
    for content, told in (("{", "cannot be read"), ("[]", "expected a JSON object, found list"), ("\xff", "cannot")):
        bad.write_text(content, encoding="latin-1")
        with pytest.raises(InputError, match=rf"bad\.json: {told}.*delete it and run snakemake again"):
            entries.read(bad)
