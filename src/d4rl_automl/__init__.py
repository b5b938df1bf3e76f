"""D4RL's simulator and data, and how good a policy supervised learning and AutoML make from offline data alone.

The names below are for anyone's code; docs/use-the-simulator.md shows them at work. Each is loaded from its module when
it is first asked for. `import d4rl_automl.gym` registers Gymnasium environments.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d4rl_automl.core.errors import InputError as InputError
    from d4rl_automl.data.datasets import Dataset as Dataset
    from d4rl_automl.data.datasets import load_dataset as load_dataset
    from d4rl_automl.data.datasets import qlearning_dataset as qlearning_dataset
    from d4rl_automl.data.identification import identify_simulator as identify_simulator
    from d4rl_automl.data.returns import reward_to_go as reward_to_go
    from d4rl_automl.evaluation.rollout import rollout as rollout
    from d4rl_automl.policies.base import Policy as Policy
    from d4rl_automl.policies.loading import load_policy as load_policy
    from d4rl_automl.simulators.batch import BatchSimulator as BatchSimulator
    from d4rl_automl.simulators.models import make_model as make_model
    from d4rl_automl.tasks.scores import normalise as normalise

_MODULES = {
    "BatchSimulator": "simulators.batch",
    "Dataset": "data.datasets",
    "InputError": "core.errors",
    "Policy": "policies.base",
    "identify_simulator": "data.identification",
    "load_dataset": "data.datasets",
    "load_policy": "policies.loading",
    "make_model": "simulators.models",
    "normalise": "tasks.scores",
    "qlearning_dataset": "data.datasets",
    "reward_to_go": "data.returns",
    "rollout": "evaluation.rollout",
}
"""Where each name is."""

__all__ = list(_MODULES)

if not TYPE_CHECKING:  # Or type checkers would take any other name as well.

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
        # Before a module of ours imports it.
        importlib.import_module(f"{__name__}.core.opengl").settle()
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
