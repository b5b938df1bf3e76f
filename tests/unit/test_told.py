"""What pydantic finds wrong, in sentences: where, what was found, what is allowed."""

import datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from d4rl_automl.settings import told
from d4rl_automl.settings.models import DIFFERENT, Flag, Integer, Model, Name, Number, OneOf


class Circle(Model):
    """A circle."""

    kind: Literal["circle"]
    radius: Annotated[Number, Field(gt=0, le=2)] = 1


class Square(Model):
    """A square."""

    kind: Literal["square"]
    corners: Annotated[tuple[Integer, ...], Field(min_length=1), DIFFERENT] = (1, 2)


class Drawing(Model):
    """What is drawn."""

    name: Name = "d"
    title: Annotated[str, Field(min_length=1)] = "t"
    filled: Flag = True
    size: Annotated[Integer, Field(ge=1, lt=9)] = 1
    paper: Annotated[str, OneOf(("white", "grey"))] = "white"
    pens: dict[Annotated[str, OneOf(("red", "blue"))], Any] | None = None
    first: Circle = Circle(kind="circle")
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="kind")], ...] = ()


CIRCLE = {"kind": "circle"}
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"sise": 1}, "", "found the key 'sise'; allowed are name, title, filled, size, paper, pens, first, shapes"),
    ({"first": {**CIRCLE, "radios": 1}}, "first", "found the key 'radios'; allowed are kind, radius"),
    ({"first": {}}, "first", "the key 'kind' is missing"),
    ({"first": {"kind": "square"}}, "first.kind", 'found "square"; allowed: one of circle'),
    ({"first": 3}, "first", "found 3; allowed: object"),
    ({"name": "A"}, "name", 'found "A"; allowed: text like ^[a-z0-9][a-z0-9_-]*$'),
    # What YAML makes of a text without quotes.
    ({"name": 3}, "name", "found 3; allowed: string; quote it, or YAML takes it for a number"),
    (
        {"name": False},
        "name",
        "found false; allowed: string; without quotes YAML takes yes, no, on and off for true and false: quote it",
    ),
    (
        {"name": None},
        "name",
        "found null; allowed: string; YAML takes ~, null and what is left empty for nothing: quote it",
    ),
    (
        {"title": datetime.date(2024, 10, 1)},
        "title",
        'found "2024-10-01"; allowed: string; without quotes YAML takes it for a date: quote it',
    ),
    ({"title": ""}, "title", 'found ""; allowed: text that is not empty'),
    ({"filled": 1}, "filled", "found 1; allowed: boolean"),
    ({"filled": "yes"}, "filled", 'found "yes"; allowed: boolean'),
    ({"size": 1.0}, "size", "found 1.0; allowed: integer"),
    ({"size": True}, "size", "found true; allowed: integer"),
    ({"size": "08"}, "size", 'found "08"; allowed: integer'),
    ({"size": None}, "size", "found null; allowed: integer"),
    ({"size": 0}, "size", "found 0; allowed: at least 1"),
    ({"size": 9}, "size", "found 9; allowed: less than 9"),
    ({"first": {**CIRCLE, "radius": 0}}, "first.radius", "found 0; allowed: more than 0"),
    ({"first": {**CIRCLE, "radius": 3}}, "first.radius", "found 3; allowed: at most 2"),
    ({"first": {**CIRCLE, "radius": float("nan")}}, "first.radius", "found NaN; allowed: number"),
    ({"first": {**CIRCLE, "radius": float("inf")}}, "first.radius", "found Infinity; allowed: number"),
    ({"first": {**CIRCLE, "radius": "1 m"}}, "first.radius", 'found "1 m"; allowed: number'),
    ({"paper": "pink"}, "paper", 'found "pink"; allowed: one of white, grey'),
    # A key that is none of those allowed is told of its mapping.
    ({"pens": {"green": 1}}, "pens", 'found "green"; allowed: one of red, blue'),
    ({"pens": []}, "pens", "found []; allowed: object"),
    ({"shapes": CIRCLE}, "shapes", 'found {"kind": "circle"}; allowed: array'),
    ({"shapes": [{}]}, "shapes[0]", "the key 'kind' is missing"),
    ({"shapes": [3]}, "shapes[0]", "found 3; allowed: object"),
    ({"shapes": [CIRCLE, {"kind": "line"}]}, "shapes[1].kind", 'found "line"; allowed: one of circle, square'),
    ({"shapes": [{**CIRCLE, "radius": -1}]}, "shapes[0].radius", "found -1; allowed: more than 0"),
    ({"shapes": [{**CIRCLE, "corners": []}]}, "shapes[0]", "found the key 'corners'; allowed are kind, radius"),
    ({"shapes": [{"kind": "square", "corners": []}]}, "shapes[0].corners", "found []; allowed: at least 1 entry"),
    (
        {"shapes": [{"kind": "square", "corners": [1, 1]}]},
        "shapes[0].corners",
        "found [1, 1]; allowed: entries that differ",
    ),
    # Of wrong entries each is told, not that there are too few right ones.
    ({"shapes": [{"kind": "square", "corners": ["2.0"]}]}, "shapes[0].corners[0]", 'found "2.0"; allowed: integer'),
]


