import numpy as np
import pytest

from tests.support.recorded import RECORDING


@pytest.fixture(scope="session")
def recording() -> dict[str, np.ndarray]:
    """Of D4RL's own environments, for `recorded.part`; not to be changed."""
    with np.load(RECORDING, allow_pickle=False) as arrays:
        return dict(arrays)
