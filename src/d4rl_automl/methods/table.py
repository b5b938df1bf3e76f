"""Every kind of method. Apart from the package, so that a job loads the module of its own kind and no other."""

import importlib

from d4rl_automl.settings.kinds import Method

_MODULES = (
    "teacher",
    "autogluon_student",
    "student",
    "catboost_student",
    "mlp",
    "rvs_r",
    "rvs_g",
    "rvs",
    "bc",
    "rcdtp",
    "rwdtp",
)

METHODS: dict[str, Method] = {name: importlib.import_module(f"{__package__}.{name}").METHOD for name in _MODULES}
"""Every kind of method, by the name of its module."""
