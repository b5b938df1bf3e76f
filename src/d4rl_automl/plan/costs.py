"""What work costs: seconds, memory and disk, by measured tables, and by what the jobs of this machine took.

The tables ship: resources/job_costs.csv, the parts of `plan.work` on one core; network_costs.csv, fits of networks by
their size and device; gpu_cards.csv, data sheets, by which a card that was not measured is compared with one that was.
"""

import csv
import functools
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from d4rl_automl.core.files import RESOURCES
from d4rl_automl.plan.work import Work, floating_point_operations
from d4rl_automl.settings.kinds import NetworkFit

MEASURED, LIMIT, SHEET, UNKNOWN = "measured", "time limit", "data sheets", "not measured"
"""Where seconds are from: a measurement; the time limit that ends a fit; a measurement on another card, scaled by data
sheets; none of these."""

DOWNLOAD = 10e6
"""Bytes a second that arrive: a guess, and nothing of a core."""

SHORT = Work((("start", 1),))
"""The work of a job whose rule nobody measured: that it starts."""


@dataclass(frozen=True)
class Cost:
    """What a job costs."""

    core: float
    """Seconds of processor time."""
    gpu: float
    """Seconds of a GPU."""
    wall: float
    """Seconds from its start to its end."""
    memory: float
    """Bytes at most."""
    disk: float
    """Bytes that are left."""
    basis: tuple[tuple[str, float], ...]
    """Seconds of processor and GPU by where they are from."""

    def times(self, core: float, gpu: float) -> "Cost":
        """The same on a machine that takes so many times as long."""
        waiting = self.wall - self.gpu
        slower = Cost(self.core * core, self.gpu * gpu, waiting * core + self.gpu * gpu, self.memory, self.disk, ())
        factor = (slower.core + slower.gpu) / max(self.core + self.gpu, 1e-9)
        return Cost(
            slower.core,
            slower.gpu,
            slower.wall,
            self.memory,
            self.disk,
            tuple((name, seconds * factor) for name, seconds in self.basis),
        )


class _Part(NamedTuple):
    """A row of job_costs.csv."""

    per: float
    seconds: float
    memory: float
    disk: float
    basis: str


def cost(work: Work | None, threads: int, card: str | None) -> Cost:
    """What a job with so many threads costs; `card`: the GPU that its training runs on, by its name in gpu_cards.csv.

    Where nobody measured all of it, or its rule (None for `work`), it is that of the rest, and said to be unknown.
    """
    basis: dict[str, float] = defaultdict(float)
    memory = disk = core = gpu = 0.0
    parts = [(_parts().get(name), amount) for name, amount in (work or SHORT).parts]
    is_known = work is not None and all(part for part, _ in parts)
    for part, amount in parts:
        if part:
            core += part.seconds * amount / part.per
            memory += part.memory * amount / part.per
            disk += part.disk * amount / part.per
            basis[part.basis if is_known else UNKNOWN] += part.seconds * amount / part.per
    if work is None:
        return Cost(core, 0.0, core, memory, disk, tuple(basis.items()))
    if work.budget is not None:
        rounds = sum(_parts()[name].seconds * amount / _parts()[name].per for name, amount in work.fit)
        is_limited = not work.fit or rounds >= work.budget
        fit = work.budget if is_limited else rounds
        basis[LIMIT if is_limited else MEASURED] += fit
        core += fit
        gpu = fit / threads if card else 0.0
    wall = core / threads
    if work.network is not None:
        seconds, found = _of_network(work.network, work.inputs, work.outputs, card)
        basis[found] += seconds
        core += seconds
        gpu = seconds if card else 0.0
        wall += seconds if card else seconds / threads
    wall += work.download / DOWNLOAD
    return Cost(core, gpu, wall, memory, disk + work.disk, tuple(basis.items()))


def cards() -> list[str]:
    """The cards of which a data sheet is known."""
    return list(_sheets())


def known_card(name: str) -> str | None:
    """The card of the table that a name means, such as "a5500"; None where there is none."""
    wanted = name.lower().removeprefix("nvidia ")
    return next((card for card in _sheets() if wanted in card.lower() or card.lower() in name.lower()), None)


