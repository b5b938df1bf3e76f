"""Draw a figure: its name is that of a module of `d4rl_automl.figures`, its options are the arguments of `plot`."""

import argparse
import collections.abc
import importlib
import inspect
import sys
import typing

from d4rl_automl.core.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, usage="%(prog)s FIGURE --OPTION …")
    parser.add_argument("figure")
    named = parser.parse_args(sys.argv[1:2])
    plot = importlib.import_module(f"d4rl_automl.figures.{named.figure}").plot
    options = argparse.ArgumentParser(prog=f"{parser.prog} {named.figure}", description=plot.__doc__)
    hints = typing.get_type_hints(plot)
    for argument in inspect.signature(plot).parameters:
        several = typing.get_origin(hints[argument]) is collections.abc.Sequence
        options.add_argument(
            f"--{argument.replace('_', '-')}",
            required=True,
            nargs="*" if several else None,
            type=float if several and typing.get_args(hints[argument]) == (float,) else str,
        )
    plot(**vars(options.parse_args(sys.argv[2:])))


if __name__ == "__main__":
    run(main)
