"""What a run is said to take: the work of its jobs, its cost by the tables and by finished jobs, and its schedule."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from d4rl_automl.core import paths
from d4rl_automl.core.files import RESOURCES
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.methods import rcdtp, rvs_r
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan import costs, estimate, gpus, work
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.run import Plan
from d4rl_automl.plan.scheduling import Task, schedule
from d4rl_automl.settings.kinds import MethodSettings, NetworkFit
from tests.support.configs import SHIPPED
from tests.support.pretend_gpus import pretend
from tests.support.project import ROOT

H100, A5500 = "NVIDIA H100 80GB HBM3", "NVIDIA RTX A5500"
PLANS = {path.stem: Plan(validated(yaml.safe_load(path.read_text()))) for path in SHIPPED}


# Scheduling ------------------------------------------------------------------------------------


def longest_chain(tasks: list[Task]) -> float:
    ends: list[float] = []
    for task in tasks:
        ends.append(task.seconds + max((ends[need] for need in task.needs), default=0.0))
    return max(ends, default=0.0)


@st.composite
def plans(draw: st.DrawFn) -> list[Task]:
    made: list[Task] = []
    for index in range(draw(st.integers(1, 12))):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        seconds, threads = draw(st.integers(0, 50)), draw(st.integers(1, 3))
        made.append(Task(float(seconds), threads, draw(st.integers(0, 1)), 1.0, tuple(needs)))
    return made


@settings(max_examples=50, deadline=None)
@given(plans(), st.integers(1, 4), st.integers(1, 2))
def test_a_schedule_is_no_shorter_than_it_can_be_and_no_longer_than_one_job_after_another(
    tasks: list[Task], cores: int, gpus: int
) -> None:
    found = schedule(tasks, cores, gpus)
    area = sum(task.seconds * min(task.threads, cores) for task in tasks)
    on_gpu = sum(task.seconds for task in tasks if task.gpu)
    assert found.seconds >= max(area / cores, on_gpu / gpus, longest_chain(tasks)) - 1e-9
    assert found.seconds <= sum(task.seconds for task in tasks)
    assert found.memory <= len(tasks)
    assert schedule(tasks, cores, None).seconds >= max(area / cores, longest_chain(tasks)) - 1e-9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 5))
def test_jobs_of_one_thread_that_need_nothing_keep_to_grahams_bound(seconds: list[int], cores: int) -> None:
    """List scheduling takes at most 2 - 1/m times as long as the best schedule of m machines (Graham, 1966)."""
    found = schedule([Task(float(one), 1, 0, 0.0, ()) for one in seconds], cores, 1)
    best = max(sum(seconds) / cores, *seconds)
    assert found.seconds <= (2 - 1 / cores) * best + 1e-9


def test_small_jobs_pass_one_that_waits_for_the_gpu_or_for_cores() -> None:
    on_gpu = [Task(10.0, 1, 1, 1.0, ())] * 3
    beside = [Task(5.0, 1, 0, 1.0, ())] * 6
    assert schedule([*on_gpu, *beside], 2, 1).seconds == 30
    assert schedule([*on_gpu, *beside], 2, None).seconds == 30
    assert schedule(on_gpu, 3, None).seconds == schedule(on_gpu, 3, 3).seconds == 10
    # Four threads on two cores hold both.
    assert schedule([Task(10.0, 4, 0, 1.0, ())] * 2, 2, 1).seconds == 20
    found = schedule([Task(1.0, 1, 0, 3.0, ()), Task(2.0, 1, 0, 4.0, (0,)), Task(2.0, 1, 0, 5.0, ())], 2, 1)
    assert (found.seconds, found.memory) == (3, 9)


# Work ------------------------------------------------------------------------------------------


OF_TEACHERS = ("train_teacher", "evaluate_teacher", "measure_importance", "label_teacher")


def rules() -> set[str]:
    """Every rule of the workflow that makes something of a dataset."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk") if path.stem != "behaviour")
    makings = {making.rule for kind in METHODS.values() for making in kind.makings}
    return set(re.findall(r"^rule (\w+):", text, re.M)) | makings | {p.rule for p in PROVIDERS.values()}


