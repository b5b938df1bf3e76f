"""Record what D4RL's own environments do, for our simulator to be held against.

Runs in the environment that envs/mujoco-py/install.sh makes, and imports nothing of d4rl_automl:

    .venv-mujoco-py/bin/python tests/oracle/record.py --output tests/oracle/mujoco210.npz

The file holds, per robot, single steps and whole episodes, all float64:

- steps: each from a state that is set as D4RL's own reset sets one (everything else cleared,
  the solver's warm start included), `{robot}/steps/`: kind (an index into the metadata's
  kinds), qpos, qvel, action, next_qpos, next_qvel, reward, terminated; the contacts in the
  state stepped from, floor_contacts and self_contacts; and twin_error, see below;
- episodes: played through by D4RL's environment with the recorded actions, open loop,
  `{robot}/episodes/`: qpos, qvel (the initial state), actions and rewards (E, 1000, …), zero
  after the end, length, terminated; twin_returns and twin_lengths (E, 8).

A twin is the same again with every position moved a little, and says how much of the answer is
chance. twin_error is the largest difference between the next states of a step and of its eight
twins, moved by about 1e-15, the rounding of the state itself: where it is large, no simulator
can be asked for the answer. Episodes have twins moved by about 1e-8, the tolerance at which
MuJoCo's solver stops: two that stop differently may differ by so much in a step.

`metadata` is JSON: versions, kinds, the seed, and the SHA-256 of this script.
"""

import argparse
import hashlib
import importlib.metadata
import json
import warnings
from pathlib import Path

import gym
import numpy as np

warnings.simplefilter("ignore")  # gym's own, on every import and every environment made
import d4rl.gym_mujoco  # noqa: E402, F401  registers the environments

ROOT = Path(__file__).parents[2]
KINDS = ("random", "smooth", "policy", "beyond", "float32", "scattered", "folded")
"""How the actions, or (the last two) the states, were drawn; see `record_steps`."""
STEPS = {"halfcheetah": 220, "hopper": 260, "walker2d": 220}
"""Single steps of each kind."""
FOLDED = 1500
TWINS = 8
POLICIES = {"halfcheetah": ["halfcheetah-medium"], "hopper": ["hopper-expert"], "walker2d": ["walker2d-expert"]}
HEIGHTS = {"halfcheetah": (-0.7, 1.8), "hopper": (0, 2.5), "walker2d": (0, 2.5)}
"""Range of the position `rootz` in scattered states, in m; the cheetah's counts from where it stands."""
LIMIT = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="npz file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arrays = {}
    for number, robot in enumerate(STEPS):
        generator = np.random.default_rng([arguments.seed, number])
        environment = gym.make(f"{robot}-medium-v2").unwrapped  # D4RL's environment in D4RL's action wrapper
        for name, values in record_steps(environment, robot, generator).items():
            arrays[f"{robot}/steps/{name}"] = values
        for name, values in record_episodes(environment, robot, generator).items():
            arrays[f"{robot}/episodes/{name}"] = values
    metadata = {
        "kinds": KINDS,
        "seed": arguments.seed,
        "script_sha256": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "mujoco": "2.1.0",
        **{name: importlib.metadata.version(name) for name in ("d4rl", "gym", "mujoco-py", "numpy")},
    }
    part = Path(arguments.output).with_suffix(".part.npz")
    np.savez_compressed(part, metadata=json.dumps(metadata), **arrays)
    part.replace(arguments.output)


def record_steps(environment, robot, generator):
    """Single steps of every kind that the robot has.

    random, smooth, policy, beyond, float32: from state to state along episodes with uniform
    actions, sinusoids, a trained policy's mean actions, uniform actions up to 3 times the bound,
    and uniform actions up to 1.2 times the bound that are float32, as a network's are.
    scattered: from states drawn over all joint angles, on, in and above the floor.
    folded: such states of the hopper in which it touches itself (no other robot can).
    """
    rows = []
    for kind in KINDS[:5]:
        wanted = len(rows) + STEPS[robot]
        while len(rows) < wanted:
            act = make_actor(kind, robot, environment, generator)
            set_state(environment, *initial_state(environment, robot, generator))
            for time in range(min(LIMIT, wanted - len(rows))):
                action = act(time, environment._get_obs())
                rows.append(record_step(environment, kind, action, generator))
                if rows[-1]["terminated"]:
                    break
                set_state(environment, rows[-1]["next_qpos"], rows[-1]["next_qvel"])
    wanted = {"scattered": STEPS[robot], "folded": FOLDED if robot == "hopper" else 0}
    while any(wanted.values()):
        qpos, qvel = scattered_state(environment, robot, generator)
        set_state(environment, qpos, qvel)
        kind = "folded" if count_contacts(environment)[1] else "scattered"
        if wanted[kind]:
            wanted[kind] -= 1
            action = generator.uniform(-1, 1, environment.action_space.shape)
            rows.append(record_step(environment, kind, action, generator))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def record_step(environment, kind, action, generator):
    """One step from the state that the environment is in."""
    data = environment.sim.data
    qpos, qvel = data.qpos.copy(), data.qvel.copy()
    floor, own = count_contacts(environment)
    _, reward, terminated, _ = environment.step(action)
    next_qpos, next_qvel = data.qpos.copy(), data.qvel.copy()
    twin_error = 0.0
    for _ in range(TWINS):
        set_state(environment, qpos + 1e-15 * generator.standard_normal(qpos.shape), qvel)
        environment.step(action)
        twin_error = max(twin_error, abs(data.qpos - next_qpos).max(), abs(data.qvel - next_qvel).max())
    return {
        "kind": np.int8(KINDS.index(kind)),
        "qpos": qpos,
        "qvel": qvel,
        "action": action,
        "next_qpos": next_qpos,
        "next_qvel": next_qvel,
        "reward": np.float64(reward),
        "terminated": bool(terminated),
        "floor_contacts": np.int8(floor),
        "self_contacts": np.int8(own),
        "twin_error": np.float64(twin_error),
    }


