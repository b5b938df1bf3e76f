"""Pictures of a robot: by OpenGL where there is any, and drawn from where its limbs are elsewhere."""

import math
import os
from collections.abc import Callable
from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from d4rl_automl.core import opengl
from d4rl_automl.simulators.camera import Camera, View

FINER = 2
"""Pictures are made so many times larger, and then smaller again: edges are then smooth, whatever draws."""
SKY, GROUND, LINE = (238, 242, 246), (214, 219, 214), (150, 156, 150)
_OUTLINE = (70, 60, 50)
_LIGHT, _DARK = 225, 185
"""The two greys of the floor."""
_PLANE, _BOX = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_BOX)
_CAPSULE = int(mujoco.mjtGeom.mjGEOM_CAPSULE)
_LONG_MARKS = 5
_JUMP = 5.0
"""Metres from one picture to the next, farther than any robot runs between two."""


class Painter(Protocol):
    """Makes pictures of a robot in its states."""

    name: str
    """What draws, as a film's caption has it."""

    def picture(self, qpos: NDArray[np.float64], view: View) -> Image.Image:
        """The robot at positions (nq,)."""

    def close(self) -> None:
        """Give back what it holds."""


class Rendered:
    """MuJoCo's own pictures, on a light floor of one-metre squares."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int], library: str) -> None:
        """`size`: width and height in pixels; `library`: of `core.opengl.OFF_SCREEN`."""
        self.name = f"MuJoCo, by {library.upper() if library == 'egl' else 'OSMesa'}"
        self._size = size
        # Mesa's threads: of pictures this small, more than one are in each other's way.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        _brighten(model)
        self._model = model
        self._still = np.zeros(model.nv)
        self._seen: View | None = None
        self._camera = Camera(model, FINER * size[0], FINER * size[1], free=True, library=library)

    def picture(self, qpos: NDArray[np.float64], view: View) -> Image.Image:
        """As `Painter.picture`; raises InputError where the library does not draw."""
        # A light throws shadows only around where it is.
        self._model.light_pos[:, :2] = view.centre[:2]
        if self._seen is None or math.dist(self._seen.centre, view.centre) > _JUMP:
            # A floor without end is laid around where the camera was before.
            self._camera.picture(qpos, self._still, view)
        self._seen = view
        found = Image.fromarray(self._camera.picture(qpos, self._still, view))
        return found.resize(self._size, Image.Resampling.BOX)

    def close(self) -> None:
        """As `Painter.close`."""
        self._camera.close()


class Skeleton:
    """The limbs as thick lines, seen from the side or from above, without any OpenGL."""

    name = "a drawn skeleton, since no OpenGL draws here"

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        """`size`: width and height in pixels."""
        self._model, self._data = model, mujoco.MjData(model)
        self._size = size

    def picture(self, qpos: NDArray[np.float64], view: View) -> Image.Image:
        """As `Painter.picture`. Nothing is smaller for being farther away."""
        width, height = (FINER * length for length in self._size)
        scale = height / view.height
        above = view.elevation < -45
        # Which of x, y and z go right, up and towards who looks.
        right, up, near = (0, 1, 2) if above else (0, 2, 1)
        toward = 1 if above else -1
        origin = np.array([width / 2 - scale * view.centre[right], height / 2 + scale * view.centre[up]])

        def place(point: NDArray[np.float64]) -> tuple[float, float]:
            return float(origin[0] + scale * point[right]), float(origin[1] - scale * point[up])

        image = Image.new("RGB", (width, height), GROUND if above else SKY)
        pen = ImageDraw.Draw(image)
        if not above:
            self._floor(pen, origin, scale, (width, height))
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        for geom in np.flatnonzero(model.geom_type == _BOX) if above else ():
            left, bottom = place(data.geom_xpos[geom] - model.geom_size[geom])
            far, top = place(data.geom_xpos[geom] + model.geom_size[geom])
            pen.rectangle((left, top, far, bottom), fill=_colour(model, geom))
        draw_limbs(pen, model, data, place=place, scale=scale, nearness=toward * data.geom_xpos[:, near])
        return image.resize(self._size, Image.Resampling.BOX)

    @staticmethod
    def _floor(pen: ImageDraw.ImageDraw, origin: NDArray[np.float64], scale: float, size: tuple[int, int]) -> None:
        """The ground, with a mark for every metre and a longer one for every fifth."""
        width, height = size
        level = origin[1]
        pen.rectangle((0, level, width, height), fill=GROUND)
        pen.line((0, level, width, level), fill=LINE, width=FINER)
        for metre in range(math.floor(-origin[0] / scale), math.ceil((width - origin[0]) / scale) + 1):
            length = 16 if metre % _LONG_MARKS == 0 else 7
            x = origin[0] + scale * metre
            pen.line((x, level, x, level + FINER * length), fill=LINE, width=FINER)

    def close(self) -> None:
        """As `Painter.close`."""


def draw_limbs(
    pen: ImageDraw.ImageDraw,
    model: mujoco.MjModel,
    data: mujoco.MjData,
    *,
    place: Callable[[NDArray[np.float64]], tuple[float, float]],
    scale: float,
    nearness: NDArray[np.float64],
) -> None:
    """Draw every capsule and sphere as it is placed by `data`, the nearest last.

    `place` gives the pixel of a point (3,) in metres, `scale` pixels per metre, `nearness` (ngeom,) what hides what.
    """
    for geom in sorted(np.flatnonzero(~np.isin(model.geom_type, (_PLANE, _BOX))), key=lambda one: nearness[one]):
        position, (thickness, half, _) = data.geom_xpos[geom], model.geom_size[geom]
        reach = data.geom_xmat[geom].reshape(3, 3)[:, 2] * (half if model.geom_type[geom] == _CAPSULE else 0.0)
        ends = [place(position - reach), place(position + reach)]
        for fill, radius in ((_OUTLINE, scale * thickness + FINER), (_colour(model, geom), scale * thickness)):
            pen.line(ends, fill=fill, width=max(1, round(2 * radius)))
            for x, y in ends:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _colour(model: mujoco.MjModel, geom: np.integer) -> tuple[int, int, int]:
    red, green, blue = (int(255 * part) for part in model.geom_rgba[geom, :3])
    return red, green, blue


def painter(model: mujoco.MjModel, size: tuple[int, int]) -> Painter:
    """What draws here: the first of EGL and OSMesa that does, else the skeleton. `model` is changed for it."""
    library = opengl.drawing()
    return Skeleton(model, size) if library is None else Rendered(model, size, library)


def _brighten(model: mujoco.MjModel) -> None:
    """A floor without end, of light squares of a metre, under a light sky, and plain limbs."""
    for texture in range(model.ntex):
        start = model.tex_adr[texture]
        content = model.tex_data[
            start : start + model.tex_width[texture] * model.tex_height[texture] * model.tex_nchannel[texture]
        ]
        if model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            content[:] = np.tile(SKY, len(content) // 3)
        elif model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D:
            content[:] = np.where(content > 127, _LIGHT, _DARK)
        else:
            # The skin's marks are too small for a film.
            content[:] = 255
    model.mat_reflectance[:] = 0
    model.mat_specular[:], model.mat_shininess[:] = 0.2, 0.3
    for geom in np.flatnonzero(model.geom_type == _PLANE):
        model.geom_size[geom, :2] = 0
        model.geom_rgba[geom] = 1
        material = model.geom_matid[geom]
        # A texture is two squares wide.
        model.mat_texuniform[material], model.mat_texrepeat[material] = True, 0.5
    # Together hardly more than 1, or a floor seen from above were white.
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.4, 0.25
    model.light_diffuse[:], model.light_specular[:] = 0.4, 0.1
    # Not straight from above: parts of the floor would now and then lie in their own shadow.
    model.light_dir[:] = (0.05, 0.08, -1.0)
