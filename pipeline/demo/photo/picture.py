"""Photo-like portraits in CelebA's aligned frame (178x218, eyes on the template).

A portrait is a height field under one soft lamp, hair of directional noise, a background out of
focus and a camera: slight defocus, vignette, sensor noise. Light is computed linearly and
encoded with gamma 2.2 at the end.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from pipeline.demo.attributes import FaceAttributes
from pipeline.demo.photo.face import (
    Array,
    Geometry,
    blend,
    cover,
    geometry,
    height_field,
    light_direction,
    linear,
    noise_bank,
    noise_crop,
    shade,
    smooth_noise_bank,
    smoothstep,
)
from pipeline.demo.photo.features import (
    SKIN_RGB,
    paint_beard,
    paint_brows,
    paint_eyes,
    paint_glasses,
    paint_mouth,
    paint_nostrils,
    skin_albedo,
)
from pipeline.demo.photo.hair import lay_back_hair, lay_front_hair, style_hair

LANDMARKS = (
    *("lefteye_x", "lefteye_y", "righteye_x", "righteye_y", "nose_x", "nose_y"),
    *("leftmouth_x", "leftmouth_y", "rightmouth_x", "rightmouth_y"),
)
# CelebA's mean eye positions at 178x218 (measured with YuNet on 800 aligned images).
_EYE_CENTRE = np.array([89.35, 111.45])
_EYE_DISTANCE = 38.9


def draw_photo(
    face: FaceAttributes, size: tuple[int, int] = (178, 218)
) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one portrait.

    Returns (rgb uint8 [H, W, 3], landmarks in pixels keyed by `LANDMARKS`). `size` is
    (width, height); the frame scales with the width. "Left" is the image's left, as in CelebA's
    aligned landmark file. The same face gives the same pixels.
    """
    width, height = size
    rng = np.random.default_rng(face.texture_seed)
    scale = width / 178
    centre = _EYE_CENTRE * scale + rng.normal(0, 0.5, 2) * scale
    distance = _EYE_DISTANCE * scale * (1 + 0.02 * face.scale)
    angle = np.deg2rad(0.25 * face.tilt)
    cos, sin = np.float32(np.cos(angle) / distance), np.float32(np.sin(angle) / distance)
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    dx, dy = xx - np.float32(centre[0]), yy - np.float32(centre[1])
    g = geometry(face, cos * dx + sin * dy, cos * dy - sin * dx, 1 / distance)

    image = _background(face, (height, width), rng)
    light = light_direction(face)
    hair = style_hair(face, g, light, rng)
    lay_back_hair(image, hair)
    low, place = g.window(np.inf, -0.1, np.inf)
    _body(face, low, image[place], light, rng)
    near, place = g.window(g.half_width + 0.1, -1.75, g.chin + 0.1)
    skin, mouth_half = _head(face, near, light, rng)
    blend(image[place], skin, cover((near.head - 1) * g.half_width, 1.5 * g.pixel))
    lay_front_hair(image, hair)
    lenses, place = g.window(g.half_width + 0.1, -0.5, 0.6)
    paint_glasses(face, lenses, image[place])
    rgb = _camera(face, image, rng)

    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * distance
    points = [
        (g.to_u(-0.5), 0.0),
        (g.to_u(0.5), 0.0),
        (g.to_u(0.0, depth=0.22), g.nose),
        (g.to_u(-mouth_half), g.mouth - 0.07 * face.smile),
        (g.to_u(mouth_half), g.mouth - 0.07 * face.smile),
    ]
    flat = [float(c) for p in points for c in centre + turn @ np.array(p)]
    return rgb, dict(zip(LANDMARKS, flat, strict=True))


