"""Fitted networks as policies: what the methods that are networks share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl.core import device as devices
from d4rl_automl.core.files import sha256
from d4rl_automl.learners import curves
from d4rl_automl.learners.checkpoints import Checkpoint
from d4rl_automl.learners.fitting import Fit, LogProgress, Samples, Settings, fit
from d4rl_automl.learners.networks import export
from d4rl_automl.learners.snapshots import Snapshots
from d4rl_automl.policies import handle
from d4rl_automl.policies.formats import FORMATS
from d4rl_automl.settings.kinds import MethodSettings
from d4rl_automl.tasks.outcomes import OutcomeRule


def make_policy(
    train: Samples,
    validation: Samples,
    settings: Settings,
    *,
    method: MethodSettings,
    seed: int,
    device: str,
    threads: int,
    output: str | Path,
    dataset: Mapping[str, Any],
    **facts: Any,
) -> None:
    """Fit a network and write it as policy: what the methods that are networks share.

    `method`, `seed`, `device`, `threads` and `output` as in `d4rl_automl.methods` (`method` is its `settings`);
    `dataset` and `facts` as in `write_policy`. A fit that was killed goes on from its checkpoint beside the output.
    Where the method asks for `checkpoints`, the policy at these points of its fit is beside it, too (`Snapshots`).
    """
    described = handle.describe(method, seed, dataset, train.rule)
    checkpoint = Checkpoint(Path(output).with_name(f".{Path(output).stem}.checkpoint.pt"), method.points)
    snapshots = Snapshots(output, method.points, described)
    name, callbacks = devices.resolve(device).name, [checkpoint, LogProgress(), snapshots]
    fitted = fit(train, validation, settings, seed=seed, device=name, threads=threads, callbacks=callbacks)
    write_policy(fitted, output, method, seed, outcome_rule=train.rule, dataset=dataset, **facts)
    snapshots.place()
    checkpoint.path.unlink(missing_ok=True)
    snapshots.forget()


def write_policy(
    fitted: Fit,
    output: str | Path,
    settings: MethodSettings,
    seed: int,
    *,
    outcome_rule: OutcomeRule,
    dataset: Mapping[str, Any],
    **facts: Any,
) -> None:
    """Write a fitted network as policy: the handle `output`, and beside it the ONNX file and the training curve.

    Arguments
        fitted: what `fit` returned.
        output: {method}-s{seed}.json; its neighbours end in .onnx and .curve.csv.
        settings: the method's entry in the config.
        seed: the training seed.
        outcome_rule: by which the policy is conditioned.
        dataset: has `handle.DATASET_FACTS`, as the transitions table's metadata do.
        facts: what else its handle tells of the training: what it cost besides its own fit (seconds), its splits.
    """
    output = Path(output)
    network = fitted.network
    metadata = handle.describe(settings, seed, dataset, outcome_rule) | {
        "format": "onnx",
        "training": {"settings": settings.shaping(), **fitted.summary},
    }
    onnx_file = output.with_suffix(FORMATS["onnx"].ending)
    export(network, onnx_file, metadata)
    curves.write(output, fitted.curve, network.loss_name, method=settings.name, seed=seed, dataset=dataset["dataset"])
    # Times stay out of the ONNX file, so that the same training gives the same bytes.
    metadata["training"] |= {"fit_seconds": fitted.seconds, **facts}
    handle.write_handle(output, metadata | {"file": onnx_file.name, "sha256": sha256(onnx_file)})
