"""OpenGL for MuJoCo: which library draws here, and MuJoCo where MUJOCO_GL names one that there is not."""

import contextlib
import functools
import logging
import os
import subprocess
import sys

_NAMES = ("MUJOCO_GL", "PYOPENGL_PLATFORM")
OFF_SCREEN = ("egl", "osmesa")
"""The libraries that draw without a display, in the order in which they are tried."""
_TRIAL = """
import mujoco
from mujoco.{name} import GLContext
context = GLContext(8, 8)
context.make_current()
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
"""
_PATIENCE = 120
"""Seconds for a trial, which takes one."""

log = logging.getLogger(__name__)


def settle() -> None:
    """Where MUJOCO_GL is set, import MuJoCo (if it is installed) whether or not there is what that names.

    MuJoCo loads that library as soon as it is imported, and some ways in which it can be missing end the import, which
    physics do not need it for. Who asks for a picture is told what is missing (`simulators.camera`).
    """
    if not os.environ.get("MUJOCO_GL"):
        return
    before = {name: os.environ.get(name) for name in _NAMES}
    try:
        with contextlib.suppress(ImportError):
            import mujoco  # noqa: PLC0415
    # Every library that is missing or broken has its own kind of error for it.
    except Exception:
        os.environ["MUJOCO_GL"] = "disabled"
        try:
            import mujoco  # noqa: F401, PLC0415
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@functools.cache
def drawing() -> str | None:
    """The first of `OFF_SCREEN` that draws for MuJoCo here, or None. The log tells what the others lack.

    Each is tried in a process of its own: once one is loaded, another cannot be, and a broken driver may end whoever
    loads it.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NAMES}
    for name in OFF_SCREEN:
        try:
            done = subprocess.run(
                [sys.executable, "-c", _TRIAL.format(name=name)],
                env=environment,
                check=False,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            log.warning("%s does not draw here: nothing came of it in %d s", name, _PATIENCE)
            continue
        if done.returncode == 0:
            return name
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        log.warning("%s does not draw here: %s", name, said[-1])
    return None
