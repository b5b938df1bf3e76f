"""Seeds of episodes, derived so that no two uses of the simulator share an initial state by accident."""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError

PURPOSES = ("collection", "selection", "report", "checkpoints")


def episode_seeds(seed: int, dataset: str, purpose: str, count: int, first: int = 0) -> NDArray[np.int64]:
    """Reset seeds (count,) int64 in [0, 2^62) of `count` episodes of one purpose, from number `first` on.

    Each is a SHA-256 of (seed, dataset, purpose, index). `purpose` is "collection" (of embedded
    data), "selection" (of the commanded target), "report" or "checkpoints" (of points of a fit); no seed of one occurs
    in another, so that a target is never reported on the episodes it was chosen on. Method, training seed
    and target do not enter: all of them start from the same initial states (common random
    numbers), which makes their differences sharper.

    Raises InputError for an unknown purpose.
    """
    if purpose not in PURPOSES:
        raise InputError(f"purpose {purpose!r} is unknown; the purposes are {', '.join(PURPOSES)}")
    digests = (
        hashlib.sha256(json.dumps([seed, dataset, purpose, index]).encode()).digest()
        for index in range(first, first + count)
    )
    return np.array([int.from_bytes(digest[:8]) >> 2 for digest in digests], np.int64)
