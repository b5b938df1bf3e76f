"""What pydantic finds wrong, told in sentences: where, what was found, what is allowed."""

import datetime
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

_KINDS = {
    "int": "integer",
    "float": "number",
    "finite_number": "number",
    "bool": "boolean",
    "string": "string",
    "tuple": "array",
    "list": "array",
    "dict": "object",
    "model": "object",
    "model_attributes": "object",
    "mapping": "object",
}
"""JSON's names of what pydantic's errors of type speak of."""

_TEXTS = ("string", "text", "small letters", "one of")
"""How it begins what is allowed where that is a text."""

_LIMITS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda limit: f"more than {limit['gt']}",
    "greater_than_equal": lambda limit: f"at least {limit['ge']}",
    "less_than": lambda limit: f"less than {limit['lt']}",
    "less_than_equal": lambda limit: f"at most {limit['le']}",
    "too_short": lambda limit: f"at least {limit['min_length']} entry",
    "string_too_short": lambda limit: "text that is not empty",
    "string_pattern_mismatch": lambda limit: f"text like {limit['pattern']}",
}


def sentences(error: ValidationError, tagged: Collection[str] = ()) -> list[tuple[str, str]]:
    """Every fault: its path (such as rollout.fractions[1], empty at the top), and the sentence after it.

    `tagged`: keys of lists whose entries pydantic tells apart by their kind, which it then puts into the path.
    """
    found: dict[tuple[str, str], None] = {}
    for fault in error.errors():
        if fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]:
            # Pydantic counts the right entries alone; the wrong ones are told each by itself.
            continue
        steps = list(fault["loc"])
        if len(steps) > 2 and str(steps[0]) in tagged:
            del steps[2]
        path, sentence = _told(fault, steps)
        found[path, sentence] = None
    return list(found)


def _told(fault: Any, steps: list[int | str]) -> tuple[str, str]:
    kind, found, context = fault["type"], fault["input"], fault.get("ctx", {})
    match kind:
        case "missing":
            told = _path(steps[:-1]), f"the key {steps[-1]!r} is missing"
        case "union_tag_not_found":
            told = _path(steps), f"the key {context['discriminator']} is missing"
        case "union_tag_invalid":
            key = context["discriminator"].strip("'")
            told = _path([*steps, key]), compared(context["tag"], f"one of {_plain(context['expected_tags'])}")
        case "literal_error" | "enum":
            # A key that is not one of those allowed is told of its mapping.
            where = steps[:-2] if steps and steps[-1] == "[key]" else steps
            told = _path(where), compared(found, f"one of {_plain(context['expected'])}")
        case "unknown_key":
            told = _path(steps), fault["msg"]
        case "value_error":
            told = _path(steps), str(context["error"])
        case _ if kind in _LIMITS:
            told = _path(steps), compared(found, _LIMITS[kind](context))
        case _:
            told = _path(steps), compared(found, _KINDS.get(kind.removesuffix("_type"), fault["msg"]))
    return told


def compared(found: Any, allowed: str) -> str:
    """What was found, what is allowed, and the cure where YAML made something else of a text without quotes."""
    told = f"found {json.dumps(found, default=str)}; allowed: {allowed}"
    if isinstance(found, datetime.date):
        told += "; without quotes YAML takes it for a date: quote it"
    elif allowed.startswith(_TEXTS) and isinstance(found, bool):
        told += "; without quotes YAML takes yes, no, on and off for true and false: quote it"
    elif allowed.startswith(_TEXTS) and isinstance(found, int | float):
        told += "; quote it, or YAML takes it for a number"
    elif allowed.startswith(_TEXTS) and found is None:
        told += "; YAML takes ~, null and what is left empty for nothing: quote it"
    return told


def _plain(expected: str) -> str:
    """Pydantic's list of choices without its quotes: 'a', 'b' or 'c'."""
    return expected.replace("' or '", "', '").replace("'", "")


def _path(steps: Iterable[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