def jobs(plan: Plan) -> Iterator[tuple[str, dict[str, str]]]:
    """Every rule, with the wildcards of its jobs of one seed and dimension."""
    made = {making.rule: names for _, making, points, names in plan.makings() if not points}
    for rule, dataset in product(sorted(rules()), plan.learned):
        these = {"dataset": dataset, "seed": "0", "dimension": "1", "simulator": "d4rl"}
        methods = [method.name for method in plan.config.methods_for(dataset)]
        if rule in OF_TEACHERS:
            yield from ((rule, these | {"teacher": one.name}) for one in plan.config.teachers_for(dataset))
        elif rule in made or rule in ("rollout", "rollout_checkpoints", "distill_teacher"):
            own = {
                "distill_teacher": plan.distilled(),
                "rollout_checkpoints": [name for name in methods if plan.methods[name].points],
            }.get(rule, made.get(rule, methods))
            yield from ((rule, these | {"method": name}) for name in methods if name in own)
        else:
            yield rule, these


def all_works(plan: Plan) -> Iterator[tuple[str, work.Work]]:
    works = work.Works(plan)
    for rule, these in jobs(plan):
        found = works.of(rule, these)
        assert found is not None, f"{rule}: plan/work.py does not know what it costs"
        yield rule, found


def test_every_rule_has_a_cost_and_every_cost_is_used() -> None:
    used: set[str] = set()
    for plan in PLANS.values():
        for _, found in all_works(plan):
            parts = (*found.parts, *found.fit)
            used |= {name for name, _ in parts}
            assert all(amount >= 0 for _, amount in parts)
            cost = costs.cost(found, 1, None)
            assert cost.core > 0 and cost.wall > 0 and cost.memory > 0
            assert sum(seconds for _, seconds in cost.basis) == pytest.approx(cost.core)
    # Of models and files that no shipped config has; figures have rules by their names.
    assert used | {"figure", "fit GBM", "act other", "trained other"} == set(costs.works())


def test_episodes_are_as_long_as_those_of_policies_of_such_data() -> None:
    """Of the name of D4RL's datasets, of the recipe of embedded ones: the lengths in docs/results, by its quality."""
    steps = {}
    for config in ("config", "embedded"):
        works = work.Works(PLANS[config])
        for dataset, entry in PLANS[config].datasets.items():
            method = next(m.name for m in PLANS[config].config.methods_for(dataset) if m.kind == "mlp")
            found = works.of("rollout", {"dataset": dataset, "method": method, "seed": "0", "simulator": "d4rl"})
            assert found is not None
            ((physics, amount),) = [part for part in found.parts if part[0].startswith("physics")]
            ((_, episodes),) = [part for part in found.parts if part[0] == "played"]
            steps[dataset] = amount / episodes
            assert physics == f"physics of {'antmaze' if 'antmaze' in dataset else entry.task}"
    assert steps["hopper-random-v2"] == steps["hopper-random-embedded-v1"] == 90
    assert steps["walker2d-medium-replay-v2"] == steps["walker2d-medium-replay-embedded-v1"] == 430
    assert steps["halfcheetah-random-v2"] == 1000 and steps["antmaze-umaze-v2"] == 0.75 * 700


def test_an_unknown_rule_is_short_and_said_not_to_be_measured() -> None:
    assert work.Works(PLANS["quickstart"]).of("someone_elses", {}) is None
    cost = costs.cost(None, 1, None)
    assert dict(cost.basis) == {costs.UNKNOWN: cost.core} and cost.core < 1


def test_a_kind_that_says_nothing_of_its_fit_is_not_measured() -> None:
    """As one that a user adds (docs/extending.md), or a forest that nobody measured."""
    plan = Plan(PLANS["quickstart"].config)
    for method, told in (
        (MethodSettings(name="mlp", kind="mlp"), {costs.UNKNOWN}),
        (rcdtp.Settings(name="mlp", kind="rcdtp"), {costs.MEASURED}),
    ):
        plan.methods["mlp"] = method
        these = {"dataset": next(iter(plan.datasets)), "method": "mlp", "seed": "0", "simulator": "d4rl"}
        for rule in ("fit_mlp", "rollout"):
            cost = costs.cost(work.Works(plan).of(rule, these), 1, None)
            assert {name for name, _ in cost.basis} == told and cost.core > 0


