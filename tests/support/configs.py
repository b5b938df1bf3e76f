"""Configurations: those that ship, and one that is valid, for changes that make it invalid."""

from typing import Any

from tests.support.project import ROOT

SHIPPED = sorted((ROOT / "config").glob("*.yaml"))
VALID: dict[str, Any] = {
    "datasets": ["hopper-medium-v2"],
    "teachers": [{"name": "t", "preset": "medium"}],
    "methods": [{"name": "s", "kind": "student", "teacher": "t"}],
}