def is_measured(card: str) -> bool:
    """Whether networks were fitted on this card, so that no data sheet is needed."""
    return any(row.device == card for row in _networks())


# Networks -------------------------------------------------------------------------------------


class _Network(NamedTuple):
    """A row of network_costs.csv."""

    device: str
    precision: str
    operations: float
    seconds: float
    """Of an update."""
    products: float | None
    """The share of its time that matrix products alone take, where that was measured."""


def _of_network(fit: NetworkFit, inputs: int, outputs: int, card: str | None) -> tuple[float, str]:
    """Seconds of a fit, on one thread where there is no card, and where they are from.

    On another card than the one measured, products take as many times as long as its peak is lower, and all else as
    its memory is slower.
    """
    operations = floating_point_operations(fit, inputs, outputs)
    if card is None:
        return fit.updates * _update(operations, "cpu", "float32")[0], MEASURED
    if is_measured(card):
        return fit.updates * _update(operations, card, fit.precision)[0], MEASURED
    reference = next(row.device for row in _networks() if row.device != "cpu")
    seconds, products = _update(operations, reference, fit.precision)
    theirs, ours = _sheets()[reference], _sheets()[card]
    factor = products * theirs[fit.precision] / ours[fit.precision] + (1 - products) * theirs["memory"] / ours["memory"]
    return fit.updates * seconds * factor, SHEET


def _update(operations: float, device: str, precision: str) -> tuple[float, float]:
    """Seconds of an update, between those of the next smaller and larger one measured, and the share of its products.

    Logarithms are interpolated. Beyond the largest it takes as many times as long as it is larger, and so below the
    smallest on a processor; on a card, which waits for its kernels to start, as long as the smallest.
    """
    rows = [row for row in _networks() if row.device == device]
    own = [row for row in rows if row.precision == precision]
    # A small update waits for its kernels, whatever their precision.
    least = min(row.operations for row in own)
    rows = sorted([*own, *(row for row in rows if row.operations < least)], key=lambda row: row.operations)
    first, last = rows[0], rows[-1]
    if operations >= last.operations:
        return last.seconds * operations / last.operations, last.products or 0.0
    if operations <= first.operations:
        return first.seconds * (operations / first.operations if device == "cpu" else 1.0), first.products or 0.0
    upper = next(row for row in rows if row.operations > operations)
    lower = rows[rows.index(upper) - 1]
    share = math.log(operations / lower.operations) / math.log(upper.operations / lower.operations)
    seconds = math.exp((1 - share) * math.log(lower.seconds) + share * math.log(upper.seconds))
    return seconds, share * (upper.products or 0.0) + (1 - share) * (lower.products or 0.0)


# Tables ---------------------------------------------------------------------------------------


def _read(name: str) -> list[dict[str, str]]:
    with (RESOURCES / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@functools.cache
def _parts() -> dict[str, _Part]:
    return {
        row["work"]: _Part(
            float(row["per"]), float(row["seconds"]), float(row["megabytes"]) * 1e6, float(row["bytes"]), row["basis"]
        )
        for row in _read("job_costs.csv")
    }


@functools.cache
def _networks() -> tuple[_Network, ...]:
    found = []
    for row in _read("network_costs.csv"):
        size = NetworkFit(int(row["width"]), int(row["layers"]), int(row["batch_size"]), 1, row["precision"])
        operations = floating_point_operations(size, int(row["inputs"]), int(row["outputs"]))
        products = float(row["of_products"]) if row["of_products"] else None
        found.append(_Network(row["device"], row["precision"], operations, float(row["seconds"]) / 1000, products))
    return tuple(found)


@functools.cache
def _sheets() -> dict[str, dict[str, Any]]:
    """TFLOP/s by precision, and GB/s of memory, by card."""
    return {
        row["card"]: {name: float(row[name]) for name in ("float32", "tf32", "bfloat16", "memory")}
        for row in _read("gpu_cards.csv")
    }


def works() -> Iterable[str]:
    """The names of the parts that have a cost."""
    return _parts()
