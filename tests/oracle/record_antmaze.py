"""Record what D4RL's own AntMaze does, for our simulator to be held against.

Runs in the environment that envs/mujoco-py/install.sh makes, and imports nothing of d4rl_automl:

    .venv-mujoco-py/bin/python tests/oracle/record_antmaze.py --output tests/oracle/antmaze210.npz

The file holds, per maze:

- `{maze}/model/`: fields of MuJoCo 2.1.0's model, by their names in it;
- `{maze}/steps/`: single steps, each from a state that is set as D4RL's own reset sets one (everything else cleared,
  the solver's warm start included, and the quaternion normalised by mujoco-py): kind (an index into the metadata's
  kinds), qpos, qvel, action and goal, all float32 and of few digits, to compress; single, whether the action was given
  as float32, or as float64; next_qpos, next_qvel, reward, terminated; depth, the deepest contact of a limb with a wall
  in any of the step's five steps of the physics, over the limb's radius (0 without one); upright, the cosine of the
  torso's tilt; and twin_error, see record.py;
- `{maze}/resets/`: quantiles, at the metadata's levels, of what D4RL's `reset` returned, states (levels, 29), and drew,
  goals (levels, 2).

`metadata` is JSON: versions, kinds, levels, resets, the seed, and the SHA-256 of this script.
"""

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import os
import warnings
from pathlib import Path

import gym
import numpy as np

warnings.simplefilter("ignore")  # gym's own, on every import and every environment made
import d4rl.locomotion  # noqa: E402, F401  registers the environments

MAZES = {"umaze": "antmaze-umaze-v2", "medium": "antmaze-medium-diverse-v2", "large": "antmaze-large-play-v2"}
KINDS = ("free", "walls", "goals", "fallen", "resets", "deep")
"""Exclusive. resets: the first step after a reset. Of the others, told by what happens from the state stepped from to
the one stepped to, deep: a wall touched so deep that a limb's axis is within it, or nearly; fallen: on its side or
back; goals: upright, the goal reached; walls: upright, a wall touched; free: upright, none touched."""
FEW = {"deep": 0.25}
"""Of the rows, where it takes a throw against a wall to get any."""
MODEL = (
    *("body_parentid", "body_mass", "body_inertia", "body_pos", "body_quat", "body_ipos", "body_iquat"),
    *("geom_type", "geom_bodyid", "geom_pos", "geom_quat", "geom_size", "geom_contype", "geom_conaffinity"),
    *("geom_condim", "geom_friction", "geom_margin", "geom_solref", "geom_solimp"),
    *("jnt_type", "jnt_axis", "jnt_range", "jnt_margin", "jnt_solref", "jnt_solimp", "dof_armature", "dof_damping"),
    *("actuator_gear", "actuator_ctrlrange", "actuator_trnid", "qpos0"),
)
LIMIT = 50
"""Steps from one start."""
UPRIGHT = 0.5
"""Below this cosine, tilted by more than 60 degrees, an ant is on its side or back."""
TWINS = 8
BOX = 6
LEVELS = np.linspace(0, 1, 201)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="npz file")
    parser.add_argument("--rows", type=int, default=170, help="steps of each kind in each maze")
    parser.add_argument("--resets", type=int, default=100_000, help="in each maze")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arrays = {}
    for number, (maze, name) in enumerate(MAZES.items()):
        generator = np.random.default_rng([arguments.seed, number])
        with silent():
            environment = gym.make(name).unwrapped  # D4RL's environment in D4RL's action wrapper
        environment.seed(arguments.seed)
        parts = {
            "model": {field: np.array(getattr(environment.model, field)) for field in MODEL},
            "steps": record_steps(environment, arguments.rows, generator),
            "resets": record_resets(environment, arguments.resets, arguments.seed),
        }
        arrays |= {f"{maze}/{part}/{field}": values for part, found in parts.items() for field, values in found.items()}
    metadata = {
        "kinds": KINDS,
        "levels": LEVELS.tolist(),
        "resets": arguments.resets,
        "seed": arguments.seed,
        "script_sha256": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "mujoco": "2.1.0",
        **{name: importlib.metadata.version(name) for name in ("d4rl", "gym", "mujoco-py", "numpy")},
    }
    part = Path(arguments.output).with_suffix(".part.npz")
    np.savez_compressed(part, metadata=json.dumps(metadata), **arrays)
    part.replace(arguments.output)


