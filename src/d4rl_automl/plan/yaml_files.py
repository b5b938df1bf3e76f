"""What a YAML file says and its reader would lose: a key given twice, a number or a text that becomes another.

Snakemake reads configs before this workflow does, by YAML 1.1: of a key that stands twice it keeps the last, 010 is 8,
1:30 is 90, and 2024-10-01 a date. So the files are looked at once more.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from d4rl_automl.core.errors import InputError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_KINDS = {f"tag:yaml.org,2002:{name}": name for name in ("int", "float", "timestamp")}


def load(path: str | Path) -> Any:
    """A YAML file's value. Raises InputError as `refuse_losses` does."""
    refuse_losses(path)
    with Path(path).open(encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def refuse_losses(path: str | Path, keys: Collection[str] = ()) -> None:
    """Look at a YAML (or JSON) file for what its reader would lose.

    With `keys` only at the mappings that have no other keys, and one of these at least with a list: the part of a file
    that is this workflow's config.

    Raises InputError that names file, key and lines: for a key that stands twice in a mapping, and for text without
    quotes that YAML reads as another number, or as a date.
    """
    # JSON may be indented by tabs, which are no spaces to YAML; within its texts there is none.
    text = Path(path).read_text(encoding="utf-8-sig")
    root = yaml.compose(text.replace("\t", " ") if text.lstrip().startswith("{") else text, _Loader)
    seen: set[int] = set()
    faults = [fault for part, steps in _parts(root, keys) for fault in _losses(part, steps, seen)] if root else []
    if faults:
        raise InputError(f"{path}: " + "; ".join(faults))


def _parts(node: yaml.Node, keys: Collection[str], steps: str = "") -> Iterator[tuple[yaml.Node, str]]:
    """The nodes to look at, and where they are."""
    if not keys:
        yield node, steps
    elif isinstance(node, yaml.MappingNode):
        if {key.value for key, _ in node.value} <= set(keys) and any(
            isinstance(value, yaml.SequenceNode) for _, value in node.value
        ):
            yield node, steps
            return
        for key, value in node.value:
            yield from _parts(value, keys, f"{steps}.{key.value}".lstrip("."))


def _losses(node: yaml.Node, steps: str, seen: set[int]) -> Iterator[str]:
    """The faults of a node and of what is in it; a node that others repeat (*) is told where it stands."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            yield from _losses(entry, f"{steps}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            # Several merges (<<) are all kept.
            known = (key.tag, str(key.value))
            if known in lines and key.value != "<<":
                yield (
                    f"{steps or '(top level)'}: the key {key.value!r} stands twice, on lines {lines[known]} and "
                    f"{_line(key)}, and YAML would keep the last alone; take one out"
                )
            lines[known] = _line(key)
            yield from _losses(key, f"{steps}.{key.value}".lstrip("."), seen)
            yield from _losses(value, f"{steps}.{key.value}".lstrip("."), seen)
    elif isinstance(node, yaml.ScalarNode) and not node.style:
        other = _other(node)
        if other:
            yield f"{steps} (line {_line(node)}): YAML reads {node.value} as {other}"


def _other(node: yaml.ScalarNode) -> str | None:
    """What a scalar without quotes is read as, and what to write, if somebody may have meant another thing."""
    kind = _KINDS.get(node.tag)
    if kind == "timestamp":
        return f'a date; quote it: "{node.value}"'
    if kind in ("int", "float") and ":" in node.value:
        return f'{yaml.safe_load(node.value)}, a number to base 60; write that number, or quote it: "{node.value}"'
    if kind == "int" and _OCTAL.fullmatch(node.value):
        return f'{yaml.safe_load(node.value)}, a number to base 8; write that number, or quote it: "{node.value}"'
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
