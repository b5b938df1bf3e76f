"""Things on a line that are not to overlap."""

from collections.abc import Sequence


def apart(places: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """`places` in their order, each moved as little as possible so that it is a gap beyond the one before.

    `gaps` has one entry fewer than `places`. The sum of the squared moves is the least there is: pooled adjacent
    violators (Ayer et al. 1955) of the places less the gaps before them.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[list[float]] = []
    for place, offset in zip(places, offsets[: len(places)], strict=True):
        pools.append([place - offset])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    levels = [_mean(pool) for pool in pools for _ in pool]
    return [level + offset for level, offset in zip(levels, offsets, strict=False)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
