"""MuJoCo where MUJOCO_GL names a library for pictures that there is not."""

import contextlib
import os

_NAMES = ("MUJOCO_GL", "PYOPENGL_PLATFORM")


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
