"""AutoGluon's own students as a policy: the teacher's kind of handle, pointing at the distilled directories."""

from d4rl_automl.methods.teacher import fit

__all__ = ["fit"]
