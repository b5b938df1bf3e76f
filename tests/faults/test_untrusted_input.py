"""Files and a configuration from anywhere: nothing in them is executed, and nothing outside them is read or written."""

import ast
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from d4rl_automl.behaviour import policies
from d4rl_automl.core import directories, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import admission, card, catalogue, datasets, making, recordings, transitions
from d4rl_automl.data.providers import file
from d4rl_automl.figures.table import FIGURES
from d4rl_automl.learners import fitting
from d4rl_automl.learners.checkpoints import Checkpoint
from d4rl_automl.methods import autogluon_student
from d4rl_automl.plan import config
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.policies.handle import write_handle
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.tasks import outcomes
from d4rl_automl.teachers import distillation
from tests.support.datasets import SPLIT, arrays, store, write_provenance
from tests.support.networks import HERE, SETTINGS, samples
from tests.support.policies import metadata_of, weights_of, write_graph, write_policy
from tests.support.project import ROOT, copy_project, snakemake

# HDF5 ------------------------------------------------------------------------------------------


def others(name: str, folder: Path) -> tuple[Path, np.ndarray]:
    """Files that are not the dataset's, with the values it would need."""
    values = arrays()[name]
    path = store(folder / "secret.hdf5", {name: values, "group/qpos": np.zeros((50, 6))})
    values.tofile(folder / "secret.bin")
    return path, values


def external_link(file: h5py.File, name: str, folder: Path) -> None:
    file[name] = h5py.ExternalLink(others(name, folder)[0], f"/{name}")


def soft_link_over_an_external_one(file: h5py.File, name: str, folder: Path) -> None:
    file["away"] = h5py.ExternalLink(others(name, folder)[0], "/")
    file[name] = h5py.SoftLink(f"/away/{name}")


def external_group(file: h5py.File, name: str, folder: Path) -> None:
    path, values = others(name, folder)
    file[name] = values
    file["infos/more"] = h5py.ExternalLink(path, "/group")


def external_storage(file: h5py.File, name: str, folder: Path) -> None:
    _, values = others(name, folder)
    stored = [(folder / "secret.bin", 0, values.nbytes)]
    file.create_dataset(name, values.shape, values.dtype, external=stored)


def virtual(file: h5py.File, name: str, folder: Path) -> None:
    path, values = others(name, folder)
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(path, name, values.shape)
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("name", ["observations", "rewards"])
@pytest.mark.parametrize(
    "way", [external_link, soft_link_over_an_external_one, external_group, external_storage, virtual]
)
def test_values_of_other_files_are_refused(
    tmp_path: Path, way: Callable[[h5py.File, str, Path], None], name: str
) -> None:
    content = arrays()
    del content[name]
    path = store(tmp_path / "raw.hdf5", content)
    with h5py.File(path, "a") as file:
        way(file, name, tmp_path)
    with h5py.File(path) as file:  # HDF5 itself follows them.
        np.testing.assert_array_equal(file[name], arrays()[name])
    for read in (datasets.load_dataset, lambda path: recordings.examine(path, "hopper")):
        with pytest.raises(InputError, match=r"raw\.hdf5: .* leads to another file"):
            read(path)


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    content = arrays()
    path = store(tmp_path / "raw.hdf5", {**content, "kept/rewards": content["rewards"]})
    with h5py.File(path, "a") as file:
        del file["rewards"]
        file["rewards"] = h5py.SoftLink("/kept/rewards")
        file["circle"] = h5py.SoftLink("/circle")
        file["kept/all"] = file["/"]
    np.testing.assert_array_equal(datasets.load_dataset(path).rewards, content["rewards"])