def record_episodes(environment, robot, generator):
    """Whole episodes, played by the environment itself with actions that do not depend on what it does.

    Per robot: two with uniform actions, four with sinusoids, two that repeat what a trained
    policy did. Actions are multiples of 1/256, to compress.
    """
    episodes = []
    for kind in ("random",) * 2 + ("smooth",) * 4 + ("policy",) * 2:
        qpos, qvel = initial_state(environment, robot, generator)
        act = quantised(make_actor(kind, robot, environment, generator))
        actions, rewards, terminated = play(environment, qpos, qvel, act)
        length, actions, rewards = len(rewards), fill(actions), fill(rewards)
        twins = qpos + 1e-8 * generator.standard_normal((TWINS, *qpos.shape))
        twin_rewards = [play(environment, twin, qvel, replay(actions))[1] for twin in twins]
        episodes.append(
            {
                "kind": np.int8(KINDS.index(kind)),
                "qpos": qpos,
                "qvel": qvel,
                "actions": actions,
                "rewards": rewards,
                "length": np.int64(length),
                "terminated": terminated,
                "twin_returns": np.array([np.sum(values) for values in twin_rewards]),
                "twin_lengths": np.array([len(values) for values in twin_rewards]),
            }
        )
    return {name: np.array([episode[name] for episode in episodes]) for name in episodes[0]}


def play(environment, qpos, qvel, act):
    """One episode: its actions (n, a), its rewards (n,), and whether it ended by a fall."""
    set_state(environment, qpos, qvel)
    actions, rewards, terminated = [], [], False
    while not terminated and len(rewards) < LIMIT:
        actions.append(act(len(rewards), environment._get_obs()))
        _, reward, terminated, _ = environment.step(actions[-1])
        rewards.append(reward)
    return np.array(actions), np.array(rewards), bool(terminated)


def quantised(act):
    return lambda time, observation: np.rint(256 * np.clip(act(time, observation), -1, 1)) / 256


def replay(actions):
    return lambda time, observation: actions[time]


def fill(values):
    """Zeros after the end."""
    return np.concatenate([values, np.zeros((LIMIT - len(values), *values.shape[1:]))])


def make_actor(kind, robot, environment, generator):
    """A function (time step, observation) -> action (a,), one for each episode."""
    size = environment.action_space.shape
    if kind == "random":
        return lambda time, observation: generator.uniform(-1, 1, size)
    if kind == "beyond":
        return lambda time, observation: generator.uniform(-3, 3, size)
    if kind == "float32":
        return lambda time, observation: generator.uniform(-1.2, 1.2, size).astype(np.float32)
    if kind == "smooth":
        amplitude, phase = generator.uniform(0, 1, size), generator.uniform(0, 2 * np.pi, size)
        frequency = generator.uniform(0, 0.5, size)
        return lambda time, observation: amplitude * np.sin(frequency * time + phase)
    name = generator.choice(POLICIES[robot])
    with np.load(ROOT / "src" / "d4rl_automl" / "resources" / "behaviour" / f"{name}.npz") as weights:
        return make_policy(dict(weights))


def make_policy(weights):
    """The mean action of a behaviour policy: two hidden layers and a tanh."""
    activation = {"tanh": np.tanh, "relu": lambda values: np.maximum(values, 0)}[str(weights["activation"])]

    def act(time, observation):
        hidden = activation(observation @ weights["w0"] + weights["b0"])
        hidden = activation(hidden @ weights["w1"] + weights["b1"])
        return np.tanh(hidden @ weights["w_mu"] + weights["b_mu"])

    return act


def initial_state(environment, robot, generator):
    """As D4RL's reset draws it, from a generator of our own."""
    nq, nv = environment.model.nq, environment.model.nv
    if robot == "halfcheetah":
        noise = generator.uniform(-0.1, 0.1, nq), 0.1 * generator.standard_normal(nv)
    else:
        noise = generator.uniform(-0.005, 0.005, nq), generator.uniform(-0.005, 0.005, nv)
    return environment.init_qpos + noise[0], environment.init_qvel + noise[1]


def scattered_state(environment, robot, generator):
    """Any joint angle in its range or a little beyond, any orientation, any height; slow, walking, wild."""
    model = environment.model
    low, high = model.jnt_range[3:].T
    bottom, top = HEIGHTS[robot]
    qpos = generator.uniform((-1, bottom, -np.pi, *(low - 0.1)), (1, top, np.pi, *(high + 0.1)))
    return qpos, generator.choice((0.1, 1.0, 5.0)) * generator.standard_normal(model.nv)


def set_state(environment, qpos, qvel):
    """What reset does, with a state of ours."""
    environment.sim.reset()
    environment.set_state(qpos, qvel)


def count_contacts(environment):
    """Contacts with the floor, and of the robot with itself."""
    data, model = environment.sim.data, environment.model
    bodies = [
        sorted((model.geom_bodyid[contact.geom1], model.geom_bodyid[contact.geom2]))
        for contact in (data.contact[i] for i in range(data.ncon))
    ]
    floor = sum(first == 0 for first, _ in bodies)
    return floor, len(bodies) - floor


if __name__ == "__main__":
    main()
