"""Skin colour, eyes, brows, lips, beard and glasses of a photo-like face."""

from __future__ import annotations

import numpy as np

from pipeline.demo.attributes import FaceAttributes
from pipeline.demo.photo.face import (
    Array,
    Geometry,
    blend,
    blob,
    cover,
    linear,
    noise_crop,
    shift_down,
    smooth_noise_bank,
    smoothstep,
)

SKIN_RGB = {
    "pale": (246, 220, 206),
    "light": (231, 190, 166),
    "tan": (204, 152, 120),
    "brown": (142, 96, 72),
}
HAIR_RGB = {
    "black": (30, 26, 27),
    "brown": (98, 64, 40),
    "blonde": (222, 180, 108),
    "grey": (172, 172, 176),
    "red": (178, 34, 30),
    "blue": (46, 84, 190),
    "green": (44, 140, 74),
    "pink": (236, 128, 172),
    "purple": (118, 58, 160),
}
IRIS_RGB = {
    "brown": (98, 54, 26),
    "blue": (66, 118, 182),
    "green": (72, 130, 72),
    "red": (190, 36, 36),
    "purple": (130, 70, 180),
    "yellow": (216, 170, 40),
}


def skin_albedo(face: FaceAttributes, g: Geometry, rng: np.random.Generator) -> Array:
    """Skin colour before light, linear float32 [H, W, 3]: redder cheeks and nose, mottled."""
    base = linear(SKIN_RGB[face.skin_tone]) * (1 + 0.05 * face.hair_shade)
    albedo = np.broadcast_to(base, (*g.u.shape, 3)).copy()
    a = np.abs(g.x)
    flush = 0.55 * blob(a, g.v, 0.66, 0.55, 0.26, 0.20) + 0.4 * blob(g.x, g.v, 0, g.nose, 0.2, 0.14)
    flush *= 1.5 if face.makeup else 0.8
    albedo *= 1 - flush[..., None] * np.array([0.02, 0.20, 0.20], np.float32)
    mottle = noise_crop(smooth_noise_bank(5.0), g.u.shape, rng)
    pores = noise_crop(smooth_noise_bank(0.8), g.u.shape, rng)
    albedo *= 1 + mottle[..., None] * np.array([0.01, 0.022, 0.025], np.float32)
    albedo *= (1 + 0.018 * pores)[..., None]
    hollow = blob(a, g.v, 0.47, 0.20, 0.20, 0.07) * (0.16 if face.hair_colour == "grey" else 0.09)
    hollow += 0.10 * blob(a, g.v, 0.5, -0.08, 0.26, 0.09)
    return albedo * (1 - hollow[..., None] * np.array([0.9, 1.1, 0.9], np.float32))


def paint_beard(face: FaceAttributes, g: Geometry, albedo: Array, rng: np.random.Generator) -> None:
    """Darken the beard area in place: a shadow for `beard` < 0.6, a goatee above."""
    if face.beard == 0:
        return
    hairs = noise_crop(smooth_noise_bank(0.6), g.u.shape, rng)
    edge = 0.06 * noise_crop(smooth_noise_bank(3.0), g.u.shape, rng)
    a = np.abs(g.x)
    area = smoothstep(
        g.v + edge + 0.28 * np.exp(-0.5 * (g.x / 0.3) ** 2), g.mouth + 0.0, g.mouth + 0.32
    )
    area = np.maximum(area, smoothstep(a + 0.5 * (g.v - 0.7), 0.92, 1.10))  # along the jaw
    moustache = blob(a, g.v, 0.16, g.mouth - 0.17, 0.22, 0.07)
    area = np.maximum(area, np.clip(1.5 * moustache, 0, 1)) * smoothstep(g.v, 0.35, 0.7)
    if face.beard >= 0.6:
        area *= 1 - smoothstep(a, 0.45, 0.7)
    strength = area * np.clip(face.beard * (0.85 + 0.25 * hairs), 0, 0.92)
    blend(albedo, linear(HAIR_RGB[face.hair_colour]) * 0.5, strength)


def paint_brows(face: FaceAttributes, g: Geometry, image: Array, rng: np.random.Generator) -> None:
    """Two brows of short hairs, laid over `image` in place."""
    a = np.abs(g.x)
    male = face.gender == "male"
    lift = 0.04 * face.brow_height - 0.03 * male + 0.02 * face.smile
    t = np.clip((a - 0.17) / 0.62, 0, 1)
    line = -0.33 - lift - 0.15 * np.sin(np.pi * np.minimum(t * 0.78 + 0.05, 1)) + 0.07 * t
    thick = (0.068 + 0.018 * face.brow_weight + 0.022 * male) * (1 - 0.72 * t**1.6)
    hairs = noise_crop(smooth_noise_bank(0.9), g.u.shape, rng)
    body = cover(np.abs(g.v - line) - thick, 0.05) * smoothstep(a, 0.13, 0.25)
    body *= 1 - smoothstep(a, 0.72, 0.82)
    colour = linear(HAIR_RGB[face.hair_colour])
    dark = 0.42 if face.hair_colour in ("blonde", "grey") else 0.5
    blend(image, colour * dark, body * np.clip(0.78 + 0.16 * hairs, 0, 1))


