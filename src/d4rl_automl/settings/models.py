"""What every part of the config is made of: models that know their keys, and which of them shape a result."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from d4rl_automl.core import files


class NotShaping:
    """Marks a key that shapes nothing that its entry makes: it says where, how often, or for which datasets."""


NOT_SHAPING = NotShaping()


class Model(BaseModel):
    """A mapping of the config. It knows its keys, and is not changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        """Before the fields, so that the message can name those that there are."""
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in cls.model_fields]
            if unknown:
                raise PydanticCustomError(
                    "unknown_key",
                    "found the key {key}; allowed are {allowed}",
                    {"key": repr(unknown[0]), "allowed": ", ".join(cls.model_fields)},
                )
        return value

    def shaping(self) -> dict[str, Any]:
        """The keys that shape what this makes, as JSON values in one order; what is left empty by default is left out.

        A rule whose params hold them reruns when one of them changes, and for no other key.
        """
        kept = {}
        for name, field in sorted(type(self).model_fields.items()):
            value = getattr(self, name)
            if any(isinstance(one, NotShaping) for one in field.metadata) or (value is None and field.default is None):
                continue
            kept[name] = value.shaping() if isinstance(value, Model) else value
        return kept


_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_FLAGS = {"true": True, "false": False}


def number_of(value: Any) -> Any:
    """The number that a text is, or else `value`.

    YAML 1.1 takes 1e-3 and 1.0e4 for text, and Snakemake's --config whatever stands in brackets.
    """
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return value
    return int(value) if _WHOLE.fullmatch(value) else float(value)


def _whole_number_of(value: Any) -> Any:
    """As `number_of`, and 10000 for the text 1e4; 1.0 is left as it is."""
    number = number_of(value)
    if not isinstance(value, str) or not isinstance(number, float):
        return number
    return int(number) if "e" in value.lower() and number.is_integer() else value


def _flag_of(value: Any) -> Any:
    return _FLAGS.get(value, value) if isinstance(value, str) else value


def numbers_in(value: Any) -> Any:
    """`number_of` and flags for every text in lists and mappings of a library's own settings."""
    if isinstance(value, Mapping):
        return {key: numbers_in(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_in(entry) for entry in value]
    return _flag_of(number_of(value))


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A whole number stays one: files of results repeat it."""
    number = number_of(value)
    check(number)
    return number


# YAML's 1.0 is no integer and true no number: both would become part of paths.
Integer = Annotated[int, Strict(), BeforeValidator(_whole_number_of)]
Number = Annotated[float, Strict(), WrapValidator(_as_written), PlainSerializer(lambda value: value)]
Flag = Annotated[bool, Strict(), BeforeValidator(_flag_of)]


def _of_a_home(path: str) -> str:
    files.expanded(path)
    return path


Place = Annotated[str, Field(min_length=1), AfterValidator(_of_a_home)]
"""A path of the config; ~ is the home folder."""


class _Different:
    """Of a tuple whose entries must differ."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}

    def _check(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise PydanticCustomError("repeated", "entries that differ")
        return values


DIFFERENT = _Different()


class OneOf:
    """In an annotation: which texts are allowed, where a table elsewhere has them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.names)}

    def _check(self, value: str) -> str:
        if value not in self.names:
            raise PydanticCustomError("enum", "one of", {"expected": ", ".join(self.names)})
        return value


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Part of paths and of wildcards.")]
