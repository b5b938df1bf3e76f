"""Every kind of provider. Apart from the package, so that a job loads the module of its own kind and no other."""

import importlib

from d4rl_automl.settings.kinds import Provider

_MODULES = ("d4rl", "embedded", "file")

PROVIDERS: dict[str, Provider] = {name: importlib.import_module(f"{__package__}.{name}").PROVIDER for name in _MODULES}
"""Every provider, by the name of its module."""
