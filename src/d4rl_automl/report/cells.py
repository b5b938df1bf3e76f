"""Tables of the page: columns of cells, each a text to read and a value to sort by."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Cell:
    text: str
    value: str
    """What a script sorts by: a number with all its digits, or the text."""


@dataclass(frozen=True)
class Column:
    name: str
    about: str
    """A sentence for who points at its name."""
    is_text: bool
    cells: list[Cell]


@dataclass
class Table:
    """A table of `length` rows; a column without any value is none of it."""

    title: str
    length: int
    columns: list[Column] = field(default_factory=list)

    def add(self, name: str, values: Iterable[Any], form: Callable[[Any], str], about: str = "") -> None:
        """Add a column, whose cells are `values` as `form` writes them; a missing one is empty."""
        cells = [Cell("", "") if pd.isna(value) else Cell(form(value), str(value)) for value in values]
        assert len(cells) == self.length, f"{name}: {len(cells)} cells for {self.length} rows"
        if any(cell.text for cell in cells):
            self.columns.append(Column(name, about, form is text, cells))

    @property
    def rows(self) -> list[list[tuple[Column, Cell]]]:
        """The cells, row by row, with their columns."""
        return [[(column, column.cells[index]) for column in self.columns] for index in range(self.length)]


def text(value: Any) -> str:
    """A value as it is."""
    return str(value)


def number(form: str, unit: str = "") -> Callable[[float], str]:
    """A writer of numbers."""
    return lambda value: format(value, form) + unit


def size(value: float) -> str:
    """Bytes for people."""
    return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.0f} kB"