@pytest.mark.parametrize(("given", "path", "sentence"), FAULTS)
def test_a_fault_is_told_once_with_its_path(given: dict[str, Any], path: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        Drawing.model_validate(given)
    assert told.sentences(error.value, tagged=("shapes",)) == [(path, sentence)]


@pytest.mark.parametrize(
    ("text", "integer", "number"),
    [
        ("1e-3", None, 0.001),
        ("1e4", 10_000, 10_000.0),
        ("2.5E+3", 2500, 2500.0),
        ("1.5e0", None, 1.5),
        ("12", 12, 12),
        ("+3", 3, 3),
        ("0.5", None, 0.5),
        (".5", None, 0.5),
        ("1.0", None, 1.0),
        *(
            (text, None, None)
            for text in ("", " 1", "1_000", "010", "0x1F", "0o17", "1:30", "1e", "nan", "inf", "true")
        ),
    ],
)
def test_a_number_that_yaml_takes_for_text_is_read_as_the_number_it_is(text, integer, number) -> None:
    """YAML 1.1 of 1e-3; Snakemake of whatever stands in brackets after --config."""
    for annotation, expected in ((Integer, integer), (Number, number)):
        adapter = TypeAdapter(annotation)
        if expected is None:
            with pytest.raises(ValidationError):
                adapter.validate_python(text)
        else:
            read = adapter.validate_python(text)
            assert (read, type(read)) == (expected, type(expected))
    assert TypeAdapter(Flag).validate_python("false") is False


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_from_its_text(value: float) -> None:
    assert TypeAdapter(Number).validate_python(repr(value)) == value
    if isinstance(value, int):
        assert TypeAdapter(Integer).validate_python(repr(value)) == value


def test_every_fault_is_told() -> None:
    with pytest.raises(ValidationError) as error:
        Drawing.model_validate({"size": 0, "paper": "pink", "shapes": [{"kind": "square", "corners": ["one", 2.0]}]})
    assert [path for path, _ in told.sentences(error.value, tagged=("shapes",))] == [
        "size",
        "paper",
        "shapes[0].corners[0]",
        "shapes[0].corners[1]",
    ]


def test_what_shapes_is_told_in_one_order_and_as_written() -> None:
    made = Drawing.model_validate({"size": 3, "first": {"kind": "circle", "radius": 2}, "shapes": [CIRCLE]})
    shaping = made.first.shaping()
    assert list(shaping.items()) == [("kind", "circle"), ("radius", 2)]
    assert isinstance(shaping["radius"], int)
    assert made.model_dump(mode="json")["first"] == shaping
    # What is left empty by default is left out.
    assert list(made.shaping()) == ["filled", "first", "name", "paper", "shapes", "size", "title"]
