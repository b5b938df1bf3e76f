"""The config's JSON schema and its reference page, made from the models: `make schema` writes both."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from d4rl_automl import simulators
from d4rl_automl.data.catalogue import OWN_PROVIDERS
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.config import Config
from d4rl_automl.settings.kinds import Method
from d4rl_automl.simulators import SIMULATORS
from d4rl_automl.tasks import TASKS

_NAMES = {
    r"d4rl_automl__methods__(\w+?)__Settings": r"\1_method",
    r"d4rl_automl__data__providers__(\w+?)__Entry": r"\1_dataset",
    r"TeacherSettings": "teacher",
    r"NetworkSize": "network",
}
"""What pydantic calls the models, and what the schema calls them."""

_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""Bounds that pydantic leaves under its own names, where a validator of ours stands before them."""


def schema() -> dict[str, Any]:
    """The JSON schema of the configuration (draft 2020-12), every key with its description and default."""
    models: list[type[BaseModel]] = [Config, *(PROVIDERS[name].entry for name in OWN_PROVIDERS)]
    refs, made = models_json_schema([(model, "validation") for model in models], by_alias=False)
    made = _plain(made)
    top = made["$defs"].pop(refs[Config, "validation"]["$ref"].rpartition("/")[2])
    del made["$defs"]["DatasetEntry"]
    own = [refs[PROVIDERS[name].entry, "validation"] for name in OWN_PROVIDERS]
    top["properties"]["datasets"]["items"] = {"oneOf": [{"type": "string"}, *own]}
    text = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": made["$defs"]})
    for found, name in _NAMES.items():
        text = re.sub(rf"(?<=[\"/]){found}(?=\")", name, text)
    return json.loads(text)


def reference() -> str:
    """The reference page of the configuration, in Markdown: every key, its default and its meaning."""
    whole = schema()
    lines = [
        "# Every key of the configuration",
        "",
        "Made from the models by `make schema`; [configuration.md](configuration.md) says how they are used. A key",
        "without default must be given.",
        "",
        *_table(whole, whole),
    ]
    named = {"split": "split", "labels": "labels", "rollout": "rollout"}
    for key, title in named.items():
        lines += [f"## {title}", "", *_section(whole, whole["properties"][key])]
    lines += ["## A teacher", "", *_section(whole, {"$ref": "#/$defs/teacher"})]
    lines += ["## Datasets", "", "| provider | what it provides |", "|---|---|"]
    lines += [*(f"| `{name}` | {provider.about} |" for name, provider in PROVIDERS.items()), ""]
    for name in OWN_PROVIDERS:
        lines += [f"### `provider: {name}`", "", *_section(whole, {"$ref": f"#/$defs/{name}_dataset"})]
    lines += ["## Methods", "", *kinds()]
    for name in METHODS:
        lines += [f"### `kind: {name}`", "", *_section(whole, {"$ref": f"#/$defs/{name}_method"})]
    lines += ["## Tasks", "", *_tasks(), "## Simulators", "", *_simulators(), "## Figures", "", *_figures()]
    return "\n".join(lines).rstrip() + "\n"


def kinds() -> list[str]:
    """The table of the kinds of methods, in Markdown: what is played, fitted to, conditioned on, and as which file."""
    lines = ["| kind | what is played | fitted to | conditioned on | file |", "|---|---|---|---|---|"]
    for name, method in METHODS.items():
        formats = " or ".join(making.format for making in method.makings)
        outcome = _conditioned(method)
        lines.append(f"| `{name}` | {method.about} | {method.needs.value} | {outcome} | {formats} |")
    return [*lines, ""]


def _tasks() -> list[str]:
    lines = ["| task | observations | actions | steps at most | played in |", "|---|---|---|---|---|"]
    for name, task in TASKS.items():
        names = ", ".join(f"`{simulator}`" for simulator in simulators.of(name)) if task.simulators else "all"
        lines.append(f"| `{name}` | {task.observation_size} | {task.action_size} | {task.episode_steps:,} | {names} |")
    return [*lines, ""]


def _simulators() -> list[str]:
    rows = (f"| `{name}` | {variant.description} |" for name, variant in SIMULATORS.items())
    return ["| simulator | what it is |", "|---|---|", *rows, ""]


def _figures() -> list[str]:
    rows = (f"| `{figure.name}` | {figure.title} | `results/{figure.job}` |" for figure in FIGURES.values())
    return ["| figure | what it shows | files, as .png, .svg and .csv |", "|---|---|---|", *rows, ""]


def _conditioned(method: Method) -> str:
    """On what, in tasks without a goal and, where that differs, in those with one."""
    without = "not defined" if method.outcome is None else ", ".join(method.outcome.columns) or "nothing"
    goal = method.goal_outcome
    return without if goal is None else f"{without}; with a goal {', '.join(goal.columns)}"


def _section(whole: dict[str, Any], node: dict[str, Any]) -> list[str]:
    found = _resolved(whole, node)
    return [found.get("description", ""), "", *_table(whole, found)]


def _table(whole: dict[str, Any], node: dict[str, Any]) -> list[str]:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, child in _leaves(whole, node):
        default = f"`{json.dumps(child['default'])}`" if "default" in child else ""
        # Pydantic leaves out a key's sentence where its model has the same.
        meaning = {**_resolved(whole, child), **child}.get("description", "")
        lines.append(f"| `{key}` | {default} | {meaning} |")
    return [*lines, ""]


def _leaves(whole: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys of an object; of the small objects below a method (its network), theirs."""
    for key, child in node["properties"].items():
        target = _resolved(whole, child)
        if "properties" in target and node is not whole:
            yield from _leaves(whole, target, f"{path}{key}.")
        else:
            yield path + key, child


def _resolved(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return whole["$defs"][name] if name else node


def _plain(node: Any) -> Any:
    """In JSON Schema's words, without pydantic's titles, which are the names once more; descriptions on one line."""
    if isinstance(node, dict):
        plain = {
            _BOUNDS.get(key, key) if isinstance(value, int | float) else key: _plain(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
        if isinstance(plain.get("description"), str):
            plain["description"] = " ".join(plain["description"].split())
        return plain
    return [_plain(item) for item in node] if isinstance(node, list) else node


def write(root: Path) -> None:
    """Write the schema and the reference page below the root of a checkout."""
    text = f"# Made from the models (src/d4rl_automl/plan/config.py) by `make schema`.\n{_yaml(schema())}"
    (root / "workflow/schemas/config.schema.yaml").write_text(text, encoding="utf-8")
    (root / "docs/config-reference.md").write_text(reference(), encoding="utf-8")


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=118, allow_unicode=True)


if __name__ == "__main__":
    write(Path(__file__).parents[3])
