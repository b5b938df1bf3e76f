"""A policy at points of its fit, as ONNX: what the config calls its `checkpoints`.

They are played; what a killed fit goes on from is `learners.checkpoints`.
"""

import copy
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import whole
from d4rl_automl.learners.fitting import Callback, Evaluation, Training, evaluated
from d4rl_automl.learners.networks import export


class Snapshots(Callback):
    """Keeps a network at `points` of its fit's evaluations, evenly spread, the last one among them.

    A killed fit that goes on finds those that it has kept: until `place` they are hidden beside the policy, where no
    workflow tidies them away.
    """

    def __init__(self, output: str | Path, points: int, metadata: Mapping[str, Any]) -> None:
        """`output` is the policy's handle, `metadata` what every policy tells of itself (`handle.describe`)."""
        self._output, self._points, self._metadata = Path(output), points, metadata

    def on_start(self, training: Training) -> None:
        """InputError where there are more points than evaluations, and where what was kept has been deleted."""
        due = evaluated(training.settings.updates)
        if self._points > len(due):
            raise InputError(
                f"checkpoints: found {self._points}, but a fit of {training.settings.updates} updates is looked at "
                f"{len(due)} times; ask for {len(due)} at most, or for more updates"
            )
        # Rounded up, so that the last is the end.
        self._due = {due[math.ceil(point * len(due) / self._points) - 1]: point for point in self._numbers}
        for update, point in self._due.items():
            if update <= training.update and not (hidden := self._hidden(point)).exists():
                raise InputError(
                    f"{hidden}: is missing, and the fit goes on after it; delete .{self._output.stem}.checkpoint.pt "
                    "beside it, too, and start again"
                )

    def on_evaluation(self, training: Training, evaluation: Evaluation) -> None:
        point = self._due.get(evaluation.update)
        if point is None:
            return
        told = {
            "update": evaluation.update,
            "training_loss": evaluation.training_loss,
            "validation_loss": evaluation.validation_loss if len(training.validation) else None,
            "keeps": "last" if training.settings.gaussian else "best",
        }
        export(copy.deepcopy(training.network).cpu(), self._hidden(point), {**self._metadata, "training": told})

    def place(self) -> None:
        """Write what was kept to {method}-s{seed}.checkpoints/{point}-of-{points}.onnx beside the policy."""
        for point in self._numbers:
            folder = self._output.with_suffix(".checkpoints")
            with whole(folder / f"{point}-of-{self._points}.onnx") as part:
                shutil.copy(self._hidden(point), part)

    def forget(self) -> None:
        """Delete what is hidden."""
        for point in self._numbers:
            self._hidden(point).unlink(missing_ok=True)

    @property
    def _numbers(self) -> range:
        return range(1, self._points + 1)

    def _hidden(self, point: int) -> Path:
        return self._output.with_name(f".{self._output.stem}.{point}-of-{self._points}.onnx")
