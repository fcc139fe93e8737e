"""The head of a photo-like face: geometry, a height field, and the light on it.

Unit of length is the distance between the eyes, (0, 0) is the point between them, v grows
downwards. Every function works on whole float32 arrays [H, W].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from pipeline.demo.attributes import FaceAttributes

Array = np.ndarray
Window = tuple[slice, slice]
_CYLINDER = 1.42  # radius of the cylinder that features sit on, so that yaw foreshortens them


@lru_cache(maxsize=1)
def noise_bank() -> Array:
    """Fixed float32 noise [640, 640] of unit variance; faces read it at their own offset.

    Drawing fresh noise for each face costs more than all of its geometry.
    """
    return np.random.default_rng(7).standard_normal((640, 640)).astype(np.float32)


@lru_cache(maxsize=16)
def smooth_noise_bank(sigma_x: float, sigma_y: float | None = None) -> Array:
    """`noise_bank` blurred by `sigma_x`, `sigma_y` pixels; it tiles and has unit variance."""
    pad = 128  # OpenCV's blur knows no wrapping border
    padded = np.pad(noise_bank(), pad, mode="wrap")
    blurred = cv2.GaussianBlur(padded, (0, 0), sigma_x, sigmaY=sigma_y or sigma_x)
    blurred = blurred[pad:-pad, pad:-pad]
    return blurred / blurred.std()


def noise_crop(bank: Array, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """A window of `bank` at a random place, float32 [H, W]."""
    y, x = (int(rng.integers(0, b - s + 1)) for b, s in zip(bank.shape, shape, strict=True))
    return bank[y : y + shape[0], x : x + shape[1]]


def linear(rgb: tuple[int, int, int] | Array) -> Array:
    """sRGB bytes to linear light in [0, 1] (gamma 2.2), float32."""
    return (np.asarray(rgb, np.float32) / 255) ** 2.2


def cover(distance: Array, softness: float) -> Array:
    """Coverage in [0, 1] of the region where `distance` < 0, with an edge `softness` wide."""
    return np.clip(0.5 - distance / softness, 0, 1)


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def power(x: Array, exponent: float) -> Array:
    """|x| ** exponent, several times as fast as numpy's."""
    return cv2.pow(np.abs(x), exponent)


def shift_down(mask: Array, rows: int) -> Array:
    """`mask` [H, W] moved down by `rows`; zeros come in at the top."""
    moved = np.zeros_like(mask)
    moved[rows:] = mask[:-rows]
    return moved


