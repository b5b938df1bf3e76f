# Where the scripts and the package are, ROOT and SRC, and the import of the package that is beside the rules.

import shutil
import sys
from importlib.util import find_spec
import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError


def on_disk(rules):
    """This repository on disk, by the folder of its rules as Snakemake knows it.

    Of rules that Snakemake reads from a git host (`github(...)`), scripts and package are unpacked beside its cache.
    """
    if not hasattr(rules, "hosted_repo"):
        return Path(str(rules)).parents[1]
    repository = rules.hosted_repo.repo
    commit = repository.commit(rules.ref).hexsha
    root = Path(workflow.sourcecache.cache_path, "d4rl-automl", commit)
    if not root.is_dir():
        root.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent) as part:
            repository.git.archive(commit, "scripts", "src", output=f"{part}/all.tar")
            shutil.unpack_archive(f"{part}/all.tar", f"{part}/all")
            try:
                Path(part, "all").rename(root)
            except OSError:  # another Snakemake was faster
                if not root.is_dir():
                    raise
    return root


ROOT = on_disk(workflow.current_basedir)
SRC = str(ROOT / "src")
if not Path(SRC, "d4rl_automl").is_dir():
    raise WorkflowError(
        f"{workflow.current_basedir}: beside these rules are no scripts and no package, which have to be on disk: name "
        "the Snakefile of a clone by its path, or that of a git host by github(...) or gitlab(...)"
    )


def demand(*names):
    """Say at once that packages are missing where Snakemake runs, if the jobs run there too (without --sdm)."""
    missing = [name for name in names if find_spec(name) is None]
    if missing and not workflow.deployment_settings.deployment_method:
        raise WorkflowError(
            f"Snakemake runs in {sys.prefix} here, which is without {', '.join(missing)}: run the one that `make "
            f"install` puts beside this workflow, {ROOT / '.venv/bin/snakemake'}, or leave the rules' packages to "
            "conda, in an environment of envs/snakemake.yaml and with --sdm conda (docs/environments.md)"
        )


demand("gymnasium", "h5py", "matplotlib", "mujoco", "numpy", "onnxruntime", "pandas", "pyarrow", "rliable", "tqdm")

# The modules of a package are found through it: once it is imported, the path may be as it was.
sys.path.insert(0, SRC)
import d4rl_automl

sys.path.remove(SRC)

if not Path(SRC).samefile(Path(d4rl_automl.__file__).parents[1]):
    raise WorkflowError(
        f"these rules need the package beside them, in {SRC}, but {d4rl_automl.__file__} is imported already: use one "
        "copy of d4rl-automl, for modules and imports alike"
    )