def paint_eyes(face: FaceAttributes, g: Geometry, image: Array, light: Array) -> None:
    """Both eyes in place: white, iris, pupil, catchlight, lashes and the lid's crease."""
    soft = 1.1 * g.pixel
    a = np.abs(g.x)
    female = face.gender == "female"
    size = 1.06 + 0.10 * face.eye_size
    e = (a - 0.5) / size  # negative towards the nose
    slant = (0.05 + 0.05 * face.eye_slant) * e
    y = g.v / size + slant
    s = np.clip(np.abs(e) / 0.27, 0, 1)
    upper = -0.125 * (1 - s**2.2) - 0.01 * face.eye_size + 0.012
    lower = (0.082 - 0.028 * face.smile) * (1 - s**2.0) + 0.012
    opening = np.maximum(upper - y, y - lower)
    opening = np.maximum(opening, np.abs(e) - 0.27)
    inside = cover(opening, soft)
    white = linear((236, 230, 226)) * (0.26 + 0.48 * smoothstep(y - upper, -0.01, 0.10))[..., None]
    white = white * (1 - 0.35 * smoothstep(np.abs(e), 0.12, 0.27))[..., None]
    blend(image, white, inside)
    r = np.hypot(e, y + 0.012)
    iris = linear(IRIS_RGB[face.eye_colour])
    ring = 1.0 - 0.75 * smoothstep(r, 0.085, 0.135)  # the dark rim
    glow = 0.75 + 0.75 * smoothstep(y, -0.06, 0.10)  # light gathers opposite to where it enters
    blend(image, iris * (ring * glow)[..., None], inside * cover(r - 0.130, soft))
    blend(image, linear((10, 8, 8)), inside * cover(r - 0.052, soft))
    side = np.float32(0.045 * np.sign(light[0]))
    spot = np.hypot(g.x - np.sign(g.x) * 0.5 - side, g.v + 0.055)
    blend(image, np.array([0.95, 0.97, 1.0], np.float32), inside * cover(spot - 0.030, soft))
    wing = np.clip(e / 0.27, 0, 1)
    lash = np.abs(y - upper + 0.012) - (0.017 + 0.014 * wing) * (1.35 if female else 0.75)
    lash = np.maximum(lash, np.abs(e - 0.015) - 0.30)
    blend(image, linear((22, 14, 12)), 0.92 * cover(lash, 1.3 * soft))
    under = np.maximum(np.abs(y - lower - 0.006) - 0.008, np.abs(e - 0.03) - 0.24)
    blend(image, linear((70, 40, 32)), 0.55 * cover(under, 1.5 * soft))
    crease = np.maximum(np.abs(y - upper + 0.075) - 0.008, np.abs(e) - 0.26)
    blend(image, image * 0.45, 0.7 * cover(crease, 2.2 * soft))
    if face.makeup:
        shadow = np.exp(-0.5 * ((y - upper + 0.05) / 0.045) ** 2) * (
            1 - smoothstep(np.abs(e), 0.2, 0.34)
        )
        blend(image, image * linear((150, 110, 120)), 0.6 * shadow * (1 - inside))


