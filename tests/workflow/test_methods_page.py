"""docs/methods.md says how to add a method: what it says is done here, word by word, in a copy of the project."""

import re
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from .conftest import ROOT, snakemake

DATASET = "hopper-medium-expert-embedded-tiny"


def blocks(language: str) -> list[str]:
    """The page's code blocks, without their place in a list."""
    page = (ROOT / "docs/methods.md").read_text()
    return [textwrap.dedent(code) for code in re.findall(rf"^   ```{language}\n(.*?)^   ```", page, re.M | re.S)]


def test_a_method_of_ones_own(project: Path) -> None:
    (module,) = blocks("python")
    (project / "src/d4rl_automl/methods/linear.py").write_text(module)
    schema = project / "workflow/schemas/config.schema.yaml"
    branch, definition = blocks("yaml")
    text = schema.read_text().replace("enum: [teacher,", "enum: [linear, teacher,", 1)
    mark = "      allOf:\n        - if: {properties: {kind: {const: teacher}}}\n"
    assert mark in text
    text = text.replace(
        mark, "      allOf:\n" + textwrap.indent(textwrap.dedent(branch), 8 * " ") + mark.partition("\n")[2]
    )
    schema.write_text(text + textwrap.indent(textwrap.dedent(definition), 2 * " "))
    entry = {"name": DATASET, "provider": "embedded", "task": "hopper", "recipe": "medium-expert", "transitions": 6000}
    config = {
        "datasets": [entry],
        "device": "cpu",
        "teachers": [],
        "methods": [{"name": "linear", "kind": "linear"}],
        "rollout": {"fractions": [0.3, 1.0], "report_episodes": 2},
        "split": {"validation": 0.2, "test": 0.2},
    }
    (project / "own.yaml").write_text(yaml.safe_dump(config))
    target = f"results/{DATASET}/rollouts/linear-s0.d4rl.report.parquet"
    arguments = ("--configfile", "own.yaml", "--cores", "2")
    snakemake(target, f"results/{DATASET}/figures/curves.png", *arguments, directory=project)
    played = pq.read_table(project / target).to_pandas()
    assert len(played) == 4 and played["return"].gt(10).all()
    # An edit of the module makes its policy anew.
    path = project / "src/d4rl_automl/methods/linear.py"
    path.write_text(path.read_text() + "\nEDITED = 1\n")
    assert "rule fit_policy:" in snakemake(target, "-n", *arguments, directory=project).stdout
    # A setting that the schema does not know is refused.
    config["methods"][0]["depth"] = 3
    (project / "own.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(target, "-n", *arguments, directory=project, check=False)
    assert done.returncode and "'depth'" in done.stdout
