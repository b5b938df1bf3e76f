"""What the benchmarks share: real gaits to measure along, the floors, processes that start together, and reports.

How a figure is made. What else a machine does slows neighbouring moments alike, so a rollout
pauses every few steps, a fraction of a second, and its floors do the same steps over. What
cannot pause runs in turns with its floor, several times over: the ratio is the median of the
turns, a rate that of the fastest run. Everything also has its CPU time, which the load of the
machine changes less.

A gait is real: a network is fitted to data that the shipped behaviour policies collect, and
the floor of physics replays the very controls that this network gave in the rollout.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "benchmarks" / "performance"

# For tests.support; before installed packages, some of which bring tests of their own.
sys.path.insert(1, str(ROOT))