def constants(path: Path) -> dict[str, Any]:
    """The plain values that a module gives names to, which is not imported: it would load AutoGluon."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            try:
                found[ast.unparse(target)] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def test_what_jobs_do_is_what_the_modules_that_do_it_say() -> None:
    of = {
        name: constants(ROOT / f"src/d4rl_automl/{name}.py")
        for name in (
            *(f"teachers/{name}" for name in ("training", "distillation", "importance", "labels")),
            "evaluation/comparison",
        )
    }
    assert of["teachers/training"]["TEST_ROWS"] == work.TEST_ROWS
    assert tuple(of["teachers/importance"][n] for n in ("ROWS", "SHUFFLES")) == (work.IMPORTANCE_ROWS, work.SHUFFLES)
    assert of["evaluation/comparison"]["ROWS"] == work.COMPARED_ROWS
    assert of["teachers/labels"]["BATCH"] == work.BATCH
    network = of["teachers/distillation"]["DISTILLED"]["NN_TORCH"]
    assert (*(network[name] for name in ("num_epochs", "hidden_size", "num_layers")),) == (
        work.DISTILLED_EPOCHS,
        work.DISTILLED_WIDTH,
        work.DISTILLED_LAYERS,
    )


def test_the_work_of_rvs_is_that_of_its_paper() -> None:
    plan, works = PLANS["config"], work.Works(PLANS["config"])
    found = works.of("fit_rvs_r", {"dataset": "hopper-medium-v2", "method": "rvs-r", "seed": "0"})
    assert found is not None and found.network == NetworkFit(1024, 2, 16_384, 2000 * 62, "float32")
    assert (found.inputs, found.outputs) == (12, 3)
    assert plan.methods["rvs-r"].fitted(1) == NetworkFit(1024, 2, 16_384, rvs_r.EPOCHS, "float32")
    # 104.9 TFLOP per thousand updates of two layers of 1,024 units, but for what leads in and out.
    assert work.floating_point_operations(found.network, 0, 0) == pytest.approx(103.1e9, rel=0.001)


def test_a_teacher_takes_its_budget_where_it_bags_and_what_its_models_take_where_they_end_before() -> None:
    works, teachers = work.Works(PLANS["config"]), PLANS["config"].teachers
    these = {"dataset": "halfcheetah-medium-expert-v2", "seed": "0", "dimension": "0"}
    bagged = works.of("train_teacher", these | {"teacher": "best-2h"})
    budget = teachers["best-2h"].budget
    for threads in (1, 8):
        cost = costs.cost(bagged, threads, None)
        assert dict(cost.basis)[costs.LIMIT] == budget
        assert budget / threads < cost.wall < 2 * budget / threads and cost.gpu == 0
    assert costs.cost(bagged, 2, H100).gpu == budget / 2
    medium = costs.cost(works.of("train_teacher", these | {"teacher": "medium"}), 4, None)
    assert costs.LIMIT not in dict(medium.basis) and medium.core < teachers["medium"].budget
    plan = Plan(PLANS["config"].config)
    plan.teachers["medium"] = plan.teachers["medium"].model_copy(update={"time_limit": 30})
    short = costs.cost(work.Works(plan).of("train_teacher", these | {"teacher": "medium"}), 4, None)
    assert dict(short.basis)[costs.LIMIT] == 4 * 30
    dataset = next(iter(PLANS["quickstart"].datasets))
    these = {"dataset": dataset, "teacher": "medium-capped", "seed": "0", "dimension": "0"}
    capped = costs.cost(work.Works(PLANS["quickstart"]).of("train_teacher", these), 1, None)
    assert costs.LIMIT not in dict(capped.basis) and 10 < capped.core < 100


# Costs -----------------------------------------------------------------------------------------


def network(width: int, batch: int, updates: int = 1000, precision: str = "float32") -> work.Work:
    return work.Work((), NetworkFit(width, 2, batch, updates, precision), 18, 6)


def test_networks_of_the_sizes_that_were_measured_take_what_was_measured() -> None:
    for line in (RESOURCES / "network_costs.csv").read_text().splitlines()[1:]:
        device, precision, width, layers, batch, inputs, outputs, seconds, *_ = line.split(",")
        assert (layers, inputs, outputs) == ("2", "18", "6")
        cost = costs.cost(network(int(width), int(batch), 1000, precision), 1, None if device == "cpu" else device)
        assert (cost.core if device == "cpu" else cost.gpu) == pytest.approx(float(seconds))


@settings(deadline=None)
@given(st.integers(8, 4096), st.integers(8, 4096), st.integers(1, 65_536), st.sampled_from([None, H100, A5500]))
def test_a_wider_network_takes_no_less(narrow: int, wide: int, batch: int, card: str | None) -> None:
    narrow, wide = sorted((narrow, wide))
    less, more = (costs.cost(network(width, batch), 1, card) for width in (narrow, wide))
    assert less.wall <= more.wall * (1 + 1e-9)
    assert costs.cost(network(wide, batch, 2000), 1, card).wall == pytest.approx(2 * more.wall)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_another_card_is_slower_by_its_data_sheet_and_it_is_said(precision: str) -> None:
    """At least by the lesser of the ratios of arithmetic and memory, at most by the greater."""
    ours, theirs = (costs.cost(network(1024, 16_384, precision=precision), 1, card) for card in (H100, A5500))
    arithmetic = {"float32": 66.9 / 34.1, "tf32": 494.7 / 68.2, "bfloat16": 989.4 / 136.4}[precision]
    low, high = sorted((arithmetic, 3350 / 768))
    assert low <= theirs.gpu / ours.gpu <= high
    assert [name for name, _ in ours.basis] == [costs.MEASURED]
    assert [name for name, _ in theirs.basis] == [costs.SHEET]


def test_a_card_is_known_by_its_name_or_a_part_of_it() -> None:
    assert costs.known_card("a5500") == costs.known_card("NVIDIA RTX A5500") == A5500
    assert costs.known_card("NVIDIA H200 NVL") == "NVIDIA H200"
    assert costs.known_card("a card of 2031") is None


# Finished jobs ---------------------------------------------------------------------------------


def finish(name: str, core: float, wall: float) -> None:
    log, benchmark = Path(paths.log(name)), Path(paths.benchmark(name))
    for path in (log, benchmark):
        path.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a line\n" * 200 + f"INFO {core:.2f} s of processor time\n")
    benchmark.write_text(f"s\th:m:s\tmax_rss\n{wall}\t0:00:00\t100\n")


def job(
    name: str, core: float, *, sort: str = "", rule: str = "rollout", gains: bool = False, done: bool = False
) -> estimate.Job:
    cost = costs.Cost(core, 0.0, core, 1e9, 1e6, ((costs.MEASURED, core),))
    return estimate.Job(name, rule, estimate.Key(rule, sort, "cpu"), 1, 0, gains, cost, (), done)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_finished_jobs_correct_those_that_are_like_them_and_the_machine_all_others(folder: Path) -> None:
    done = [job("d/a", 100, done=True), job("d/b", 100, rule="fit_bc", done=True)]
    assert estimate.factors(done).of(done[0].key) == (1.0, 1.0)
    finish("d/a", 300, 310)
    finish("d/b", 100, 110)
    found = estimate.factors(done)
    assert found.of(done[0].key)[0] == 3 and found.of(done[1].key)[0] == 1
    assert found.of(job("d/c", 1, rule="fit_mlp").key)[0] == 2
    limited = job("d/t", 1, rule="train_teacher", sort=costs.LIMIT)
    assert found.of(limited.key)[0] == 1


def test_what_another_config_ran_here_corrects_this_one(folder: Path) -> None:
    ran = [job("other/rollouts/m", 200)]
    finish("other/rollouts/m", 50, 50)
    assert estimate.factors([]).of(ran[0].key)[0] == 1
    estimate.remember(ran)
    # Its benchmark file is older than what was told of it: that is from a run before.
    assert estimate.factors([]).of(ran[0].key)[0] == 1
    later = Path(paths.ESTIMATE).stat().st_mtime + 10
    finish("other/rollouts/m", 500, 500)
    os.utime(paths.benchmark("other/rollouts/m"), (later, later))
    assert estimate.factors([]).of(ran[0].key)[0] == 2.5
    # The rows of other runs are kept.
    estimate.remember([job("this/rollouts/m", 10)])
    assert estimate.factors([]).of(ran[0].key)[0] == 2.5


@pytest.mark.parametrize("text", ["", "job,rule\nx,y\n", "\x00", "job,rule,sort,device,core,wall,at,tables\na,b\n"])
def test_a_damaged_memory_is_none(folder: Path, text: str) -> None:
    Path(paths.ESTIMATE).parent.mkdir(parents=True)
    Path(paths.ESTIMATE).write_text(text)
    assert estimate.factors([]).overall == 1
    estimate.remember([job("d/a", 1)])
    assert len(Path(paths.ESTIMATE).read_text().splitlines()) == 2


# What is said ----------------------------------------------------------------------------------

EIGHT = estimate.Machine(8, (A5500,), 1)
NO_GPU = estimate.Machine(8, (), None)


def test_the_line_says_all_that_is_asked() -> None:
    jobs = [job(f"d/{number}", 3600) for number in range(16)]
    line = estimate.Estimate(jobs, NO_GPU, estimate.Factors()).line()
    assert line == "About 2 h on 8 cores and no GPU: 16 h of processor time, 16 MB of disk, 8 GB of memory at most."
    assert "by its data sheet" in estimate.Estimate(jobs, EIGHT, estimate.Factors()).line()
    assert "up to the queue" in estimate.Estimate(jobs, EIGHT, estimate.Factors()).line(queued=True)
    assert estimate.Estimate([], EIGHT, estimate.Factors()).line() == "Nothing to be done."


def test_the_table_adds_up_and_gathers_what_costs_next_to_nothing() -> None:
    jobs = [job("d/a", 7200), job("d/b", 3600, rule="fit_bc"), *(job(f"d/{r}", 1e-3, rule=r) for r in ("x", "y"))]
    for small in jobs[2:]:
        object.__setattr__(small.cost, "disk", 0.0)
    rows = estimate.Estimate(jobs, NO_GPU, estimate.Factors()).table()
    assert [(row["rule"], row["jobs"], row["processor time"]) for row in rows] == [
        ("rollout", "1", "2 h"),
        ("fit_bc", "1", "1 h"),
        ("2 others", "2", "0 s"),
        ("all", "4", "3 h"),
    ]


def test_trainings_of_days_without_a_gpu_are_said_loudly_with_the_config_that_fits() -> None:
    trainings = [job(f"d/{number}", 50_000, rule="fit_rvs_r", gains=True) for number in range(3)]
    said = estimate.Estimate(trainings, NO_GPU, estimate.Factors()).warning("the driver is missing")
    assert "NO GPU WAS FOUND (the driver is missing)" in said and "3 trainings" in said and "42 h" in said
    assert (ROOT / re.search(r"--configfile (\S+),", said)[1]).is_file()
    assert not estimate.Estimate(trainings, EIGHT, estimate.Factors()).warning("")
    assert not estimate.Estimate(trainings[:1], NO_GPU, estimate.Factors()).warning("")
    beside = [job("d/r", 1e6)]
    assert not estimate.Estimate(beside, NO_GPU, estimate.Factors()).warning("")


def test_what_is_done_is_left_out_and_needed_no_more() -> None:
    jobs = [job("d/a", 10, done=True), job("d/b", 10), job("d/c", 10)]
    for place, needs in ((1, (0,)), (2, (0, 1))):
        object.__setattr__(jobs[place], "needs", needs)
    assert [(left.name, left.needs) for left in estimate.to_run(jobs)] == [("d/b", ()), ("d/c", (0,))]
    assert len(estimate.to_run(jobs, whole=True)) == 3


def test_the_config_for_a_processor_is_the_benchmark_with_other_networks_and_no_training_of_days() -> None:
    whole, small = PLANS["config"].config, PLANS["cpu"].config
    assert (small.device, whole.device) == ("cpu", "auto")
    for key in ("datasets", "seeds", "simulators", "split", "teachers", "labels", "rollout"):
        assert getattr(small, key) == getattr(whole, key), key
    kept = {method.name: method for method in small.methods}
    of_networks = ("rvs_r", "rvs_g", "bc")
    assert [kept.pop(m.name) for m in whole.methods if m.kind not in of_networks] == [
        m for m in whole.methods if m.kind not in of_networks
    ]
    assert {(m.kind, getattr(m, "best", None)) for m in kept.values()} == {
        ("rvs", None),
        *((m.kind, m.best) for m in whole.methods if m.kind == "bc"),
    }
    for _, found in all_works(PLANS["cpu"]):
        assert found.network is None or costs.cost(found, 1, None).core < 3600


# Which GPUs there are --------------------------------------------------------------------------


def test_cards_are_those_that_jobs_find_by_the_names_of_the_driver(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "DRIVER", folder / "gpus")
    monkeypatch.setattr(gpus, "_built_without_cuda", lambda: False)
    pretend(folder / "none", monkeypatch, [])
    assert gpus.found() == ([], "nvidia-smi finds none")
    pretend(folder / "two", monkeypatch, ["GPU-1", "GPU-2"])
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (folder / "gpus" / bus).mkdir(parents=True)
        (folder / "gpus" / bus / "information").write_text("Model: \t\t NVIDIA RTX A5500\nIRQ: 5\n")
    assert gpus.found() == ([A5500] * 2, "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus.found() == ([A5500], "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.found() == ([], "CUDA_VISIBLE_DEVICES is ''")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(gpus, "_built_without_cuda", lambda: True)
    assert gpus.found() == ([], "torch is built without CUDA, though there is a card")


@pytest.mark.parametrize(("line", "without"), [("cuda: Optional[str] = None", True), ("cuda = '13.0'", False)])
def test_a_torch_that_is_built_without_cuda_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, without: bool
) -> None:
    (folder / "torch").mkdir()
    (folder / "torch/__init__.py").write_text("raise RuntimeError('it is not to be imported')")
    (folder / "torch/version.py").write_text(f"__version__ = '2.13.0'\n{line}\nhip: Optional[str] = None\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    assert gpus._built_without_cuda() is without
