"""What the consumer of the public API (consumer.py) wants to find, and must have found."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.forests import write_forest
from tests.support.policies import metadata_of, weights_of, write_graph, write_policy
from tests.support.project import ROOT

CONSUMER = ROOT / "tests/support/consumer.py"


def prepare(folder: Path) -> None:
    """What the consumer wants to find."""
    for name in ("none", "constant", "forest"):
        (folder / name).mkdir()
    write_policy(folder / "none", "hopper", "none")
    write_policy(folder / "constant")
    told = metadata_of()
    properties = {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
    write_graph(folder / "constant/self-described.onnx", told, weights_of(told), properties)
    write_forest(folder / "forest", "xgboost")


def check(found: dict[str, Any], folder: Path) -> None:
    """What it must have found, without the packages of the workflow."""
    for task, (size, error) in {"halfcheetah": (17, 0.1), "hopper": (11, 0.2), "walker2d": (17, 0.2)}.items():
        result = found["steps"][task]
        assert (result["observed"], result["scores"], result["fallen"]) == (size, 100, 0)
        assert result["mass_error"] > error
    assert found["environments"] == {"same": [True, True, True], "score": [1.0]}
    data = found["data"]
    assert (data["task"], data["made_in"]) == ("hopper", "not known")
    # The last row and the one timeout before it have no next observation.
    assert set(data["rows"].values()) == {38} and len(data["rows"]) == 5
    assert data["reward_to_go"] == [10, 9, 8]
    assert data["average"] == pytest.approx([1.0, 1.0, 1.0])
    rollouts = found["rollouts"]
    assert rollouts == {
        "actions": [7, 3],
        "own": 3,
        "unconditional": [None, None],
        "same": True,
        "fractions": [0.5] * 4 + [1.0] * 4,
    }
    assert [text.removeprefix(f"{folder}/") for text in found["refused"]] == [
        "forest/tiny-s3.json: policies of format xgboost need what the extra `workflow` brings, and catboost is not "
        'installed; pip install "d4rl-automl[workflow]"',
        "hopper_medium-v2.hdf5: not D4RL's file of hopper-medium-v2: it has 12 bytes, expected 152756557; move it away "
        "and run this again, or load it by its path",
        "task 'antmaze-umaze' is not played in the simulator 'gymnasium' (Gymnasium has no such environment, and "
        "gymnasium-robotics' AntMaze is another one: other motors, another time step and another goal); its simulators "
        "are d4rl, mujoco-py",
    ]