FILTER = 305


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) to make a plugin with")
def test_filter_plugins_are_not_loaded(tmp_path: Path) -> None:
    """A library that only has to be loaded to have done its work lies where HDF5 looks for plugins."""
    marker, plugins = tmp_path / "loaded", tmp_path / "plugins"
    plugins.mkdir()
    does = f'__attribute__((constructor)) static void does(void) {{ fclose(fopen("{marker}", "w")); }}'
    (tmp_path / "plugin.c").write_text(f"#include <stdio.h>\n{does}\n")
    command = ["cc", "-shared", "-fPIC", "-o", str(plugins / "libplugin.so"), str(tmp_path / "plugin.c")]
    subprocess.run(command, check=True)
    content = arrays()
    path = store(tmp_path / "raw.hdf5", {name: content[name] for name in content if name != "rewards"})
    with h5py.File(path, "a") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((50,))
        created.set_filter(FILTER, h5py.h5z.FLAG_OPTIONAL)
        array = h5py.h5d.create(file.id, b"rewards", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((50,)), created)
        array.write_direct_chunk((0,), content["rewards"].tobytes())

    def run(code: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HDF5_PLUGIN_PATH": str(plugins), "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-c", code, str(path)]
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    done = run("import sys; from d4rl_automl.data import recordings; recordings.examine(sys.argv[1], 'hopper')")
    assert f"rewards is compressed by the HDF5 filter {FILTER}, which takes a plugin" in done.stderr
    assert not marker.exists()
    run("import sys, h5py; h5py.File(sys.argv[1])['rewards'][()]")
    assert marker.exists(), "HDF5 alone loads it"


@pytest.mark.parametrize("options", [{}, {"chunks": (1000, 11), "compression": "gzip"}])
def test_sizes_that_are_only_claimed_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """10^12 rows, 44 TB, in a file of a few kB."""
    rows = 10**12
    path = tmp_path / "raw.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("observations", (rows, 11), np.float32, **options)
        file.create_dataset("actions", (rows, 3), np.float32)
        for name in ("rewards", "terminals", "timeouts"):
            file.create_dataset(name, (rows,), np.float32)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"has shape \(1000000000000.*, of which the file holds 0; it is damaged or"):
        recordings.examine(path, "hopper")


def test_what_compresses_well_or_was_never_written_is_taken(tmp_path: Path) -> None:
    content = arrays(100_000)
    zeros = {"next_observations": np.zeros((100_000, 11), np.float32), "infos/qpos": np.zeros((100_000, 60))}
    path = store(tmp_path / "raw.hdf5", content | zeros, compression="gzip", compression_opts=9)
    with h5py.File(path, "a") as file:
        del file["timeouts"]
        file.create_dataset("timeouts", (100_000,), bool)
    assert not datasets.load_dataset(path, ends="flags").timeouts.any()


def test_words_in_an_hdf5_file_go_nowhere(tmp_path: Path) -> None:
    """Attributes and metadata may say anything: neither tables nor the card repeat it."""
    hostile = "<script>alert(1)</script> | $(touch pwned) ../../x {dataset}"
    path = store(tmp_path / "raw.hdf5", arrays(100) | {"metadata/algorithm": hostile, "metadata/<b>": 1})
    with h5py.File(path, "a") as file:
        file.attrs["dataset"] = file["rewards"].attrs["name"] = hostile
    write_provenance(tmp_path)
    names = ("transitions.parquet", "episodes.parquet", "card.json", "card.md", "simulator.json")
    made = [tmp_path / name for name in names]
    admission.write(path, tmp_path / "raw.json", made[4])
    making.make_transitions(path, tmp_path / "raw.json", SPLIT, output=made[0], episodes_output=made[1])
    card.write(
        raw=path,
        provenance=tmp_path / "raw.json",
        simulator=made[4],
        transitions=made[0],
        episodes=made[1],
        simulators=["d4rl"],
        output=made[2],
        markdown=made[3],
    )
    for file in made:
        assert not re.search(rb"script|pwned|<b>", file.read_bytes())


# ONNX ------------------------------------------------------------------------------------------


def write_external(path: Path, location: str) -> None:
    """The graph of `write_graph`, one of its weights said to be in another file."""
    metadata = metadata_of()
    write_graph(path, metadata, weights_of(metadata))
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w0")
    values = numpy_helper.to_array(weight)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(values.nbytes))):
        weight.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    values.tofile(path.parent / "weights.bin")


@pytest.mark.parametrize("location", ["weights.bin", "../{folder}/weights.bin", "{path}/weights.bin"])
def test_weights_in_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    """Even of the graph's own folder: ONNX Runtime would look in the working directory for a graph in memory."""
    monkeypatch.chdir(tmp_path)
    file, handle = tmp_path / "tiny-s3.onnx", tmp_path / "tiny-s3.json"
    write_external(file, location.format(folder=tmp_path.name, path=tmp_path))
    write_handle(handle, metadata_of() | {"format": "onnx", "file": file.name, "sha256": files.sha256(file)})
    for path in (handle, file):
        with pytest.raises(InputError, match=r"tiny-s3\.onnx: not an ONNX file .*its weights inside"):
            load_policy(path)
    if location == "weights.bin":
        onnxruntime.InferenceSession(file.read_bytes())  # Without our options.


def write_nodes(folder: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> Path:
    """A policy whose graph has these nodes; returns its handle."""
    file, handle = folder / "tiny-s3.onnx", folder / "tiny-s3.json"
    observation, outcome, action = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("observation", 11), ("outcome", 1), ("action", 3))
    )
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "policy", [observation, outcome], [action], held)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=8), file)
    write_handle(handle, metadata_of() | {"format": "onnx", "file": file.name, "sha256": files.sha256(file)})
    return handle


