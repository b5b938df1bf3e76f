import re
import subprocess
import sys

import pytest

SCRIPT = """
import logging
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import run

def main():
    logging.info("working")
    {last}

run(main)
"""


def run_script(last: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(last=last)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "last, code, told",
    [
        ("pass", 0, ""),
        ("raise InputError('data.csv: empty')", 1, "error: data.csv: empty"),
        ("raise OSError(28, 'No space left on device')", 1, "error: the disk is full"),
        ("raise PermissionError(13, 'Permission denied', 'results/a')", 1, "error: results/a: Permission denied"),
        ("bytearray(2**62)", 1, "error: not enough memory"),
        ("raise KeyError('ours')", 1, "Traceback"),
    ],
)
def test_every_end_is_told_with_its_processor_time(last, code, told):
    done = run_script(last)
    assert done.returncode == code
    assert "INFO working" in done.stderr
    assert told in done.stderr
    assert ("Traceback" in done.stderr) == (told == "Traceback")
    # What benchmarks/costs.py reads.
    assert len(re.findall(r"INFO \d+\.\d\d s of processor time$", done.stderr, re.MULTILINE)) == 1
