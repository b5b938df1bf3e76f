from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.hosts import Hosts

# What the tests ask for is imported where they do: those of the wheel have little more than the wheel.


@pytest.fixture
def hosts() -> "Iterator[Hosts]":
    from tests.support.hosts import serving  # noqa: PLC0415

    with serving() as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The sum that CONTRIBUTING.md has a budget for."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    seconds = sum(report.duration for report in reports)
    terminalreporter.write_line(f"{seconds:.0f} s of tests, setting up and tearing down not counted")