def test_operators_of_other_libraries_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Run", ["observation", "outcome"], ["action"], domain="elsewhere")]
    with pytest.raises(InputError, match=r"tiny-s3\.onnx: not an ONNX file .*elsewhere:Run.* is not a registered"):
        load_policy(write_nodes(tmp_path, nodes, {}))


def test_a_graph_that_asks_for_more_memory_than_there_is_is_an_error(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["much"]),
        helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
        helper.make_node("Slice", ["observation", "start", "end", "axis"], ["part"]),
        helper.make_node("Add", ["part", "sum"], ["action"]),
    ]
    numbers = {"size": [10**13], "start": [0], "end": [3], "axis": [1]}
    handle = write_nodes(tmp_path, nodes, {name: np.array(value) for name, value in numbers.items()})
    with pytest.raises(InputError, match=r"tiny-s3\.onnx: ONNX Runtime cannot play the graph .*allocate"):
        load_policy(handle).act(np.zeros((1, 11)), np.zeros((1, 1)))


@pytest.mark.parametrize("path", ["../tiny-s3.onnx", "/etc/passwd", "there/tiny-s3.onnx"])
def test_a_handle_points_at_a_file_beside_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "there").mkdir()
    handle = write_policy(tmp_path)
    told = yaml.safe_load(handle.read_text())
    for folder in (tmp_path.parent, tmp_path / "there"):
        shutil.copy(tmp_path / "tiny-s3.onnx", folder)
    files.write_json(handle, told | {"file": path})
    with pytest.raises(InputError, match=r"tiny-s3\.json: file is '.*'; expected the name of a file beside it"):
        load_policy(handle)


# Pickles ---------------------------------------------------------------------------------------


class Executed:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_in_the_place_of_any_file_is_not_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    content = pickle.dumps(Executed(marker))
    pickle.loads(content)
    marker.rmdir()

    bad = tmp_path / "bad"
    bad.write_bytes(content)
    arrays_of = {"observations": np.array([Executed(marker)], object)}
    np.savez(tmp_path / "behaviour.npz", w0=arrays_of["observations"])
    readers: list[Callable[[], object]] = [
        lambda: datasets.load_dataset(bad),
        lambda: transitions.read(bad),
        lambda: tables.read_parquet(bad, ["return"]),
        lambda: tables.read_csv(bad, ["return"]),
        lambda: tables.read_json(bad, ["return"]),
        lambda: policies.TanhGaussian(bad, "hopper", 1.0),
        lambda: policies.TanhGaussian(tmp_path / "behaviour.npz", "hopper", 1.0),
    ]
    for form, ending in (("onnx", "onnx"), ("xgboost", "ubj"), ("catboost", "cbm")):
        file, handle = tmp_path / f"x.{ending}", tmp_path / f"{form}.json"
        file.write_bytes(content)
        write_handle(handle, metadata_of() | {"format": form, "file": file.name, "sha256": files.sha256(file)})
        readers.append(lambda handle=handle: load_policy(handle))  # type: ignore[misc]
    for read in readers:
        with pytest.raises(InputError):
            read()
    assert not marker.exists()


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))])
def test_a_checkpoint_that_would_execute_something_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, save: Callable[[Any, Path], None]
) -> None:
    checkpoint, marker = tmp_path / "c.pt", tmp_path / "executed"
    save({"key": Executed(marker)}, checkpoint)
    fitting.fit(samples(200), samples(50, 1), SETTINGS, **HERE, callbacks=[Checkpoint(checkpoint)])
    assert "cannot be read" in caplog.text
    assert not marker.exists()


def test_autogluon_directories_are_loaded_only_as_they_were_recorded(tmp_path: Path) -> None:
    marker, directory = tmp_path / "executed", tmp_path / "ac0"
    directory.mkdir()
    (directory / "learner.pkl").write_bytes(b"as trained")
    directories.record(directory)
    for name in ("learner.pkl", "predictor.pkl"):
        (directory / name).write_bytes(pickle.dumps(Executed(marker)))
    with pytest.raises(InputError, match="pickles, which are loaded only as they were made"):
        Predictors([directory], outcomes.AVERAGE, chain=False, threads=1)
    with pytest.raises(InputError, match="pickles, which are loaded only as they were made"):
        distillation.distill_dimension(
            transitions=tmp_path / "unread.parquet",
            predictor=directory,
            dimension=0,
            settings=autogluon_student.Settings(name="s", kind="autogluon_student", teacher="t"),
            seed=0,
            device="cpu",
            threads=1,
            output=tmp_path / "distilled",
        )
    assert not marker.exists()
    directories.record(directory)
    with pytest.raises(Exception):  # noqa: B017 - whatever AutoGluon says of a folder as a predictor
        Predictors([directory], outcomes.AVERAGE, chain=False, threads=1)
    assert marker.exists(), "AutoGluon alone executes it"