def _head(
    face: FaceAttributes, g: Geometry, light: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    albedo = skin_albedo(face, g, rng)
    paint_beard(face, g, albedo, rng)
    z = height_field(face, g)
    z += 0.0018 * noise_crop(smooth_noise_bank(1.2), z.shape, rng)  # the skin's grain
    diffuse, gleam = shade(face, g, z)
    image = albedo * diffuse
    oil = 0.07 + 0.05 * np.exp(-0.5 * (g.x / 0.3) ** 2)
    image += (oil * gleam)[..., None]
    part, place = g.window(1.0, 0.3, 1.9)
    paint_nostrils(face, part, image[place])
    mouth_half = paint_mouth(face, part, image[place], gleam[place])
    part, place = g.window(1.2, -0.4, 0.35)
    paint_eyes(face, part, image[place], light)
    part, place = g.window(1.2, -0.75, 0.0)
    paint_brows(face, part, image[place], rng)
    return image, mouth_half


def _body(
    face: FaceAttributes, g: Geometry, image: Array, light: Array, rng: np.random.Generator
) -> None:
    """Ears, neck and clothes, in place."""
    male = face.gender == "male"
    skin = linear(SKIN_RGB[face.skin_tone])
    a = np.abs(g.u)
    ear = (((a - g.half_width - 0.02) / 0.13) ** 2 + ((g.v - 0.28) / 0.30) ** 2) ** 0.5 - 1
    inner = 1 - 0.5 * np.exp(-0.5 * ((ear + 0.9) / 0.3) ** 2)
    blend(
        image,
        skin * np.array([0.62, 0.5, 0.47], np.float32) * inner[..., None],
        cover(ear * 0.13, 0.05),
    )
    width = 0.62 + 0.16 * male + 0.05 * face.face_width + 0.5 * smoothstep(g.v, 2.15, 2.75)
    round_off = np.clip(1.05 - 0.6 * (a / width) ** 2 + 0.3 * light[0] * g.u, 0.15, 1.3)
    under_chin = 0.34 + 0.58 * smoothstep(g.v - 0.18 * a, g.chin + 0.02, g.chin + 0.62)
    neck = skin * np.array([0.92, 0.86, 0.84], np.float32) * (round_off * under_chin)[..., None]
    blend(image, neck, cover(a - width, 0.05) * smoothstep(g.v, 0.8, 1.0))

    shoulder = 2.16 + 0.30 * np.clip(a - 0.55, 0, None) ** 1.4 - 0.05 * male
    dip = (0.62 if face.clothes_light > 0 else 0.38) * np.clip(1 - a / 0.72, 0, None)
    cloth = shoulder + dip - g.v
    light_value = 0.42 + 0.34 * face.clothes_light
    rgb = np.array(colorsys.hsv_to_rgb(face.clothes_hue, 0.55, light_value)) * 255
    weave = noise_crop(smooth_noise_bank(0.9), g.u.shape, rng)
    folds = noise_crop(smooth_noise_bank(9.0), g.u.shape, rng)
    tone = 0.80 + 0.05 * weave + 0.13 * folds + 0.3 * light[0] * np.clip(g.u, -1.5, 1.5)
    seam = 1 - 0.45 * np.exp(-0.5 * ((cloth + 0.07) / 0.03) ** 2)
    shadow = 1 - 0.45 * np.exp(-0.5 * (cloth / 0.05) ** 2)
    blend(image, image * shadow[..., None], cover(a - width, 0.05))
    colour = linear(rgb) * np.clip(tone * seam, 0.1, 1.6)[..., None]
    blend(image, colour, cover(cloth, 0.05))


def _background(face: FaceAttributes, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """An out-of-focus place, linear float32 [H, W, 3], drawn small and enlarged."""
    h, w = shape[0] // 2 + 1, shape[1] // 2 + 1
    yy, xx = np.mgrid[0 : 1 : complex(h), 0 : 1 : complex(w)].astype(np.float32)
    value = 0.52 + 0.40 * face.background_light
    saturation = 0.10 if face.background == "plain" else 0.38
    near, far = (
        linear(np.array(colorsys.hsv_to_rgb((face.background_hue + d) % 1, saturation, v)) * 255)
        for d, v in ((0.0, value), (float(rng.uniform(-0.12, 0.12)), 0.55 * value))
    )
    small = np.empty((h, w, 3), np.float32)
    if face.background == "plain":
        fade = np.hypot(xx - 0.5 - 0.4 * face.light_side, yy - 0.3)
    elif face.background == "gradient":
        fade = smoothstep(yy + 0.06 * np.sin(7 * xx + 9 * face.parting), 0.25, 0.75)
    else:
        fade = np.full((h, w), 0.75, np.float32)
    small[:] = near + (far - near) * np.clip(fade, 0, 1)[..., None]
    if face.background == "bands":  # doors, shelves, trunks
        x = 0.0
        while x < w:
            step = int(rng.integers(6, 24))
            small[:, int(x) : int(x) + step] *= float(rng.uniform(0.35, 1.7))
            x += step
        small[int(h * rng.uniform(0.5, 0.9)) :] *= 0.6
    elif face.background != "plain":
        lights = 16 if face.background == "bokeh" else 5
        for _ in range(lights):
            spot = (int(rng.integers(0, w)), int(rng.integers(0, h)))
            colour = near * float(rng.uniform(1.0, 2.6)) + 0.08 * rng.random(3)
            disc = np.zeros((h, w), np.float32)
            radius = int(rng.integers(4, 14))
            cv2.circle(disc, spot, radius, float(rng.uniform(0.25, 0.6)), -1)
            cv2.circle(disc, spot, radius, 0.7, 1)  # a lens draws a light's rim brighter
            blend(small, colour.astype(np.float32), disc)
    blurred = cv2.GaussianBlur(small, (0, 0), 1.1 if face.background == "bokeh" else 3.2)
    return cv2.resize(blurred, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _camera(face: FaceAttributes, image: Array, rng: np.random.Generator) -> np.ndarray:
    """Exposure, white balance, lens and sensor: linear float32 to uint8 sRGB."""
    warmth = float(rng.normal(0, 0.035))
    gain = np.array([1 + warmth, 1, 1 - warmth], np.float32) * (1.12 + 0.20 * face.exposure)
    height, width = image.shape[:2]
    image = cv2.GaussianBlur(image, (0, 0), 0.55 * width / 178)
    yy = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    xx = np.linspace(-1, 1, width, dtype=np.float32)[None]
    image = image * gain * (1 - 0.13 * (xx * xx + yy * yy))[..., None]
    image = np.clip(image, 0, None)
    image = image * (1 + 0.18 * image) / (1 + 0.62 * image * image * 0.5)  # soft shoulder
    encoded = cv2.pow(np.clip(image, 0, 1), 1 / 2.2) * 255
    grain = np.stack([noise_crop(noise_bank(), (height, width), rng) for _ in range(3)], -1)
    encoded += 1.2 * grain + 1.4 * grain[..., :1]
    return np.clip(encoded + 0.5, 0, 255).astype(np.uint8)
