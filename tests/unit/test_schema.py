"""The config's schema and its reference page: made from the models, and in step with them."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from d4rl_automl import tasks
from d4rl_automl.data import recipes
from d4rl_automl.data.catalogue import OWN_PROVIDERS
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan import schema
from d4rl_automl.plan.config import Config
from tests.support.configs import SHIPPED, VALID

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return schema.schema()


@pytest.mark.parametrize("name", ["workflow/schemas/config.schema.yaml", "docs/config-reference.md"])
def test_what_is_committed_is_what_the_models_make(name: str, tmp_path: Path) -> None:
    for folder in ("workflow/schemas", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    schema.write(tmp_path)
    assert (ROOT / name).read_text() == (tmp_path / name).read_text(), "run `make schema`"


def test_the_file_is_the_schema(made: dict[str, Any]) -> None:
    assert yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text()) == made


def test_schema_is_a_schema_and_describes_every_key(made: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    described = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, child in node.get("properties", {}).items():
                if isinstance(child, dict) and key not in ("kind", "provider"):
                    told = made["$defs"].get(child.get("$ref", "").removeprefix("#/$defs/"), child)
                    assert told.get("description"), f"{path}.{key}"
                    described.append(key)
            for key, child in node.items():
                walk(child, f"{path}.{key}")
        elif isinstance(node, list):
            for child in node:
                walk(child, path)

    walk(made, "")
    assert {*Config.model_fields, "preset", "width", "transitions", "path", "best", "trees"} <= set(described)


def test_schema_has_no_word_that_is_none_of_json_schemas(made: dict[str, Any]) -> None:
    """A validator passes over what it does not know: a bound by another name would bound nothing."""
    known = {
        *("$schema", "$defs", "$ref", "type", "enum", "const", "oneOf", "anyOf", "items", "properties", "required"),
        *("additionalProperties", "propertyNames", "default", "description", "pattern", "uniqueItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "minLength", "minProperties"),
        "discriminator",  # OpenAPI's: which of oneOf it is; editors use it
    }

    def walk(node: Any, path: str) -> None:
        if isinstance(node, list):
            for child in node:
                walk(child, path)
        elif isinstance(node, dict):
            assert set(node) <= known, f"{path}: {set(node) - known}"
            for key, child in node.items():
                if key in ("properties", "$defs"):
                    for name, described in child.items():
                        walk(described, f"{path}.{name}")
                elif key not in ("default", "discriminator"):
                    walk(child, f"{path}.{key}")

    walk(made, "")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_schema_accepts_the_shipped_configs(path: Path, made: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(made).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("change", "where", "keyword"),
    [
        ({"sead": 1}, "$", "additionalProperties"),
        ({"rollout": {"fractions": [0.3, "x"]}}, "$.rollout.fractions[1]", "type"),
        ({"rollout": {"fractions": [0.3, 0.3]}}, "$.rollout.fractions", "uniqueItems"),
        ({"rollout": {"episodes": 3}}, "$.rollout", "additionalProperties"),
        ({"split": {"test": 0.9}}, "$.split.test", "exclusiveMaximum"),
        ({"split": {"test": -0.1}}, "$.split.test", "minimum"),
        ({"labels": {"noise": -1}}, "$.labels.noise", "minimum"),
        ({"simulators": ["mujoco"]}, "$.simulators[0]", "enum"),
        ({"seeds": [1, 1]}, "$.seeds", "uniqueItems"),
        ({"seeds": []}, "$.seeds", "minItems"),
        ({"seeds": [-1]}, "$.seeds[0]", "minimum"),
        ({"datasets": []}, "$.datasets", "minItems"),
        ({"methods": [{"name": "s", "kind": "stoodent"}]}, "$.methods[0]", "oneOf"),
        ({"methods": [{"name": "S!", "kind": "mlp"}]}, "$.methods[0]", "oneOf"),
        ({"methods": [{"name": "a", "kind": "student", "teacher": "t", "depth": 3}]}, "$.methods[0]", "oneOf"),
        ({"methods": [{"name": "a", "kind": "student"}]}, "$.methods[0]", "oneOf"),
        ({"methods": [{"name": "r", "kind": "rvs_r", "updates": 9}]}, "$.methods[0]", "oneOf"),
        ({"methods": [{"name": "b", "kind": "bc", "best": 1.5}]}, "$.methods[0]", "oneOf"),
        ({"teachers": [{"name": "t"}]}, "$.teachers[0]", "required"),
        (
            {"teachers": [{"name": "t", "preset": "medium", "hyperparameters": {"GMB": {}}}]},
            "$.teachers[0].hyperparameters",
            "anyOf",
        ),
        ({"datasets": [{"name": "mine", "provider": "flie", "task": "hopper"}]}, "$.datasets[0]", "oneOf"),
        ({"datasets": [{"name": "mine", "provider": "file", "task": "ant", "path": "x"}]}, "$.datasets[0]", "oneOf"),
        ({"datasets": [{"name": "mine", "provider": "file", "task": "hopper"}]}, "$.datasets[0]", "oneOf"),
        ({"mirrors": ["ftp://host/files"]}, "$.mirrors[0]", "pattern"),
        ({"mirrors": "https://host"}, "$.mirrors", "type"),
        ({"d4rl_dir": ""}, "$.d4rl_dir", "minLength"),
        ({"device": "gpu"}, "$.device", "enum"),
    ],
)
def test_the_schema_refuses(change: dict[str, Any], where: str, keyword: str, made: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(made)
    validator.validate(VALID)
    assert [(fault.json_path, fault.validator) for fault in validator.iter_errors(VALID | change)] == [(where, keyword)]


def test_every_task_can_be_that_of_a_file(made: dict[str, Any]) -> None:
    properties = made["$defs"]
    assert properties["file_dataset"]["properties"]["task"]["enum"] == list(tasks.TASKS)
    assert properties["embedded_dataset"]["properties"]["task"]["enum"] == list(recipes.tasks())


def test_every_kind_is_in_the_schema_and_on_the_reference_page(made: dict[str, Any]) -> None:
    own = [f"{name}_method" for name in METHODS] + [f"{name}_dataset" for name in OWN_PROVIDERS]
    assert set(own) <= set(made["$defs"])
    headings = [line for line in schema.reference().splitlines() if line.startswith("### ")]
    assert headings == [
        *(f"### `provider: {name}`" for name in OWN_PROVIDERS),
        *(f"### `kind: {name}`" for name in METHODS),
    ]


def test_the_reference_page_has_a_sentence_for_every_key() -> None:
    rows = [line.split(" | ") for line in schema.reference().splitlines() if line.startswith("| `")]
    keys = [row[0].strip("| `") for row in rows]
    assert {"split", "network.width", "best", "trees", "recipe"} <= set(keys)
    empty = [row for row in rows if len(row) == 3 and not row[2].strip("| ")]
    assert {row[0].strip("| `") for row in empty} <= {"kind", "provider"}
