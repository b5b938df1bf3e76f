"""Forests as policies: they act as their libraries do, whatever the batch, and nothing else is loaded."""

import catboost
import numpy as np
import pytest
import xgboost

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.policies.handle import write_handle
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.tasks import outcomes
from tests.support.forests import ENDINGS, write_forest
from tests.support.policies import metadata_of


@pytest.mark.parametrize("outcome_rule", outcomes.RULES)
@pytest.mark.parametrize("library", ENDINGS)
def test_acts_as_the_library_does_whatever_the_batch(tmp_path, library, outcome_rule):
    handle, model = write_forest(tmp_path, library, outcome_rule)
    policy = load_policy(handle, threads=2)
    generator = np.random.default_rng(1)
    observations = generator.normal(0, 2, (130, 11))
    width = outcomes.get(outcome_rule).width
    outcome = generator.normal(0, 2, (130, width)) if width else None
    rows = (observations if outcome is None else np.hstack([observations, outcome])).astype(np.float32)
    expected = model.predict(xgboost.DMatrix(rows) if library == "xgboost" else catboost.Pool(rows))
    assert 0.05 < (np.abs(expected) > 1).mean() < 0.95
    actions = policy.act(observations, outcome)
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions, expected.clip(-1, 1), atol=1e-6)
    for size in (1, 7, 64):
        parts = [
            policy.act(observations[start : start + size], None if outcome is None else outcome[start : start + size])
            for start in range(0, 130, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), actions)


@pytest.mark.parametrize("library", ENDINGS)
def test_what_is_not_the_forest_of_the_handle_is_refused(tmp_path, library):
    handle, _ = write_forest(tmp_path, library)
    file = tmp_path / f"tiny-s3{ENDINGS[library]}"
    content = file.read_bytes()
    file.write_bytes(content + b"0")
    with pytest.raises(InputError, match="its SHA-256 is"):
        load_policy(handle)
    file.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_policy(handle)

    metadata = metadata_of() | {"format": library, "file": file.name}
    file.write_bytes(b"no forest at all")
    write_handle(handle, metadata | {"sha256": sha256(file)})
    with pytest.raises(InputError, match=r"not a model that .* can load"):
        load_policy(handle)
    for wrong, message in (({"inputs": 11}, "has 11 inputs, its metadata tell 12"), ({"outputs": 2}, "action dim")):
        write_forest(tmp_path, library, **wrong)
        with pytest.raises(InputError, match=message):
            load_policy(handle)
