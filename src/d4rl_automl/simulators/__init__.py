"""The physics that policies are played in."""

SIMULATORS = ("d4rl", "gymnasium", "mujoco-py")