def blob(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:
    """An axis-aligned Gaussian bump of height 1."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))


def blend(image: Array, colour: Array, alpha: Array) -> None:
    """Lay `colour` ([3] or [H, W, 3]) over `image` [H, W, 3] in place, by `alpha` [H, W]."""
    image += (colour - image) * alpha[..., None]


@dataclass(frozen=True)
class Geometry:
    """Where things are: pixel grids in face units and the head's few lengths.

    `u`, `v` float32 [H, W] centred on the head; `x` is `u` seen on the turned head, so that a
    feature placed in (x, v) moves and narrows with yaw as it should. `pixel` is one pixel in
    face units; `head` < 1 inside the face outline.
    """

    u: Array
    v: Array
    x: Array
    pixel: float
    yaw: float
    half_width: float
    chin: float
    mouth: float
    nose: float
    head: Array

    def window(self, reach: float, low: float, high: float) -> tuple[Geometry, Window]:
        """The part with |u| < `reach` and `low` < v < `high`, as views, and where it is.

        Half of a portrait is hair and background: features need not be computed there.
        """
        height, width = self.u.shape
        inside_u = np.flatnonzero(np.abs(self.u[height // 2]) < reach + 0.08)
        inside_v = np.flatnonzero(
            (self.v[:, width // 2] > low - 0.08) & (self.v[:, width // 2] < high + 0.08)
        )
        place = slice(inside_v[0], inside_v[-1] + 1), slice(inside_u[0], inside_u[-1] + 1)
        parts = {name: getattr(self, name)[place] for name in ("u", "v", "x", "head")}
        return replace(self, **parts), place

    def to_u(self, x: float, depth: float = 0.0) -> float:
        """Image-side u (relative to the eyes' centre) of feature coordinate `x`.

        `depth` is how far the feature stands out from the head.
        """
        angle = np.arcsin(x / _CYLINDER) + self.yaw
        out = _CYLINDER * np.sin(angle) + depth * np.sin(self.yaw)
        return float(out / np.cos(self.yaw)) + _shift(self.yaw)


def _shift(yaw: float) -> float:
    # The head's centre lies opposite to where it looks, because the eyes stay put.
    return -_CYLINDER * float(np.cos(np.arcsin(0.5 / _CYLINDER)) * np.tan(yaw))


def geometry(face: FaceAttributes, u: Array, v: Array, pixel: float) -> Geometry:
    """The head's grids from image-side grids `u`, `v` (eyes at u = -0.5 and 0.5, v = 0)."""
    yaw = 0.30 * face.yaw
    u_head = u - np.float32(_shift(yaw))
    seen = u_head * np.float32(np.cos(yaw) / _CYLINDER)
    x = _CYLINDER * np.sin(np.arcsin(np.clip(seen, -0.999, 0.999)) - np.float32(yaw))
    male = face.gender == "male"
    half_width = 1.13 + 0.10 * face.face_width + 0.05 * male
    chin = 1.80 + 0.13 * face.face_length + 0.06 * male
    u_outline = u_head - 0.10 * np.float32(np.sin(yaw)) * smoothstep(v, 0.2, 1.6) * 2
    taper = 1 - (0.27 - 0.07 * face.jaw - 0.05 * male) * smoothstep(v, 0.25, chin)
    centre = 0.12
    reach = np.where(v < centre, np.float32(centre + 2.0), np.float32(chin - centre))
    n = 2.35 + 0.25 * male
    across = np.abs(u_outline) / (half_width * taper)
    head = power(power(across, n) + power((v - centre) / reach, n), 1 / n)
    return Geometry(
        u_head, v, x, pixel, yaw, half_width, chin,
        mouth=1.06 + 0.06 * face.face_length,
        nose=0.60 + 0.05 * face.face_length,
        head=head,
    )  # fmt: skip


def height_field(face: FaceAttributes, g: Geometry) -> Array:
    """Height of the face towards the camera, float32 [H, W], in face units."""
    x, v, a = g.x, g.v, np.abs(g.x)
    size = 1 + 0.18 * face.nose_size + (0.1 if face.gender == "male" else 0)
    lean = x - 0.22 * np.float32(np.sin(g.yaw)) * smoothstep(v, -0.2, g.nose)  # it stands out
    z = 1.25 * np.sqrt(np.clip(1 - g.head**2, 0.0004, 1))
    along = smoothstep(v, -0.45, g.nose) * (1 - smoothstep(v, g.nose, g.nose + 0.17))
    z += 0.30 * size * along * np.exp(-0.5 * (lean / (0.105 + 0.05 * along)) ** 2)
    z += 0.12 * size * blob(lean, v, 0, g.nose - 0.03, 0.115, 0.10)
    z += 0.09 * size * blob(np.abs(lean), v, 0.175 * size, g.nose + 0.06, 0.065, 0.07)
    z -= 0.13 * blob(a, v, 0.46, 0.0, 0.24, 0.16)
    z += 0.05 * blob(a, v, 0.52, -0.30, 0.35, 0.10)
    z += (0.07 + 0.06 * face.smile) * blob(a, v, 0.70, 0.50 - 0.05 * face.smile, 0.26, 0.22)
    fold = 0.24 + 0.42 * (v - g.nose)  # from the nose's wing to the mouth's corner
    z -= (0.012 + 0.035 * face.smile) * np.exp(-0.5 * ((a - fold) / 0.06) ** 2) * (
        smoothstep(v, g.nose - 0.02, g.nose + 0.15) * (1 - smoothstep(v, 1.0, 1.3))
    )  # fmt: skip
    z += 0.07 * blob(x, v, 0, g.mouth, 0.38, 0.16)
    z -= 0.05 * blob(x, v, 0, g.mouth + 0.29, 0.24, 0.07)
    z += 0.10 * blob(x, v, 0, g.chin - 0.22, 0.22, 0.15)
    return z


def light_direction(face: FaceAttributes) -> Array:
    """Unit vector to the key light, float32 [3]: (right, down, towards the camera)."""
    light = np.array([0.95 * face.light_side, -0.42 - 0.22 * face.light_height, 0.80], np.float32)
    return light / np.linalg.norm(light)


def shade(face: FaceAttributes, g: Geometry, z: Array) -> tuple[Array, Array]:
    """Light on the height field: diffuse [H, W, 3] and specular [H, W], linear.

    Diffuse light wraps around the terminator further in red than in blue, the cheap stand-in
    for scattering under the skin (Green, GPU Gems 2004, ch. 16.2, wrap lighting).
    """
    dzdx = cv2.Sobel(z, cv2.CV_32F, 1, 0, scale=0.125 / g.pixel)
    dzdy = cv2.Sobel(z, cv2.CV_32F, 0, 1, scale=0.125 / g.pixel)
    inverse = 1 / np.sqrt(1 + dzdx**2 + dzdy**2)
    light = light_direction(face)
    cosine = (light[2] - dzdx * light[0] - dzdy * light[1]) * inverse
    lit = cosine * (1 - 0.55 * _cast_shadow(z, light, g.pixel))
    wrap = np.array([0.42, 0.26, 0.20], np.float32)
    diffuse = np.clip((lit[..., None] + wrap) / (1 + wrap), 0, None)
    sky = 0.5 - 0.5 * dzdy * inverse  # fill light from above and in front
    fill = (0.07 + 0.13 * sky * inverse)[..., None] * np.array([0.95, 1.0, 1.1], np.float32)
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    gleam = np.clip((half[2] - dzdx * half[0] - dzdy * half[1]) * inverse, 0, 1)
    return diffuse * 0.95 + fill, gleam**22


def _cast_shadow(z: Array, light: Array, pixel: float) -> Array:
    # March a few steps towards the light: what stands above the ray throws a (soft) shadow.
    height, width = z.shape
    shadow = np.zeros_like(z)
    rise = float(light[2] / np.hypot(light[0], light[1]))
    for step in (3, 6, 10, 15):
        offset = step * light[:2] / np.hypot(light[0], light[1])
        matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        towards = cv2.warpAffine(
            z, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        np.maximum(shadow, (towards - z - step * pixel * rise) * 9, out=shadow)
    return cv2.GaussianBlur(np.clip(shadow, 0, 1), (0, 0), 1.6)
