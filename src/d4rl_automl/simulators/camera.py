"""Pictures of the robots."""

import contextlib
import os
import sys
from collections.abc import Iterator

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoRenderer
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError

SIZE = 480
"""Width and height in pixels, those of Gymnasium's environments."""
_GL = "MUJOCO_GL"


class Camera:
    """Draws a robot in any of its states, off screen, by Gymnasium's renderer.

    It is seen through its model's camera "track", which goes along, as in gym. The variable MUJOCO_GL names what draws:
    glfw, egl or osmesa. Without it, it is EGL where there is no display, and Gymnasium's choice elsewhere.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._renderer = MujocoRenderer(model, self._data, width=SIZE, height=SIZE, camera_name="track")

    def picture(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The robot (480, 480, 3), red, green and blue, at positions (nq,) and velocities (nv,).

        Raises InputError where nothing draws.
        """
        self._data.qpos[:], self._data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self._model, self._data)
        with _egl_without_display():
            try:
                # Gymnasium leaves the one that was made last, of whichever environment.
                if self._renderer.viewer is not None:
                    self._renderer.viewer.make_context_current()
                picture: NDArray[np.uint8] = self._renderer.render("rgb_array")
            # Whatever is missing, each library has its own kind of error for it.
            except Exception as error:
                raise InputError(
                    f"rendering: {_GL}={os.environ.get(_GL, '')} draws nothing here ({type(error).__name__}: {error}); "
                    f"install Debian's libegl1 and libgl1-mesa-dri for {_GL}=egl, or its libosmesa6 for {_GL}=osmesa"
                ) from error
        return picture

    def close(self) -> None:
        """Give OpenGL back what it holds."""
        self._renderer.close()


@contextlib.contextmanager
def _egl_without_display() -> Iterator[None]:
    """Gymnasium takes GLFW where it is installed, which on Linux draws nothing without a display."""
    chosen = _GL in os.environ or not sys.platform.startswith("linux")
    if chosen or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        yield
        return
    os.environ[_GL] = "egl"
    try:
        yield
    finally:
        del os.environ[_GL]
