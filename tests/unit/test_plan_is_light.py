"""Reading the workflow loads none of the libraries that its jobs use: a dry run must not wait for them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
HEAVY = ("torch", "autogluon", "numpy", "pandas", "pyarrow", "mujoco", "gymnasium", "h5py", "sklearn", "matplotlib")


def imports(path: Path) -> list[str]:
    """The lines of a rules file that import something of the package."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [line.strip() for line in lines if line.strip().startswith(("from d4rl_automl", "import d4rl_automl"))]
    assert all(isinstance(ast.parse(line).body[0], ast.Import | ast.ImportFrom) for line in found)
    return found


def loaded(statements: list[str]) -> list[str]:
    """The heavy modules that a fresh process has loaded after some imports."""
    code = "\n".join([*statements, "import json, sys", f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_the_rules_import_loads_no_library_of_the_jobs() -> None:
    statements = [line for path in RULES for line in imports(path)]
    assert "from d4rl_automl.plan.config import Config, validated" in statements
    assert "from d4rl_automl.figures.table import FIGURES" in statements
    assert loaded(statements) == []


def test_the_plan_of_a_run_loads_none_either() -> None:
    """Nor does what the rules call while Snakemake reads them: the config, the plan, digests, identities."""
    config = ROOT / "config/every-kind.yaml"
    calls = f"""
import yaml
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.figures import planned
from d4rl_automl.plan.run import Plan
plan = Plan(validated(yaml.safe_load(open({str(config)!r}))))
assert planned(plan)
assert all(plan.fitted_by(method) and plan.loaded_by([method]) for method in plan.methods)
assert all(plan.policies(dataset) and plan.made(dataset) for dataset in plan.learned)
assert all(PROVIDERS[entry.provider].identity(entry) for entry in plan.datasets.values())
"""
    assert loaded(calls.splitlines()) == []


def test_the_look_finds_a_library() -> None:
    assert loaded(["import d4rl_automl.core.tables"]) == ["numpy", "pandas", "pyarrow"]