def record_resets(environment, count, seed):
    """Quantiles of the states and goals of D4RL's own resets; goals come from NumPy's global generator."""
    np.random.seed(seed)  # noqa: NPY002  It is D4RL's.
    states, goals = [], []
    with silent():
        for _ in range(count):
            states.append(environment.reset())
            goals.append(environment.target_goal)
    return {
        "states": np.quantile(states, LEVELS, axis=0).astype(np.float32),
        "goals": np.quantile(goals, LEVELS, axis=0).astype(np.float32),
    }


def record_steps(environment, count, generator):
    """So many single steps of each kind, along episodes with actions that do not depend on the state."""
    rows, wanted = [], {kind: int(FEW.get(kind, 1) * count) for kind in KINDS}
    starts = dict.fromkeys(KINDS, standing) | {"walls": beside_a_wall, "fallen": lying, "deep": thrown}
    while any(wanted.values()):
        kind = generator.choice([kind for kind, number in wanted.items() if number])
        qpos, qvel = starts[kind](environment, generator)
        act = make_actor(generator)
        for time in range({"resets": 1, "deep": 6}.get(kind, LIMIT)):
            row = record_step(environment, qpos, qvel, act(time), kind == "goals", generator)
            qpos, qvel = row["next_qpos"], row["next_qvel"]
            # A state that was set by hand is no state of play, but for a reset's.
            found = "resets" if kind == "resets" else kind_of(row)
            found = "" if time == 0 and kind not in {"resets", "deep"} else found
            if wanted.get(found):
                wanted[found] -= 1
                row["kind"] = np.int8(KINDS.index(found))
                row["twin_error"] = twin_error(environment, row, generator)
                rows.append(row)
            if not wanted[kind]:
                break
    rows.sort(key=lambda row: row["kind"])
    return {name: stored(name, np.array([row[name] for row in rows])) for name in rows[0]}


def stored(name, values):
    """Actions as float32, which they are representable in."""
    return values.astype(np.float32) if name == "action" else values


def record_step(environment, qpos, qvel, action, near, generator):  # noqa: PLR0917
    """One step from a state, to a goal that is near enough to be reached, about half of the time, or is not."""
    data = environment.sim.data
    qpos, qvel = short(qpos), short(qvel)
    angle, distance = generator.uniform(0, 2 * np.pi), generator.uniform(0.1 if near else 0.6, 0.9)
    goal = short(qpos[:2] + distance * np.array([np.cos(angle), np.sin(angle)]))
    environment.wrapped_env.target_goal = goal.astype(np.float64)
    set_state(environment, qpos, qvel)
    tilt = cosine(data.qpos)
    _, reward, terminated, _ = environment.step(action)
    next_qpos, next_qvel, ctrl = data.qpos.copy(), data.qvel.copy(), data.ctrl.copy()
    # The same again, looked at more closely.
    set_state(environment, qpos, qvel)
    depth = deepest(environment)
    data.ctrl[:] = ctrl
    for _ in range(environment.frame_skip):
        environment.sim.step()
        depth = max(depth, deepest(environment))
    np.testing.assert_array_equal(data.qpos, next_qpos)
    return {
        "qpos": qpos,
        "qvel": qvel,
        "action": action,
        "single": action.dtype == np.float32,
        "goal": goal,
        "next_qpos": next_qpos,
        "next_qvel": next_qvel,
        "reward": np.int8(reward),
        "terminated": bool(terminated),
        "depth": np.float32(depth),
        "upright": np.float32(min(tilt, cosine(next_qpos))),
    }


def kind_of(row):
    """The kind of a step, other than the first after a reset."""
    # Of the four moments that a step of the physics looks at, only the last one's contacts are left to be seen.
    if row["depth"] > 0.9:
        return "deep"
    if row["upright"] < UPRIGHT:
        return "fallen"
    if row["terminated"]:
        return "goals"
    return "walls" if row["depth"] > 0 else "free"


def twin_error(environment, row, generator):
    """The largest difference between the next states of a step and of its twins, moved by about 1e-15."""
    noise = 1e-15 * generator.standard_normal((TWINS, *row["qpos"].shape))
    return max(difference(environment, row, row["qpos"] + twin) for twin in noise)


def difference(environment, row, qpos):
    """The largest difference between the next state of a step, from these positions now, and that of the row."""
    data = environment.sim.data
    set_state(environment, qpos, row["qvel"])
    environment.step(row["action"])
    return np.float32(max(abs(data.qpos - row["next_qpos"]).max(), abs(data.qvel - row["next_qvel"]).max()))


