"""The formats of policies: one line each, and the module it names. Importable with the standard library alone."""

from collections.abc import Mapping
from dataclasses import dataclass

_FILE = {"file": str, "sha256": str}
_DIRECTORIES = {"directories": list, "directory_sha256": list, "chain": bool}


@dataclass(frozen=True)
class Format:
    """How policies are kept, and what plays them."""

    name: str
    """As a handle has it."""
    ending: str
    """Of the file beside the handle; empty where the handle points at directories."""
    keys: Mapping[str, type]
    """What a handle of this format has besides what all have, and its JSON type in Python."""
    loader: str
    """module:Class, a subclass of `policies.base.Policy` that is constructed as `policies.loading.Loader`.

    Imported only when such a policy is loaded, because what it needs takes seconds to import.
    """

    @property
    def module(self) -> str:
        """The module of the loader."""
        return self.loader.partition(":")[0]


FORMATS = {
    known.name: known
    for known in (
        Format("onnx", ".onnx", _FILE, "d4rl_automl.policies.onnx:OnnxPolicy"),
        Format("xgboost", ".ubj", _FILE, "d4rl_automl.policies.forest:XGBoostPolicy"),
        Format("catboost", ".cbm", _FILE, "d4rl_automl.policies.forest:CatBoostPolicy"),
        Format("autogluon", "", _DIRECTORIES, "d4rl_automl.policies.autogluon:AutoGluonPolicy"),
    )
}
"""By name."""
