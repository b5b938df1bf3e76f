"""Intervals that say how far a result may be off, for the episodes and training seeds that were played."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_REPETITIONS = 2000
BOOTSTRAP_SEED = 0

Interval = tuple[float, float, float]
"""An estimate, and the lower and upper end of its 95 % interval."""


def mean_interval(groups: Sequence[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Mean over groups of their means, and its 95 % percentile interval: (mean, low, high).

    `groups`: the returns of each training seed's episodes. The bootstrap draws training seeds,
    and within each its episodes (Davison and Hinkley 1997, section 3.8), so that the interval
    holds both kinds of chance; with one training seed it is the ordinary bootstrap over episodes.
    """
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = generator.integers(len(groups), size=(BOOTSTRAP_REPETITIONS, len(groups)))
    means = np.empty(drawn.shape)
    for index, group in enumerate(groups):
        places = drawn == index
        picks = generator.integers(len(group), size=(int(places.sum()), len(group)))
        means[places] = group[picks].mean(axis=1)
    low, high = np.quantile(means.mean(axis=1), [0.025, 0.975])
    return float(np.mean([group.mean() for group in groups])), float(low), float(high)


def success_interval(successes: int, episodes: int) -> tuple[float, float]:
    """Wilson's 95 % interval, (low, high), of the success rate behind so many successes, by SciPy."""
    from scipy import stats  # noqa: PLC0415  It takes half a second to load, which robots do not need.

    found = stats.binomtest(successes, episodes).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def difference_interval(first: Interval, second: Interval) -> Interval:
    """The difference first - second of two independent estimates, and its 95 % interval.

    From the two intervals alone: Zou and Donner (2008), "Construction of confidence limits about effect measures: a
    general approach", which for shares is Newcombe's hybrid score interval (1998). NaN where one interval is.
    """
    (one, one_low, one_high), (other, other_low, other_high) = first, second
    difference = one - other
    below, above = np.hypot(one - one_low, other_high - other), np.hypot(one_high - one, other - other_low)
    return difference, float(difference - below), float(difference + above)
