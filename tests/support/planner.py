"""`snakemake` many times over, without starting Python each time: `python planner.py`.

Reads a JSON list [directory, file for the output, arguments] a line and answers each with the exit code.
"""

import json
import os
import sys

from snakemake.cli import main

# What every run of Snakemake would import, imported once; the command line first, since they import each other.
import smart_open  # noqa: F401  # isort: skip
import snakemake.report.html_reporter
import snakemake.storage  # noqa: F401


def run(directory: str, output: str, arguments: list[str]) -> None:
    os.chdir(directory)
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    main(arguments)


for line in sys.stdin:
    # A process of its own: the Snakefile imports the package of its directory.
    process = os.fork()
    if process == 0:
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
