"""The MuJoCo models of the robots, in several variants of the physics.

- ``d4rl`` reproduces MuJoCo 2.1.0, in which the benchmark is evaluated. MuJoCo 2.1.2 and
  later compute other inertias for capsules, and 3.5.0 and later combine contact margins by
  adding them up instead of taking the larger, so 2.1.0's inertias are written into the model
  and the margins halved (every one of these models has a single margin).
- ``gymnasium`` and ``gymnasium-v5`` have the physics of Gymnasium's v4 and v5 environments as they are.
- ``gymnasium-old-margins`` and ``gymnasium-v5-old-margins`` have half the margins: what these environments
  were on MuJoCo 2.1.2 to 3.4.

Two things that MuJoCo does for scenes of many bodies are left out for one robot on a floor, which
saves 17 to 21 % of a step's time (benchmarks/rollout.py) and changes no bit of it: looking for the
pairs of geoms that may touch (they are listed in the model), and splitting the constraints into
independent islands. Only the walls of a large maze are so many that looking is faster than going
through the list (benchmarks/maze.py).
"""

import ctypes
import functools
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from d4rl_automl import simulators
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import SIMULATORS, STEPPED_HERE, robots


@functools.cache
def prepare_mujoco() -> None:
    """Settings of the MuJoCo library itself, once per process: without timers, without a log file."""
    # The Python bindings install a timer callback that costs 10-25 % on models this small;
    # mujoco.set_mjcb_time(None) does not remove it.
    library = next(Path(mujoco.__file__).parent.glob("libmujoco.*"))
    ctypes.c_void_p.in_dll(ctypes.CDLL(str(library)), "mjcb_time").value = None
    # Otherwise a diverged simulation leaves a MUJOCO_LOG.TXT in the working directory.
    log = mujoco.MjLogConfig.get()
    log.logto_file = False
    log.set()


def make_model(task: str, variant: str = "d4rl") -> mujoco.MjModel:
    """The MuJoCo model of a task's robot, "hopper" for one, in a `variant` of the physics (`simulators.STEPPED_HERE`).

    Contacts have the parameters of the model's pairs (`pair_margin`, `pair_friction`, …), not of its geoms.

    >>> from d4rl_automl import make_model
    >>> for variant in ("d4rl", "gymnasium"):
    ...     print(make_model("hopper", variant).body_mass.round(4)[1:])
    [3.5343 3.927  2.7143 5.0894]
    [3.6652 4.0579 2.7814 5.3156]

    Raises InputError for an unknown task or variant, and for a task without simulator or without
    this variant.
    """
    if variant not in STEPPED_HERE:
        raise InputError(f"simulator {variant!r} is unknown; the simulators are {', '.join(STEPPED_HERE)}")
    robot = robots.get(task)
    simulators.check(task, variant)
    prepare_mujoco()
    specification = robot.specification(variant)
    searched = [geom.name for geom in specification.geoms if robot.is_searched(geom)]
    _list_contacts(specification, searched)
    with warnings.catch_warnings():
        # Gymnasium's cheetah uses an attribute that MuJoCo is about to drop; MuJoCo's version is pinned.
        warnings.filterwarnings("ignore", "compiler attribute 'settotalmass' is deprecated")
        model = specification.compile()
    physics = SIMULATORS[variant].physics
    if physics.old_inertias:
        for field, values in robot.old_inertias().items():
            getattr(model, field)[:] = values
        mujoco.mj_setConst(model, mujoco.MjData(model))
    if physics.old_margins:
        model.geom_margin *= 0.5
    # As MuJoCo 3.5.0 and later combine the margins of a pair that is not listed.
    model.pair_margin[:] = model.geom_margin[model.pair_geom1] + model.geom_margin[model.pair_geom2]
    if not searched:
        # Nothing is left to look for. Last, because mj_setConst derives these from the geoms anew.
        model.body_contype[:] = 0
        model.body_conaffinity[:] = 0
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    return model


def _list_contacts(specification: mujoco.MjSpec, searched: Sequence[str] = ()) -> None:
    """List every pair of geoms that may touch, but for those of a `searched` geom, by its name, with others.

    Then nothing but the latter is left to look for.
    """
    looked_for = set(searched)
    for first, second in itertools.combinations(specification.geoms, 2):
        if not _may_touch(first, second):
            continue
        if not {first.name, second.name}.isdisjoint(searched):
            looked_for |= {first.name, second.name}
            continue
        pair = specification.add_pair(
            geomname1=first.name, geomname2=second.name, condim=max(first.condim, second.condim), margin=0
        )
        # What is not a number is combined from the two geoms, as for a pair that is not listed.
        for field in ("friction", "solref", "solimp"):
            getattr(pair, field)[:] = np.nan
    if searched:
        for geom in specification.geoms:
            if geom.name not in looked_for:
                geom.contype, geom.conaffinity = 0, 0


def _may_touch(first: mujoco.MjsGeom, second: mujoco.MjsGeom) -> bool:
    """MuJoCo's own filters: the bit masks match, and the bodies are neither the same nor parent and child.

    The world is the parent of the robot's root, but its floor touches that.
    """
    one, other = first.parent, second.parent
    related = one == other or (one.parent == other and other.name != "world")
    related |= other.parent == one and one.name != "world"
    matching = first.contype & second.conaffinity or second.contype & first.conaffinity
    return bool(matching) and not related
