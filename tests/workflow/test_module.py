"""Another workflow imports this one as a module: it plans and runs there, and leaves the other's rules alone."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.support import every_kind
from tests.support.project import ROOT, copy_project, snakemake

PAGE = (ROOT / "docs/use-in-your-workflow.md").read_text()
# Over the config of the page: as little work as can be.
LITTLE = {
    "split": {"validation": 0.2, "test": 0.2},
    "methods": [{"name": "rcdtp", "kind": "rcdtp", "trees": 5}],
    "rollout": {"fractions": [0.5], "selection_episodes": 1, "report_episodes": 2},
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project that nothing is installed from."""
    return copy_project(tmp_path_factory.mktemp("module") / "d4rl-automl")


def snippets(language: str, clone: Path) -> list[str]:
    """The blocks of the page in a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return [text.replace("/path/to/d4rl-automl", str(clone)) for text in found]


def importing(folder: Path, clone: Path, snakefile: str, config: dict[str, Any] | None = None) -> Path:
    """A folder with a workflow that imports the clone, by default with the page's config."""
    folder.mkdir()
    (folder / "Snakefile").write_text(snakefile.replace("CLONE", str(clone)))
    text = snippets("yaml", clone)[0] if config is None else yaml.safe_dump(config)
    (folder / "mine.yaml").write_text(text)
    (folder / "little.yaml").write_text(yaml.safe_dump({"d4rl": LITTLE}))
    every_kind.write_hdf5(folder / "my_hopper.hdf5", 11, 3, 600, 50)
    return folder


MODULE = """
module d4rl:
    snakefile: "CLONE/workflow/Snakefile"
    config: config["d4rl"]

use rule * from d4rl as d4rl_*
"""
LITTLE_CONFIG = ("--configfile", "little.yaml")


# Alone ------------------------------------------------------------------------------------------------------------


def test_the_five_lines_plan_and_run(clone: Path, tmp_path: Path) -> None:
    mine = importing(tmp_path / "mine", clone, snippets("python", clone)[0])
    planned = snakemake("-n", directory=mine).stdout
    assert {"d4rl_link", "d4rl_fit_rcdtp", "d4rl_fit_bc", "d4rl_all"} <= set(re.findall(r"^\w+", planned, re.M))
    played = "results/my-hopper/rollouts/rcdtp-s0.d4rl.report.parquet"
    said = snakemake("--cores", "2", played, *LITTLE_CONFIG, directory=mine).stdout
    # How long it takes is told of a run of this workflow alone.
    assert "processor time" not in said and not (mine / "results/benchmarks/estimate.csv").exists()
    assert pd.read_parquet(mine / played)["method"].tolist() == ["rcdtp"] * 2
    assert "Nothing to be done" in snakemake("-n", played, *LITTLE_CONFIG, directory=mine).stdout


# Beside rules of the importing workflow's own ---------------------------------------------------------------------

# A rule of its own has whatever this workflow's rules have: wildcards, resources, names.
OWN = """
import gc, json, os, sys

configfile: "mine.yaml"

shell.prefix("set -u; own() {{ echo own; }}; ")

def state():
    names = {name for name in globals() if not name.startswith("__")}
    limits = {name: str(limit) for name, limit in workflow.global_resources.items()}
    return {
        "names": sorted(names), "path": list(sys.path), "limits": limits, "config": json.loads(json.dumps(config)),
        "local": sorted(workflow._localrules), "collector": gc.get_threshold(),
        "prefix": shell._process_prefix, "environment": dict(os.environ),
    }

BEFORE = state()

rule all:
    input: "best.txt", "data-any-d4rl-x.txt", "scores-any-d4rl-x.txt"

module d4rl:
    snakefile: "../d4rl-automl/workflow/Snakefile"
    config: config["d4rl"]
    prefix: "d4rl"

use rule * from d4rl as d4rl_*

AFTER = state()
with open("state.json", "w") as file:
    json.dump([BEFORE, AFTER], file)

rule best:
    input: rules.d4rl_score.output.scores, rules.d4rl_merge_costs.output, "d4rl/results/my-hopper/figures/card.png"
    output: "best.txt"
    shell: "sort -t, -k 14 -gr {input[0]} | head -n 1 > {output}"

rule data:
    output: "data-{dataset}-{method}-{seed}.txt"
    resources: gpu=2, download=5
    shell: "own > {output}; declare -F >> {output}; echo gpu {resources.gpu} download {resources.download} >> {output};"
        " env | sort > environment.txt"

rule score:
    output: "scores-{teacher}-{simulator}-{dimension}.txt"
    shell: "own > {output}"
"""