UNPICKLERS = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}


def test_no_code_loads_a_pickle_but_where_it_is_checked() -> None:
    """Every loader of src/, scripts/ and workflow/ that would execute what it reads."""
    found = []
    for folder in ("src", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                safe = {"np.load": ("allow_pickle", "False"), "torch.load": ("weights_only", "True")}
                if called in safe:
                    name, value = safe[called]
                    if options.get(name) != value:
                        found.append(f"{path.name}: {called}")
                elif (
                    called.split(".")[0] in UNPICKLERS
                    or called in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "pd.read_pickle")
                    or called.endswith("Predictor.load")
                ):
                    found.append(f"{path.name}: {called}")
    assert sorted(found) == ["autogluon.py: TabularPredictor.load", "distillation.py: TabularPredictor.load"]


# Names and paths -------------------------------------------------------------------------------

NAMES = ["../up", "/tmp/x", "a/b", ".", "..", "", "a b", "a\n", "A", "{seed}", "a*", "-n", "$(touch x)", "ä", None, 7]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["teachers", "methods", "datasets"])
def test_names_that_are_no_plain_names_are_refused(where: str, name: object) -> None:
    given: dict[str, list[dict[str, Any]]] = {
        "datasets": [{"name": "mine", "provider": "file", "task": "hopper", "path": "x.hdf5"}],
        "teachers": [{"name": "t", "preset": "medium"}],
        "methods": [{"name": "m", "kind": "mlp"}],
    }
    config.validated(given)
    given[where][0]["name"] = name
    with pytest.raises(InputError, match=rf"config: {where}\[0\]"):
        config.validated(given)


def test_no_dataset_takes_the_place_of_what_results_holds() -> None:
    where = [*(ROOT / "workflow/rules").glob("*.smk"), ROOT / "src/d4rl_automl/core/paths.py"]
    taken = set(re.findall(r"results/([a-z_.]+)", "".join(path.read_text() for path in where)))
    # Where figures stand is in their table, below results/.
    taken |= {figure.job.split("/")[0] for figure in FIGURES.values()} - {"{dataset}"}
    assert {"figures", "scores.csv", "benchmarks", "report", "behaviour"} <= taken
    for name in taken:
        with pytest.raises(InputError, match="is taken"):
            catalogue.entry({"name": name, "provider": "file", "task": "hopper", "path": "x"})


def test_a_path_full_of_shell_is_only_a_path_and_the_file_behind_it_stays(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    name = "it's $(touch pwned) `touch pwned` ; touch pwned; \" * &.hdf5"
    own = store(tmp_path / name, arrays(2000))
    before = own.read_bytes(), own.stat().st_mtime_ns
    mine = {"name": "hopper-mine", "provider": "file", "task": "hopper", "path": f"../{name}"}
    (project / "mine.yaml").write_text(yaml.safe_dump({"datasets": [mine]}))
    known = {path for path in tmp_path.rglob("*") if path.is_file()}
    for forced in ((), ("--forceall",)):
        snakemake("transitions", "--configfile", "mine.yaml", "--cores", "1", *forced, directory=project)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} - {
        path.relative_to(tmp_path) for path in known
    }
    places = {path.parts[1] for path in made if path.parts[0] == "project"}
    assert places <= {"results", "logs", ".snakemake", "src"} and {path.parts[0] for path in made} == {"project"}
    assert not list(tmp_path.rglob("pwned*"))
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before


def test_a_copy_that_replaced_the_file_unseen_is_noticed(tmp_path: Path) -> None:
    """Same name, same time stamp: Snakemake sees nothing, the checksum does."""
    own = store(tmp_path / "mine.hdf5", arrays())
    entry = file.Entry(name="mine", provider="file", task="hopper", path=str(own))
    raw, provenance = tmp_path / "raw.hdf5", tmp_path / "raw.json"
    file.fetch(entry, local="", mirrors=(), output=str(raw), provenance=str(provenance), threads=1)
    times = own.stat()
    store(own, arrays(seed=1))
    os.utime(own, ns=(times.st_atime_ns, times.st_mtime_ns))
    outputs = {"output": tmp_path / "t.parquet", "episodes_output": tmp_path / "e.parquet"}
    with pytest.raises(InputError, match=r"raw\.hdf5: its SHA-256 is .* delete both and run snakemake"):
        making.make_transitions(raw, provenance, SPLIT, **outputs)
    assert not list(tmp_path.glob("*.parquet"))
