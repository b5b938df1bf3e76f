"""Trackers: a run's curves, tables and figures in TensorBoard or Weights & Biases, where the config asks for one.

A tracker is a module of this package with a class `Run`. It is loaded by its name, in the jobs that follow a fit and in
the one that tracks the results, so that neither its code nor its package makes anything stale, or is needed without it.
"""

VARIABLE = "D4RL_AUTOML_TRACKER"
"""By this variable the workflow tells its jobs the tracker, if there is one: a param would make them stale."""
