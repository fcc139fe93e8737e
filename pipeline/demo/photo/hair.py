"""Hair of a photo-like face: strands that fan out from the parting and fall down the sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from pipeline.demo.attributes import FaceAttributes
from pipeline.demo.photo.face import (
    Array,
    Geometry,
    blend,
    cover,
    linear,
    power,
    shift_down,
    smooth_noise_bank,
    smoothstep,
)
from pipeline.demo.photo.features import HAIR_RGB

_TOP = -2.02  # the skull's top, in face units
_COLUMNS = 56  # strand-noise columns per unit of strand coordinate


@lru_cache(maxsize=1)
def _strand_bank() -> Array:
    """Noise that is long along strands and fine across them, float32 [640, 640], about unit."""
    scales = ((0.6, 12.0, 0.8), (1.6, 20.0, 0.9), (5.0, 28.0, 0.9), (14.0, 36.0, 0.7))
    layers = [
        weight * np.roll(smooth_noise_bank(across, along), int(37 * across), axis=1)
        for across, along, weight in scales
    ]
    total = np.sum(layers, axis=0)
    return (total / total.std()).astype(np.float32)


@dataclass(frozen=True)
class Hair:
    """Masks in [0, 1] and shaded colour (linear) of one head of hair, each [H, W(, 3)]."""

    back: Array
    front: Array
    colour: Array
    back_colour: Array


def style_hair(face: FaceAttributes, g: Geometry, light: Array, rng: np.random.Generator) -> Hair:
    """Shape and shade the hair. `light` is the unit vector to the key light."""
    wave = max(face.hair_wave, 0.0)
    sway = np.sin(3.2 * g.v + 6 * face.parting) + 0.6 * np.sin(
        6.1 * g.v - 4 * face.parting + 2 * g.u
    )
    sway *= np.float32(0.11 * wave) * smoothstep(g.v, -0.8, 0.8)
    u = g.u + sway * np.sign(g.u)
    part = 0.42 * face.parting
    fall = np.sqrt(smoothstep(g.v, _TOP - 0.25, 0.35) + 0.012)  # how far strands have spread
    s = (u - part * (1 - fall)) / fall
    length = g.v - _TOP + 0.3 * np.abs(u)
    # Where strands meet at the crown the fine ones are narrower than a pixel: fade them.
    strands, coarse = _strands(s, length, smoothstep(fall, 0.12, 0.6), rng)
    ragged = 0.05 * coarse + 0.045 * strands

    tight = face.hair_style in ("short", "ponytail")
    volume = 0.17 + 0.08 * face.hair_volume if tight else 0.20 + 0.13 * face.hair_volume
    outline = _outer(face, g, u, volume)
    outer = outline + 0.5 * ragged * smoothstep(g.v, -1.6, 0.5)
    opening = _opening(face, g, u, ragged)
    soft = 3.0 * g.pixel
    end = _front_end(face) + 1.6 * ragged
    front = cover(outer, soft) * cover(-opening, 2.2 * soft) * cover((g.v - end) * 0.6, 4 * soft)
    back = cover(_back(face, g, u, outline) + 0.6 * ragged, soft)

    base = linear(HAIR_RGB[face.hair_colour]) * (1 + 0.16 * face.hair_shade)
    tone = np.exp((0.30 if face.hair_colour != "black" else 0.42) * strands)
    # A band of light runs across strands where they bend towards the lamp (Kajiya & Kay 1989).
    bend = g.v - (-1.25 + 0.25 * face.light_height) + 0.22 * u * u - 0.35 * light[0] * u
    band = np.exp(-0.5 * (bend / 0.26) ** 2) + 0.35 * np.exp(-0.5 * ((bend - 1.5) / 0.35) ** 2)
    form = 1.05 - 0.50 * smoothstep(np.abs(u) / (g.half_width + volume), 0.55, 1.05)
    form *= 1 + 0.45 * light[0] * np.clip(u, -1.3, 1.3)
    edge = 0.62 + 0.38 * smoothstep(opening, 0.0, 0.22)  # locks near the face lie in shade
    lit = (tone * np.clip(form * edge, 0.08, 2))[..., None] * base
    shine = {"black": 0.055, "brown": 0.06, "blonde": 0.10, "grey": 0.10}.get(
        face.hair_colour, 0.07
    )
    glint = np.clip(0.75 + 0.6 * strands, 0, 2.2) * band * form
    warm = 0.6 * base / base.max() + 0.4
    colour = lit * 0.95 + (shine * glint)[..., None] * warm
    back_colour = lit * (0.42 + 0.12 * smoothstep(np.abs(u), 0.9, 1.5))[..., None]
    return Hair(back, front, colour.astype(np.float32), back_colour.astype(np.float32))


def _strands(
    s: Array, length: Array, spread: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    bank = _strand_bank()
    x0, y0 = (float(offset) for offset in rng.uniform(0, 640, 2))
    rows = length * 30 + y0
    fine, coarse = (
        cv2.remap(bank, s * columns + x0, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        for columns in (_COLUMNS, _COLUMNS / 6)
    )
    return 0.8 * fine * spread + 0.4 * coarse, coarse


def _outer(face: FaceAttributes, g: Geometry, u: Array, volume: float) -> Array:
    """Signed distance-like: negative inside the hair's outer outline."""
    base = g.half_width + volume
    flare = {"long": 0.10, "bob": 0.16}.get(face.hair_style, 0.0) * (1 + 0.5 * face.hair_volume)
    width = base + flare * smoothstep(g.v, -0.2, 1.6)
    if face.hair_style == "bob":
        width = width - 0.22 * smoothstep(g.v, 1.1, 1.9)
    up = np.clip(-(g.v - 0.0) / (2.0 + volume + 0.05 * face.face_length), 0, None)
    rho = power(power(u / width, 2.3) + power(up, 2.3), 1 / 2.3)
    return (rho - 1) * width


