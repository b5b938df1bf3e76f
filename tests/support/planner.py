"""Plans of the workflow through Snakemake's API, many in one process: `with Planner() as planner: planner.plan(…)`.

Started as a script it is the process that plans: Python and Snakemake are loaded once, and every plan is made in a
fork, since the Snakefile imports the package of its own directory.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Job(NamedTuple):
    """A job of a plan."""

    rule: str
    input: list[str]
    output: tuple[str, ...]
    wildcards: dict[str, str]
    log: str
    command: tuple[str, ...]
    """The script, and the figure that it draws."""
    code: tuple[str, ...]
    """What its param `code` is a digest of, where the plan was asked for that: files from the project's folder on."""
    environment: str
    """The name of its conda environment."""
    demands: dict[str, list[int | None]]
    """What it asks for at its first attempt and at its second."""

    @property
    def id(self) -> str:
        return self.output[0] if self.output else self.rule

    def fits(self, told: str) -> bool:
        """Whether this is of the rule, and has the wildcards, of "rule" or "rule wildcard=value …"."""
        rule, *wildcards = told.split()
        return rule == self.rule and {tuple(part.split("=")) for part in wildcards} <= self.wildcards.items()


class Planner:
    """Makes plans until it is closed."""

    def __enter__(self) -> "Planner":
        # A user's environment: what tells this Python where the package is must not tell Snakemake.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def plan(
        self, project: Path, config: str, targets: Sequence[str] = (), *, every: bool = False, code: bool = False
    ) -> dict[str, Job]:
        """The jobs that a run in `project` would have, by id: all of them if `every`, with their code if `code`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.NamedTemporaryFile("w+") as answer:
            asked = {"answer": answer.name, "project": str(project), "config": config, "targets": list(targets)}
            print(json.dumps(asked | {"every": every, "code": code}), file=self._process.stdin)
            self._process.stdin.flush()
            ended = self._process.stdout.readline()
            text = answer.read()
        assert ended == "0\n", text
        jobs = [
            Job(**fields | {name: tuple(fields[name]) for name in ("output", "command", "code")})
            for fields in json.loads(text)
        ]
        return {job.id: job for job in jobs}


def serve() -> None:
    """Answer every line of standard input, a JSON object as `Planner.plan` writes it, by the exit code of its plan."""
    # What every plan would import; the command line first, since they import each other.
    import snakemake.cli  # noqa: F401, PLC0415
    import snakemake.report.html_reporter  # noqa: F401, PLC0415
    import snakemake.storage  # noqa: F401, PLC0415

    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            asked = json.loads(line)
            answer = asked.pop("answer")
            # What Snakemake says is the answer, unless there is a plan.
            said = os.open(answer, os.O_WRONLY | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            found = json.dumps(jobs_of(**asked))
            Path(answer).write_text(found)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def jobs_of(project: str, config: str, targets: list[str], every: bool, code: bool) -> list[dict[str, Any]]:
    """What `told` tells of the jobs of a plan."""
    from snakemake.api import SnakemakeApi  # noqa: PLC0415
    from snakemake.settings import types  # noqa: PLC0415

    os.chdir(project)
    with SnakemakeApi(types.OutputSettings(quiet={types.Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=types.ResourceSettings(cores=2),
            config_settings=types.ConfigSettings(configfiles=[Path(config)]),
            storage_settings=types.StorageSettings(),
            snakefile=Path(project, "workflow/Snakefile"),
            workdir=Path(project),
        )
        if code:
            tell_the_code(Path(project))
        dag = workflow.dag(types.DAGSettings(targets=set(targets), forceall=every))
        dag.execute_workflow(executor="dryrun")
        return [told(job) for job in workflow._workflow.dag.needrun_jobs(exclude_finished=False)]


def told(job: Any) -> dict[str, Any]:
    """The fields of `Job`."""
    words = (job.shellcmd or "").split()
    code = dict(job.params.items()).get("code", "")
    attempts = []
    for job.attempt in (1, 2):
        attempts.append({name: job.resources.get(name) for name in ("mem_mb", "runtime", "gpu")})
    return {
        "rule": job.rule.name,
        "input": list(job.input),
        "output": list(job.output),
        "wildcards": {name: str(value) for name, value in job.wildcards_dict.items()},
        "log": next(iter(job.log), ""),
        "command": words[1 : 3 if words[1:2] == ["plot"] else 2],
        "code": code.split() if " " in code else [],
        "environment": Path(job.conda_env_spec.file.get_path_or_uri(secret_free=True)).stem
        if job.conda_env_spec
        else "",
        "demands": {name: [asked[name] for asked in attempts] for name in attempts[0]},
    }


def tell_the_code(project: Path) -> None:
    """Let `digest` of the project's package say what it is a digest of, instead of the digest."""
    sys.path.insert(0, str(project / "src"))
    from d4rl_automl.plan import digests, run  # noqa: PLC0415

    def files(script: str, *modules: str, resources: tuple[str, ...] = ()) -> str:
        found = [str(path.relative_to(project)) for path in digests.covered(script, *modules)]
        return " ".join([*found, *(f"src/d4rl_automl/resources/{name}" for name in resources)])

    for module in (digests, run):
        setattr(module, "digest", files)  # noqa: B010  A type checker would not have it otherwise.
    sys.path.pop(0)


if __name__ == "__main__":
    serve()
