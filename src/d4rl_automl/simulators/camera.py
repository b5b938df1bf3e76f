"""Pictures of the robots."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoRenderer
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError

SIZE = 480
"""Width and height in pixels, those of Gymnasium's environments."""
_GL = "MUJOCO_GL"


@dataclass(frozen=True)
class View:
    """Where a free camera looks, and from where."""

    centre: tuple[float, float, float]
    """The point in the middle of the picture, in metres."""
    height: float
    """How much of the world a picture is high, in metres, at that point."""
    elevation: float
    """Degrees that the camera looks up; -90 is straight down. Its right is where x goes, or east on a map."""

    def distance(self, model: mujoco.MjModel) -> float:
        """From the camera to the middle, in metres."""
        return self.height / 2 / math.tan(math.radians(model.vis.global_.fovy) / 2)


class Camera:
    """Draws a robot in any of its states, off screen, by Gymnasium's renderer.

    It is seen through its model's camera "track", which goes along, as in gym, or through a free one, if pictures are
    asked for by their views (`free`). `library` draws, "egl" or "osmesa"; by default the one that the variable
    MUJOCO_GL names (or glfw), and without it EGL where there is no display, and Gymnasium's choice elsewhere.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int = SIZE,
        height: int = SIZE,
        *,
        free: bool = False,
        library: str | None = None,
    ) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._library = library
        which = {"camera_id": -1} if free else {"camera_name": "track"}
        self._renderer = MujocoRenderer(model, self._data, width=width, height=height, max_geom=2000, **which)

    def picture(
        self, qpos: NDArray[np.float64], qvel: NDArray[np.float64], view: View | None = None
    ) -> NDArray[np.uint8]:
        """The robot (height, width, 3), red, green and blue, at positions (nq,) and velocities (nv,).

        `view` is that of a free camera. Raises InputError where nothing draws.
        """
        self._data.qpos[:], self._data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self._model, self._data)
        with _drawn_by(self._library):
            try:
                # Gymnasium leaves the one that was made last, of whichever environment.
                if self._renderer.viewer is not None:
                    self._renderer.viewer.make_context_current()
                if view is not None:
                    self._look(view)
                picture: NDArray[np.uint8] = self._renderer.render("rgb_array")
            # Whatever is missing, each library has its own kind of error for it.
            except Exception as error:
                raise InputError(
                    f"rendering: {_GL}={os.environ.get(_GL, '')} draws nothing here ({type(error).__name__}: {error}); "
                    f"install Debian's libegl1 and libgl1-mesa-dri for {_GL}=egl, or its libosmesa6 for {_GL}=osmesa"
                ) from error
        return picture

    def _look(self, view: View) -> None:
        if self._renderer.viewer is None:
            # Which makes one.
            self._renderer.render("rgb_array")
        viewer = self._renderer.viewer
        assert viewer is not None, "a picture makes one"
        camera = viewer.cam
        camera.lookat[:] = view.centre
        camera.distance, camera.azimuth, camera.elevation = view.distance(self._model), 90.0, view.elevation

    def close(self) -> None:
        """Give OpenGL back what it holds."""
        self._renderer.close()


@contextlib.contextmanager
def _drawn_by(library: str | None) -> Iterator[None]:
    """MUJOCO_GL as `Camera` has it: Gymnasium takes GLFW where it is installed, which needs a display on Linux."""
    if library is None:
        chosen = _GL in os.environ or not sys.platform.startswith("linux")
        if chosen or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            yield
            return
    before = os.environ.get(_GL)
    os.environ[_GL] = library or "egl"
    try:
        yield
    finally:
        del os.environ[_GL]
        if before is not None:
            os.environ[_GL] = before