@pytest.fixture(scope="module")
def beside(clone: Path) -> Path:
    """A finished run of this workflow, with a prefix, beside rules of the importing workflow's own."""
    mine = importing(clone.parent / "mine", clone, OWN)
    snakemake("--cores", "2", *LITTLE_CONFIG, directory=mine)
    return mine


def states(beside: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of Snakemake before and after the import."""
    before, after = json.loads((beside / "state.json").read_text())
    return before, after


def test_a_rule_of_ones_own_takes_its_outputs(beside: Path) -> None:
    scores = pd.read_csv(beside / "d4rl/results/scores.csv")
    dataset, *_ = (beside / "best.txt").read_text().split(",")
    assert [dataset] == scores["dataset"].unique().tolist() == ["my-hopper"]


def test_with_a_prefix_all_is_below_it_and_measured(beside: Path) -> None:
    assert not (beside / "results").exists() and not (beside / "logs").exists()
    assert (beside / "d4rl/logs/score.log").exists()
    costs = pd.read_csv(beside / "d4rl/results/costs.csv")
    assert (costs[["seconds", "core_seconds"]] > 0).all(axis=None)
    assert "Nothing to be done" in snakemake("-n", *LITTLE_CONFIG, directory=beside).stdout


def test_own_shell_has_its_own_prefix_and_no_variable_of_ours(beside: Path) -> None:
    own = (beside / "data-any-d4rl-x.txt").read_text().splitlines()
    assert own[:2] == ["own", "declare -f own"]
    assert len(own) == 3
    seen = dict(line.split("=", 1) for line in (beside / "environment.txt").read_text().splitlines() if "=" in line)
    assert not [name for name in seen if name == "PYTHONPATH" or name.startswith("D4RL")]
    before, after = states(beside)
    assert before["prefix"] == after["prefix"] == "set -u; own() { echo own; }; "


def test_own_resources_are_not_limited(beside: Path) -> None:
    assert (beside / "data-any-d4rl-x.txt").read_text().splitlines()[-1] == "gpu 2 download 5"
    before, after = states(beside)
    assert before["limits"] == after["limits"]
    assert not {"gpu", "download"} & after["limits"].keys()


def test_nothing_of_ours_is_in_the_importing_process(beside: Path, clone: Path) -> None:
    before, after = states(beside)
    assert set(after["names"]) - set(before["names"]) == {"BEFORE", "d4rl"}
    for kept in ("config", "collector", "environment"):
        assert after[kept] == before[kept], kept
    # Snakemake's own doing: the folder of every file that it reads rules from.
    assert {str(Path(folder).resolve()) for folder in set(after["path"]) - set(before["path"])} == {
        f"{clone}/workflow",
        f"{clone}/workflow/rules",
    }


def test_no_own_rule_becomes_local(beside: Path) -> None:
    _, after = states(beside)
    assert "d4rl_score" in after["local"]
    assert all(name.startswith("d4rl_") for name in after["local"])


# What goes wrong, and what is apart ---------------------------------------------------------------------------------


def test_only_the_part_of_the_config_that_is_ours_is_validated(clone: Path, tmp_path: Path) -> None:
    config = {
        "devise": "theirs",
        "seeds": "theirs",
        "d4rl": {"datasets": ["hopper-medium-v2"], "methods": LITTLE["methods"]},
    }
    mine = importing(tmp_path / "mine", clone, 'configfile: "mine.yaml"\n' + MODULE, config)
    snakemake("-n", directory=mine)
    config["d4rl"]["devise"] = "cpu"
    (mine / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake("-n", directory=mine, check=False)
    assert done.returncode != 0
    for part in ("module d4rl: config: ", "devise", "allowed are", "device"):
        assert part in done.stdout
    assert "Traceback" not in done.stdout


def test_another_copy_of_the_package_is_refused(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other/d4rl_automl"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    first = f'configfile: "mine.yaml"\nimport sys\nsys.path.insert(0, "{other.parent}")\nimport d4rl_automl\n'
    done = snakemake("-n", directory=importing(tmp_path / "mine", clone, first + MODULE), check=False)
    assert done.returncode != 0
    assert f"{other}/__init__.py is imported already" in done.stdout and f"{clone}/src" in done.stdout


def test_two_modules_with_a_prefix_each(clone: Path, tmp_path: Path) -> None:
    modules = [
        MODULE.replace("d4rl:", f"{name}:").replace("from d4rl as d4rl_", f"from {name} as {name}_")
        .replace('config["d4rl"]', f'dict(config["d4rl"], seeds=[{seed}])\n    prefix: "{name}"')
        for seed, name in enumerate(("one", "two"))
    ]  # fmt: skip
    targets = "\nrule both:\n    default_target: True\n    input: rules.one_all.input, rules.two_all.input\n"
    text = 'configfile: "mine.yaml"\n' + "".join(modules) + targets
    planned = snakemake("-n", directory=importing(tmp_path / "mine", clone, text)).stdout
    assert "one/results/my-hopper/policies/rcdtp-s0.json" in planned
    assert "two/results/my-hopper/policies/rcdtp-s1.json" in planned
    assert "rcdtp-s1" not in "".join(re.findall(r"\S*one/\S*", planned))


def test_with_a_prefix_no_command_names_a_file_outside_it(clone: Path, tmp_path: Path) -> None:
    config = {"d4rl": yaml.safe_load((clone / "config/every-kind.yaml").read_text())}
    text = 'configfile: "mine.yaml"\n' + MODULE.replace('config["d4rl"]', 'config["d4rl"]\n    prefix: "elsewhere"')
    text += "use rule train_teacher from d4rl as d4rl_train_teacher with:\n    threads: 4\n"
    mine = importing(tmp_path / "mine", clone, text, config)
    every_kind.write_hdf5(mine / "walker2d.hdf5", 17, 6, 100, 10)
    planned = snakemake("-n", "-p", "--cores", "4", "d4rl_all", "d4rl_csv", "d4rl_behaviour", directory=mine).stdout
    commands = re.findall(r"^Shell command: (script .*)$", planned, re.M)
    assert len(commands) > 100
    for command in commands:
        assert re.search("elsewhere/results/", command)
        assert not re.search(r"(?<!elsewhere/)\b(results|logs)/", command), command
    assert len(re.findall("script train_teacher .* --threads 4 ", planned)) > 3


# As snakedeploy writes it.
DEPLOYED = """
configfile: "config/config.yaml"

module d4rl_automl:
    snakefile:
        github("owner/d4rl-automl", path="workflow/Snakefile", tag="v1")
    config:
        config

use rule * from d4rl_automl
"""


def test_from_a_git_host_without_a_clone(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git takes a repository on disk for the host."""
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{clone}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/owner/d4rl-automl")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mine = importing(tmp_path / "mine", clone, DEPLOYED)
    (mine / "config").mkdir()
    (mine / "mine.yaml").rename(mine / "config/page.yaml")
    config = yaml.safe_load((mine / "config/page.yaml").read_text())["d4rl"] | LITTLE
    (mine / "config/config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--cores", "2", "transitions", directory=mine)
    assert len(pd.read_parquet(mine / "results/my-hopper/transitions.parquet")) == 600
    unpacked = list((tmp_path / "cache").glob("snakemake/snakemake/source-cache/d4rl-automl/*"))
    assert [sorted(part.name for part in path.iterdir()) for path in unpacked] == [["scripts", "src"]]
    assert "Nothing to be done" in snakemake("-n", "transitions", directory=mine).stdout


def test_the_page_shows_what_is_tested(clone: Path, tmp_path: Path) -> None:
    """The page's second Snakefile plans, with its own target first."""
    planned = snakemake("-n", directory=importing(tmp_path / "mine", clone, snippets("python", clone)[1])).stdout
    assert re.search(r"^best +1$", planned, re.M) and not re.search(r"^d4rl_all ", planned, re.M)


def test_catalogue_finds_what_it_asks_for() -> None:
    """snakemake.github.io/snakemake-workflow-catalog: the files of standardised usage, and keys that it reads."""
    for file in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "profiles/default/config.yaml"):
        assert (ROOT / file).is_file()
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
