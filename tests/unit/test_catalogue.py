import json
import re
import subprocess
import sys

import pytest
from pydantic import ValidationError

from d4rl_automl import tasks
from d4rl_automl.core import environments
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue, recipes

EMBEDDED = {
    "name": "hopper-medium-embedded-5k",
    "provider": "embedded",
    "task": "hopper",
    "recipe": "medium",
    "transitions": 5000,
    "seed": 3,
}
FILE = {"name": "mine", "provider": "file", "task": "walker2d", "path": "data/mine.hdf5"}


D4RL = [
    *(
        f"{task}-{kind}-v2"
        for task in ("halfcheetah", "hopper", "walker2d")
        for kind in ("random", "medium", "medium-replay", "medium-expert")
    ),
    *(
        f"antmaze-{maze}-v2"
        for maze in ("umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse")
    ),
]


def test_d4rls_eighteen_datasets():
    assert [name for name in catalogue.names() if catalogue.entry(name).provider == "d4rl"] == D4RL


@pytest.mark.parametrize("name", catalogue.names())
def test_catalogue_entries(name):
    entry = catalogue.entry(name)
    assert entry.name == name
    assert entry.task in tasks.TASKS
    assert name.startswith(f"{entry.task}-")
    assert type(entry).model_validate(json.loads(entry.model_dump_json())) == entry
    if entry.provider == "d4rl":
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert 50_000_000 < entry.size_bytes < 600_000_000


def test_checksums_differ():
    entries = [catalogue.entry(name) for name in catalogue.names()]
    assert len({entry.sha256 for entry in entries if entry.provider == "d4rl"}) == 18


ORIGINAL = """
import json, sys, gym, d4rl.gym_mujoco, d4rl.locomotion
from d4rl.infos import DATASET_URLS, REF_MAX_SCORE, REF_MIN_SCORE

def about(name):
    spec = gym.spec(name)
    return DATASET_URLS[name], REF_MIN_SCORE[name], REF_MAX_SCORE[name], spec.max_episode_steps

print("FOUND", json.dumps([about(name) for name in sys.argv[1:]]))
"""


def test_urls_scores_and_time_limits_are_d4rls_own():
    try:
        python = environments.find_python("mujoco-py")
    except InputError as error:
        pytest.skip(str(error))
    command = [python, "-I", "-W", "ignore", "-c", ORIGINAL, *D4RL]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, found in zip(D4RL, json.loads(said.split("FOUND", 1)[1]), strict=True):
        entry = catalogue.entry(name)
        task = tasks.get(entry.task)
        assert found == [entry.url, task.reference_min, task.reference_max, task.episode_steps], name


EMBEDDED_SIZES = {
    f"{task}-{recipe}-embedded-v1": rows
    for task, replay in (("halfcheetah", 202_000), ("hopper", 402_000), ("walker2d", 302_000))
    for recipe, rows in (
        ("random", 1_000_000),
        ("medium", 1_000_000),
        ("medium-replay", replay),
        ("medium-expert", 2_000_000),
    )
}


def test_the_twelve_embedded_datasets_have_d4rls_sizes():
    found = [catalogue.entry(name) for name in catalogue.names()]
    robots = [entry for entry in found if entry.provider == "embedded" and tasks.get(entry.task).maze is None]
    sizes = {entry.name: entry.transitions for entry in robots}
    assert sizes == {**EMBEDDED_SIZES, "hopper-medium-expert-embedded-100k-v1": 100_000}


@pytest.mark.parametrize("name", EMBEDDED_SIZES)
def test_every_embedded_dataset_has_its_policies(name):
    entry = catalogue.entry(name)
    assert name == f"{entry.task}-{entry.recipe}-embedded-v1"
    sources = recipes.sources(entry.task, entry.recipe)
    expected = {"random": 1, "medium": 1, "medium-expert": 2}.get(entry.recipe)
    assert len(sources) == expected if expected else len(sources) > 2
    # Equal shares, each with room for an episode of full length.
    assert {source["share"] for source in sources} == {sources[0]["share"]}
    assert entry.transitions / len(sources) >= 1000


