"""The configuration: validated against its JSON schema, defaults filled in, names resolved."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "config.schema.yaml"


def _is_integer(checker: jsonschema.TypeChecker, value: Any) -> bool:
    """JSON Schema takes 1.0 for an integer, but it would become part of paths."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: jsonschema.TypeChecker, value: Any) -> bool:
    """YAML has NaN and infinity, JSON has not."""
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine(
        "number", _is_number
    ),
)


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text())


def validated(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of `config` with defaults filled in and `datasets` as full entries, however it was written.

    The keys of a mapping come in one order. Teachers and methods are kept from the datasets whose
    task has no simulator.

    Raises InputError naming the path of the wrong key, what was found and what is allowed:
    for a wrong key, type or value; a name used twice; an unknown dataset; a method whose
    teacher does not exist; a method that is called RvS-R and is not; a teacher or method for a
    dataset whose task has no simulator.
    """
    config = json.loads(json.dumps(config))
    _fill(config, schema())
    errors = sorted(_Validator(schema()).iter_errors(config), key=lambda e: list(map(str, e.path)))
    if errors:
        raise InputError("config: " + "; ".join(dict.fromkeys(map(_told, errors))))
    entries = []
    for index, dataset in enumerate(config["datasets"]):
        try:
            entries.append(catalogue.entry(dataset))
        except InputError as error:
            raise InputError(f"config: datasets[{index}]: {error}") from None
    config["datasets"] = entries
    for key in ("datasets", "teachers", "methods"):
        _refuse_twice(key, [entry["name"] for entry in config[key]])
    _refuse_unknown(config)
    _refuse_misnamed(config)
    _name_reference(config)
    _keep_to_simulated(config)
    return _ordered(config)


def selected(entries: Iterable[dict[str, Any]], dataset: str) -> list[dict[str, Any]]:
    """The teachers or methods that are made for `dataset`."""
    return [entry for entry in entries if dataset in entry.get("datasets", [dataset])]


def methods_for(config: dict[str, Any], dataset: str) -> list[dict[str, Any]]:
    """The methods of a validated `config` that are made for `dataset`, as their teacher must be too."""
    teachers = {teacher["name"] for teacher in selected(config["teachers"], dataset)}
    return [m for m in selected(config["methods"], dataset) if m.get("teacher") is None or m["teacher"] in teachers]


def _ordered(value: Any) -> Any:
    """`value` with sorted keys. Hyperparameters stay: AutoGluon fits models of equal priority in their order."""
    if isinstance(value, dict):
        return {key: value[key] if key == "hyperparameters" else _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _refuse_twice(key: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"config: {key}: the name {twice[0]!r} is used {Counter(names)[twice[0]]} times; choose another"
        )


def _refuse_misnamed(config: dict[str, Any]) -> None:
    """Tables call a method by its name, and RvS-R is one of certain settings: nothing else may go by that name."""
    for index, entry in enumerate(config["methods"]):
        if entry["kind"] != "rvs_r" and re.match(r"rvs[-_]?r(?![a-z0-9])", entry["name"]):
            raise InputError(
                f"config: methods[{index}].name: found {entry['name']!r}, but its kind is {entry['kind']}; "
                "only a method of kind rvs_r, which has the published settings, may be called so; choose another name"
            )


def _refuse_unknown(config: dict[str, Any]) -> None:
    datasets = [entry["name"] for entry in config["datasets"]]
    # A teacher of config.yaml may be restricted to datasets that an overlay left out.
    known = {*datasets, *catalogue.names()}
    teachers = [entry["name"] for entry in config["teachers"]]
    for key in ("teachers", "methods"):
        for index, entry in enumerate(config[key]):
            unknown = [name for name in entry.get("datasets", []) if name not in known]
            if unknown:
                where = f"config: {key}[{index}].datasets"
                allowed = f"datasets of this config ({', '.join(datasets)}) or of the catalogue"
                raise InputError(f"{where}: found {unknown[0]!r}; allowed: {allowed}")
            teacher = entry.get("teacher")
            if teacher is not None and teacher not in teachers:
                allowed = ", ".join(teachers) or "none is defined"
                raise InputError(
                    f"config: {key}[{index}].teacher: found {teacher!r}; teachers of this config: {allowed}"
                )


def _name_reference(config: dict[str, Any]) -> None:
    """See that the reference is a method; where none is named, it is the first mlp, or the first method."""
    names = [method["name"] for method in config["methods"]]
    if config.get("reference") is None:
        config["reference"] = next(
            (m["name"] for m in config["methods"] if m["kind"] == "mlp"), next(iter(names), None)
        )
    elif config["reference"] not in names:
        allowed = ", ".join(names) or "none is defined"
        raise InputError(f"config: reference: found {config['reference']!r}; methods of this config: {allowed}")


def _keep_to_simulated(config: dict[str, Any]) -> None:
    """Restrict teachers and methods to the datasets whose policies can be played, and see that each has one."""
    played = [entry["name"] for entry in config["datasets"] if entry["task"] in tasks.SIMULATED]
    data_only = {entry["name"]: entry["task"] for entry in config["datasets"] if entry["name"] not in played}
    for key in ("teachers", "methods"):
        for index, entry in enumerate(config[key]):
            for name in entry.get("datasets", []):
                if name in data_only:
                    raise InputError(
                        f"config: {key}[{index}].datasets: found {name!r}, but {data_only[name]} has no simulator yet: "
                        "of this dataset there are the data (`snakemake transitions`), no teachers and no policies; "
                        "take it from this list"
                    )
            if data_only and entry.get("teacher") is None:
                entry.setdefault("datasets", played)
    for dataset in played:
        if not methods_for(config, dataset):
            raise InputError(f"config: datasets: {dataset!r} has no method: every one is restricted to other datasets")


def _fill(value: Any, node: Any) -> None:
    """Fill in the defaults of every object below `value` that `node` describes."""
    for part in _parts(value, node):
        for key, child in part.get("properties", {}).items():
            if not isinstance(child, dict):
                continue
            if isinstance(value, dict):
                default = child.get("default", _resolved(child).get("default"))
                if default is not None:
                    value.setdefault(key, json.loads(json.dumps(default)))
                if key in value:
                    _fill(value[key], child)
        if isinstance(value, list) and isinstance(part.get("items"), dict):
            for item in value:
                _fill(item, part["items"])


def _parts(value: Any, node: Any) -> Iterator[dict[str, Any]]:
    """`node` itself and the branches of it that apply to `value`."""
    node = _resolved(node)
    yield node
    for branch in node.get("allOf", []):
        if "if" in branch and _matches(value, branch["if"]):
            yield from _parts(value, branch["then"])
    for branch in node.get("oneOf", []):
        if isinstance(value, dict) and _matches(value, {"properties": {"provider": _provider(branch)}}):
            yield from _parts(value, branch)


def _provider(branch: dict[str, Any]) -> dict[str, Any]:
    return _resolved(branch).get("properties", {}).get("provider", {})


def _matches(value: Any, node: dict[str, Any]) -> bool:
    return _Validator(node).is_valid(value)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return schema()["$defs"][name] if name else node


def _told(error: jsonschema.ValidationError) -> str:
    """One schema error in a sentence: path, found, allowed."""
    if error.context and isinstance(error.instance, dict):
        return _told(_nearest(error))
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    found: Any = error.instance
    allowed: Any = error.validator_value
    described: Any = error.schema
    where = path or "(top level)"
    if error.validator == "additionalProperties":
        wrong = next(key for key in found if key not in described["properties"])
        return f"{where}: found the key {wrong!r}; allowed are {', '.join(described['properties'])}"
    if error.validator == "required":
        return f"{where}: the key {next(key for key in allowed if key not in found)!r} is missing"
    told = {
        "enum": lambda: "one of " + ", ".join(map(str, allowed)),
        "type": lambda: " or ".join(allowed) if isinstance(allowed, list) else str(allowed),
        "pattern": lambda: f"text like {allowed}",
        "minimum": lambda: f"at least {allowed}",
        "exclusiveMinimum": lambda: f"more than {allowed}",
        "exclusiveMaximum": lambda: f"less than {allowed}",
        "minItems": lambda: f"at least {allowed} entry",
        "uniqueItems": lambda: "entries that differ",
        "oneOf": lambda: "a name from the catalogue or a mapping with a provider",
    }.get(str(error.validator), lambda: error.message)()
    return f"{where}: found {json.dumps(found)}; allowed: {told}"


def _nearest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of a dataset mapping's failed alternatives, the one of the provider that it names."""
    dataset: Any = error.instance
    branches: Any = error.validator_value
    for index, branch in enumerate(branches):
        if _provider(branch).get("const") == dataset.get("provider"):
            return next(e for e in error.context or [] if e.schema_path[0] == index)
    known = [const for branch in branches if (const := _provider(branch).get("const"))]
    return jsonschema.ValidationError(
        "",
        validator="enum",
        validator_value=known,
        instance=dataset.get("provider"),
        path=[*error.absolute_path, "provider"],
    )