def paint_mouth(face: FaceAttributes, g: Geometry, image: Array, gleam: Array) -> float:
    """Lips (and teeth in a smile) in place; returns the mouth's half width in feature units."""
    soft = 1.2 * g.pixel
    half = 0.36 + 0.035 * face.mouth_width + 0.15 * face.smile
    full = 1 + 0.28 * face.lip_fullness - 0.15 * (face.gender == "male")
    x = g.x / half
    ax = np.abs(x)
    s = np.clip(ax, 0, 1)
    arch = 1 - s**2
    y = g.v - g.mouth - np.float32(0.17 * face.smile) * (0.45 - s**2)
    gap = np.float32(0.135 * max(face.smile - 0.25, 0.0)) * arch**0.8
    bow = (
        1 - 0.30 * np.exp(-0.5 * (x / 0.16) ** 2) + 0.12 * np.exp(-0.5 * ((ax - 0.28) / 0.16) ** 2)
    )
    top = -(0.085 * full * (1 - 0.35 * face.smile)) * bow * (1 - s**1.6) - gap
    bottom = 0.125 * full * (1 - 0.25 * face.smile) * (1 - s**2.4) + gap
    lips = np.maximum(np.maximum(top - y, y - bottom), (ax - 1) * half)
    tint = SKIN_RGB[face.skin_tone]
    colour = (
        linear((196, 62, 78))
        if face.makeup
        else linear(tint) * np.array([0.62, 0.40, 0.40], np.float32)
    )
    if face.makeup:
        colour = 0.75 * colour + 0.25 * linear(tint) * np.array([0.8, 0.4, 0.4], np.float32)
    volume = 0.62 + 0.55 * smoothstep(y, -0.02, 0.10) - 0.25 * smoothstep(y, 0.09, 0.2)
    light = np.clip(image.mean(-1) / max(float(linear(tint).mean()), 0.05), 0.15, 1.3)
    shaded = colour * (volume * light)[..., None] + (0.10 * face.makeup + 0.05) * gleam[..., None]
    blend(image, shaded, cover(lips, 2.2 * soft) * 0.92)
    hole = np.maximum(np.maximum(-gap - y, y - gap), (ax - 0.97) * half)
    if face.smile > 0.5:
        blend(image, linear((70, 24, 26)), cover(hole, soft))
        teeth = np.maximum(hole, y - gap * 0.7)
        gaps = 0.92 + 0.08 * np.cos(g.x * 2 * np.pi / 0.105)
        shade = gaps * (1 - 0.55 * smoothstep(ax, 0.35, 0.95)) * np.clip(light, 0.4, 1)
        blend(image, linear((238, 230, 220)) * shade[..., None], cover(teeth, soft))
    else:
        line = np.maximum(np.abs(y) - 0.012, (ax - 0.96) * half)
        blend(image, linear((74, 26, 28)), 0.75 * cover(line, 1.5 * soft))
    corner = blob(ax, y, 1.02, 0.0, 0.09, 0.045)
    blend(image, image * 0.4, 0.6 * corner)
    below = blob(g.x, g.v, 0, g.mouth + float(bottom.max()) + 0.07, 0.22, 0.035)
    blend(image, image * 0.6, 0.55 * below)
    return half


def paint_nostrils(face: FaceAttributes, g: Geometry, image: Array) -> None:
    """Nostrils and the crease around the wings of the nose, in place."""
    size = 1 + 0.18 * face.nose_size
    lean = np.float32(0.22 * np.sin(g.yaw))
    a = np.abs(g.x - lean)
    y = g.v - g.nose
    holes = blob(a, y, 0.088 * size, 0.115, 0.042, 0.022)
    blend(image, linear((48, 20, 16)), 0.8 * np.clip(1.3 * holes, 0, 1))
    wing = blob(a, y, 0.225 * size, 0.06, 0.025, 0.06)
    blend(image, image * 0.45, 0.55 * wing)
    under = blob(a, y, 0.0, 0.155, 0.15, 0.035)
    blend(image, image * 0.6, 0.5 * under)


def paint_glasses(face: FaceAttributes, g: Geometry, image: Array) -> None:
    """Rounded frames, bridge, temples, a faint reflection on the lenses, in place."""
    if not face.glasses:
        return
    soft = 1.3 * g.pixel
    a = np.abs(g.x)
    power = 3.4 if face.texture_seed % 5 < 3 else 2.2
    w, h = 0.40, 0.29 + 0.03 * face.eye_size
    lens = ((np.abs(a - 0.5) / w) ** power + (np.abs(g.v - 0.04) / h) ** power) ** (1 / power) - 1
    rim = np.abs(lens) * h - 0.026
    bridge = np.maximum(np.abs(g.v + 0.06 + 0.05 * (1 - (a / 0.12) ** 2)) - 0.022, a - 0.13)
    temple = np.maximum(np.abs(g.v + 0.08) - 0.024, np.maximum(0.88 - a, g.head - 1.0))
    frame = cover(np.minimum(np.minimum(rim, bridge), temple), soft)
    shadow = shift_down(frame, 3)
    blend(image, image * 0.55, 0.5 * shadow)
    colour = linear(((18, 16, 18), (70, 34, 20), (96, 100, 108))[face.texture_seed % 3])
    glare = cover(lens, 0.1) * smoothstep(np.sin(4 * (g.x + g.v) + 2 * face.light_side), 0.55, 1.0)
    blend(image, np.array([0.85, 0.9, 1.0], np.float32), 0.14 * glare)
    sheen = 1 + 1.5 * np.exp(-0.5 * ((g.v + 0.22) / 0.03) ** 2)
    blend(image, colour * sheen[..., None], 0.95 * frame)