def test_the_embedded_entry():
    assert catalogue.entry("hopper-medium-expert-embedded-100k-v1").model_dump() == {
        "name": "hopper-medium-expert-embedded-100k-v1",
        "provider": "embedded",
        "task": "hopper",
        "recipe": "medium-expert",
        "transitions": 100_000,
        "seed": 0,
    }


def test_an_entry_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        catalogue.entry("hopper-medium-v2").task = "walker2d"
    assert catalogue.entry("hopper-medium-v2").task == "hopper"


def test_mappings(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert catalogue.entry(EMBEDDED).model_dump() == EMBEDDED
    assert catalogue.entry({key: EMBEDDED[key] for key in EMBEDDED if key != "seed"}).seed == 0
    assert catalogue.entry(FILE).model_dump(exclude_none=True) == FILE
    assert catalogue.entry({**FILE, "path": "~/mine.hdf5"}).path == "/home/somebody/mine.hdf5"


BAD = {
    "unknown name": (
        "hopper-expert-v9",
        "found 'hopper-expert-v9', which is none of the catalogue's halfcheetah-random-v2",
    ),
    "not a dataset": (7, "found 7, expected a name"),
    "no name": ({"provider": "file"}, "name: found null"),
    "capitals": ({**FILE, "name": "Mine"}, 'name: found "Mine"; allowed: small letters'),
    "a path": ({**FILE, "name": "../mine"}, "small letters"),
    "leading dot": ({**FILE, "name": ".mine"}, "small letters"),
    "line end": ({**FILE, "name": "mine\n"}, "small letters"),
    "reserved": ({**FILE, "name": "figures"}, "is taken"),
    "reserved for training": ({**FILE, "name": "behaviour"}, "is taken"),
    "the catalogue's": ({**FILE, "name": "hopper-medium-v2"}, "catalogue's own"),
    "no provider": ({"name": "mine"}, "provider: found null; allowed: one of embedded, file"),
    "provider d4rl": ({"name": "mine", "provider": "d4rl"}, 'provider: found "d4rl"; allowed: one of embedded, file'),
    "missing path": ({key: FILE[key] for key in FILE if key != "path"}, "the key 'path' is missing"),
    "unknown field": ({**FILE, "url": "x"}, "found the key 'url'; allowed are name, provider, task, path"),
    "path of another type": ({**FILE, "path": 3}, "path: found 3; allowed: string"),
    "braces in the path": ({**FILE, "path": "{dataset}.hdf5"}, "takes braces for wildcards"),
    "unknown task": (
        {**FILE, "task": "ant"},
        'task: found "ant"; allowed: one of halfcheetah, hopper, walker2d, antmaze-umaze',
    ),
    "embedded ant": ({**EMBEDDED, "task": "ant"}, "task: found .*; allowed: one of .*antmaze-umaze.*, walker2d$"),
    "a recipe of robots in a maze": ({**EMBEDDED, "task": "antmaze-umaze"}, "antmaze-umaze has fixed, play, diverse"),
    "unmarked embedded": ({**EMBEDDED, "name": "hopper-medium-5k"}, "contains -embedded"),
    "unknown recipe": ({**EMBEDDED, "recipe": "expert"}, "hopper has random, medium"),
    "text for a number": (
        {**EMBEDDED, "transitions": "5 thousand"},
        'transitions: found "5 thousand"; allowed: integer',
    ),
    "bool for a number": ({**EMBEDDED, "seed": True}, "seed: found true; allowed: integer"),
    "negative seed": ({**EMBEDDED, "seed": -1}, "seed: found -1; allowed: at least 0"),
    "too few": ({**EMBEDDED, "transitions": 999}, "at least 1000"),
    "too few for two sources": ({**EMBEDDED, "recipe": "medium-expert", "transitions": 1999}, "at least 2000"),
}


@pytest.mark.parametrize("dataset, message", BAD.values(), ids=BAD.keys())
def test_bad_datasets_are_refused(dataset, message):
    with pytest.raises(InputError, match=message):
        catalogue.entry(dataset)


def test_import_is_light():
    """Snakemake imports it each time it reads the workflow."""
    heavy = ("numpy", "pandas", "h5py", "torch")
    code = f"import sys, d4rl_automl.data.catalogue; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
