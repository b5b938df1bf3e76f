"""MuJoCo where MUJOCO_GL names a library for pictures that there is not."""

import contextlib
import os

NAMES = ("MUJOCO_GL", "PYOPENGL_PLATFORM")


def import_mujoco() -> None:
    """Import MuJoCo, if it is installed, whatever MUJOCO_GL names.

    MuJoCo loads that library as soon as it is imported, and some ways in which it can be missing end the import, which
    physics do not need it for. Who asks for a picture is told what is missing (`simulators.camera`).
    """
    before = {name: os.environ.get(name) for name in NAMES}
    try:
        with contextlib.suppress(ImportError):
            import mujoco  # noqa: PLC0415
    # Every library that is missing or broken has its own kind of error for it.
    except Exception:
        os.environ["MUJOCO_GL"] = "disabled"
        import mujoco  # noqa: F401, PLC0415
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
