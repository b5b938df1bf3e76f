"""AutoGluon's own students as a policy: as the teacher is, but from the distilled directories."""

from d4rl_automl.methods.teacher import fit

__all__ = ["fit"]
