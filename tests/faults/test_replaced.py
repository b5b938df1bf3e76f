"""A dataset that another one replaced under the same name."""

import os
import re
from pathlib import Path

import h5py

from tests.support.faults import ARGUMENTS, DATASET, MINE
from tests.support.project import snakemake


def change(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["rewards"][0] += 1.0


def test_a_file_of_the_users_is_noticed_though_it_is_older(project: Path) -> None:
    raw = f"results/{MINE}/raw.hdf5"
    assert "Nothing to be done" in snakemake(*ARGUMENTS, "-n", raw, directory=project).stdout
    change(project / "mine.hdf5")
    os.utime(project / "mine.hdf5", (0, 0))
    assert re.search(r"^rule link:", snakemake(*ARGUMENTS, "-n", raw, directory=project).stdout, re.M)


def test_raw_data_that_do_not_fit_their_checksum_are_refused(project: Path) -> None:
    transitions = f"results/{DATASET}/transitions.parquet"
    change(project / f"results/{DATASET}/raw.hdf5")
    failed = snakemake(*ARGUMENTS, transitions, directory=project, check=False)
    assert failed.returncode == 1
    assert "raw.hdf5: its SHA-256 is " in failed.stdout
    assert "the file was replaced" in failed.stdout
    assert "Traceback" not in failed.stdout
    for name in ("raw.hdf5", "raw.json"):
        (project / f"results/{DATASET}" / name).unlink()
    snakemake(*ARGUMENTS, transitions, directory=project)
