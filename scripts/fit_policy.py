"""Make one policy: the method's kind names the module of `d4rl_automl.methods` that does it."""

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
from typing import Any

from d4rl_automl.core import gpus
from d4rl_automl.core.script import run
from d4rl_automl.tracking import VARIABLE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the method's entry of the config")
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--seed", type=int, required=True, help="the training seed")
    parser.add_argument("--device", choices=("cpu", "auto", "cuda"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", required=True, help="the policy's handle (JSON); its files go beside it")
    parser.add_argument("--labels", help="the teacher's labels, of a method that needs them")
    parser.add_argument("--deployed", nargs="+", help="directories for acting, of a method that needs them, in order")
    parser.add_argument("--checkpoints", nargs="*", default=[], help="files of the policy at points of its fit")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    gpus.take(given["device"])
    module = importlib.import_module(f"d4rl_automl.methods.{given['settings']['kind']}")
    settings = module.Settings.model_validate(given.pop("settings"))
    if checkpoints := given.pop("checkpoints"):
        settings = settings.model_copy(update={"checkpoints": len(checkpoints)})
    with followed("curve" in module.METHOD.making(settings).beside, given["output"], settings.shaping()):
        module.fit(settings=settings, **given)


def followed(has_curve: bool, output: str, settings: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    """The config's tracker at work, where it has one and the fit a curve; no code of its makes a fit stale."""
    if VARIABLE not in os.environ or not has_curve:
        return contextlib.nullcontext()
    following = pkgutil.resolve_name("d4rl_automl.tracking.following:following")
    return following("d4rl_automl.learners.progress", output, settings)


if __name__ == "__main__":
    run(main, gpu=True)