def make_actor(generator):
    """A function time step -> action (8,), of few digits: white, smooth, or from end to end."""
    sort, dtype = generator.choice(("white", "smooth", "ends")), generator.choice((np.float32, np.float64))
    amplitude, phase = generator.uniform(0.2, 1.2, 8), generator.uniform(0, 2 * np.pi, 8)
    frequency, hold = generator.uniform(0, 0.8, 8), int(generator.integers(1, 6))
    held = {}

    def act(time):
        if sort == "white":
            found = generator.uniform(-1.2, 1.2, 8)
        elif sort == "smooth":
            found = amplitude * np.sin(frequency * time + phase)
        else:
            found = held.setdefault(time // hold, generator.choice((-1.0, 1.0), 8))
        return short(found, 128).astype(dtype)

    return act


def standing(environment, generator):
    """As D4RL's reset, in the middle of any free cell."""
    qpos, qvel = drawn(environment, generator)
    qpos[:2] += middle(environment, generator)
    return qpos, qvel


def beside_a_wall(environment, generator, slowest=0.0, fastest=3.0):
    """Turned in any way, near a wall and on the way to it, so fast in m/s, but where nothing is touched yet."""
    maze = environment.wrapped_env
    sides = np.array([(0, 1), (0, -1), (1, 0), (-1, 0)])
    while True:
        qpos, qvel = drawn(environment, generator)
        row, column = maze._xy_to_rowcol(middle(environment, generator))
        along_row, along_column = sides[generator.integers(4)]
        if maze._maze_map[row + along_row][column + along_column] != 1:
            continue
        towards = np.array([along_column, along_row])
        across = generator.uniform(-1.5, 1.5) * towards[::-1]
        qpos[:2] += np.array(maze._rowcol_to_xy((row, column))) + (2 - generator.uniform(0.3, 1.2)) * towards + across
        qpos[2] = generator.uniform(0.4, 0.9)
        angle = generator.uniform(0, np.pi)
        qpos[3:7] = np.cos(angle), 0, 0, np.sin(angle)
        qvel[:2] += generator.uniform(slowest, fastest) * towards
        set_state(environment, qpos, qvel)
        if deepest(environment) == 0:
            return qpos, qvel


def thrown(environment, generator):
    """The same, as fast as no ant walks."""
    return beside_a_wall(environment, generator, 4, 10)


def lying(environment, generator):
    """Turned in any way, in the air."""
    while True:
        qpos, qvel = standing(environment, generator)
        qpos[2] = generator.uniform(0.6, 1.0)
        qpos[3:7] = generator.standard_normal(4)
        set_state(environment, qpos, qvel)
        if cosine(environment.sim.data.qpos) < UPRIGHT and deepest(environment) == 0:
            return qpos, qvel


def drawn(environment, generator):
    """As D4RL's `reset_model` draws it, from a generator of our own."""
    model = environment.model
    qpos = environment.init_qpos + generator.uniform(-0.1, 0.1, model.nq)
    return qpos, environment.init_qvel + 0.1 * generator.standard_normal(model.nv)


def middle(environment, generator):
    """x and y of the middle of a free cell."""
    maze = environment.wrapped_env
    cells = [(i, j) for i, row in enumerate(maze._maze_map) for j, cell in enumerate(row) if cell != 1]
    return np.array(maze._rowcol_to_xy(cells[generator.integers(len(cells))]))


def set_state(environment, qpos, qvel):
    """What reset does, with a state of ours."""
    environment.sim.reset()
    environment.set_state(qpos.astype(np.float64), qvel.astype(np.float64))


def short(values, parts=2**14):
    """In whole parts of one, which float32 holds exactly."""
    return (np.rint(parts * values) / parts).astype(np.float32)


def cosine(qpos):
    """Of the angle between the torso's axis and the vertical."""
    _, x, y, _ = qpos[3:7] / np.linalg.norm(qpos[3:7])
    return 1 - 2 * (x * x + y * y)


def deepest(environment):
    """The deepest contact of a limb with a wall, over the limb's radius; 0 without one."""
    data, model = environment.sim.data, environment.model
    found = 0.0
    for contact in (data.contact[i] for i in range(data.ncon)):
        types = model.geom_type[contact.geom1], model.geom_type[contact.geom2]
        if BOX in types and contact.dist < 0:
            limb = contact.geom1 if types[1] == BOX else contact.geom2
            found = max(found, -contact.dist / model.geom_size[limb][0])
    return found


@contextlib.contextmanager
def silent():
    """Without what D4RL prints of every goal."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


if __name__ == "__main__":
    main()
