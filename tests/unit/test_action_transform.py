import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from d4rl_automl.policies import action_transform

shapes = npst.array_shapes(min_dims=1, max_dims=2, max_side=20)


@given(npst.arrays(np.float32, shapes, elements=st.floats(-1, 1, width=32)))
def test_backward_undoes_forward(actions):
    targets = action_transform.forward(actions)
    assert targets.shape == actions.shape
    assert np.isfinite(targets).all()
    np.testing.assert_allclose(action_transform.backward(targets), actions, rtol=0, atol=1e-12)


@given(npst.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False)))
def test_backward_stays_within_the_action_bounds(targets):
    actions = action_transform.backward(targets)
    assert actions.dtype == targets.dtype
    assert (np.abs(actions) <= 1).all()


def test_forward_is_the_formula():
    # Values of the standard library's atanh.
    actions = [-1.0, -0.3, 0.0, 0.7, 1.0]
    np.testing.assert_allclose(action_transform.forward(actions), [math.atanh(0.995 * a) for a in actions], rtol=1e-14)


@pytest.mark.parametrize("wrong", [1.0001, -1.0001, np.nan, np.inf])
def test_forward_refuses_actions_outside_the_bounds(wrong):
    with pytest.raises(ValueError, match="1 actions lie outside"):
        action_transform.forward([[0.5, wrong]])