def _front_end(face: FaceAttributes) -> float:
    """Where the locks beside the face end, v."""
    by_style = {"short": 0.12, "ponytail": 0.30, "bob": 1.45, "long": 3.2, "twintails": 0.6}
    spread = {"short": 0.15, "bob": 0.25}.get(face.hair_style, 0.1)
    return by_style[face.hair_style] + spread * face.hair_length


def _back(face: FaceAttributes, g: Geometry, u: Array, outer: Array) -> Array:
    """The hair behind neck and shoulders; negative inside."""
    if face.hair_style == "long":
        return outer
    if face.hair_style == "bob":
        return np.maximum(outer, (g.v - 1.55 - 0.25 * face.hair_length) * 0.7)
    if face.hair_style in ("ponytail", "twintails"):
        sides = u if face.hair_style == "ponytail" else np.abs(u)
        side = float(np.sign(face.parting)) if face.hair_style == "ponytail" else 1.0
        centre = side * (1.05 + 0.28 * np.sin(1.1 * (g.v + 0.4)))
        tail = np.abs(sides - centre) - 0.30 * np.sqrt(np.clip((g.v + 0.4) * 1.2, 0, 1))
        return np.where(g.v > -0.4, tail, np.float32(1))
    return np.maximum(outer, g.v - 0.55)  # short: only what peeks out behind the ears


def _opening(face: FaceAttributes, g: Geometry, u: Array, ragged: Array) -> Array:
    """Negative where the face shows between the locks, positive under hair."""
    x = 0.5 * (u + g.x)  # the hairline turns with the head, though less than the features do
    covering = {"short": 0.07, "ponytail": 0.06}.get(face.hair_style, 0.14)
    half = g.half_width - covering + 0.04 * face.hair_volume
    hairline = 1.30 + 0.05 * face.face_length
    up = np.clip(-(g.v - 0.15) / (hairline + 0.15), 0, None)
    frame = (power(power(x / half, 2.4) + power(up, 2.4), 1 / 2.4) - 1) * half
    depth = 0.10 * face.fringe_length
    if face.fringe == "straight":
        fringe = -0.50 + depth - g.v - 0.10 * x * x
    elif face.fringe == "swept":
        side = 1.0 if face.parting > 0 else -1.0
        fringe = -0.78 + depth - 0.42 * side * x - 0.25 * x * x - g.v
    elif face.fringe == "parted":
        off = x - 0.42 * face.parting
        fringe = -1.22 + depth + 0.85 * np.abs(off) ** 1.3 - g.v
    else:
        fringe = np.full_like(g.v, -1.0)
    return np.maximum(frame, fringe * 0.8) + 1.1 * ragged


def lay_back_hair(image: Array, hair: Hair) -> None:
    """Paint the hair behind the head over the background, in place."""
    blend(image, hair.back_colour, hair.back)


def lay_front_hair(image: Array, hair: Hair) -> None:
    """Paint the hair in front with a contact shadow on the skin under it, in place."""
    shadow = shift_down(cv2.GaussianBlur(hair.front, (0, 0), 4.0), 3) * (1 - hair.front)
    blend(image, image * np.array([0.42, 0.34, 0.32], np.float32), np.clip(0.85 * shadow, 0, 0.8))
    blend(image, hair.colour, hair.front)
