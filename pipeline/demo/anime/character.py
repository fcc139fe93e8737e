"""One anime character, head and shoulders, in flat cel shading with ink outlines."""

from __future__ import annotations

import numpy as np

from pipeline.demo.anime.face import (
    INK,
    SKIN_RGB,
    WHITE,
    draw_blush,
    draw_brows,
    draw_eye,
    draw_glasses,
    draw_head,
    draw_nose_and_mouth,
    eye_positions,
)
from pipeline.demo.anime.hair import (
    HairInk,
    draw_ahoge,
    draw_back_hair,
    draw_front_hair,
    front_hair,
)
from pipeline.demo.anime.pen import Colour, Pen, bend, ellipse, hsv, mix, smooth
from pipeline.demo.attributes import FaceAttributes


def draw_character(pen: Pen, face: FaceAttributes) -> None:
    """Draw `face` at the pen's frame: (0, 0) between the eyes, half a face width is 1.

    Hair reaches up to about y = -1.9, the shoulders run out of the frame below y = 2.4.
    """
    rng = np.random.default_rng(face.texture_seed)
    ink = HairInk(face)
    skin = SKIN_RGB[face.skin_tone]
    shadow = mix(skin, (200, 90, 110), 0.30)
    draw_back_hair(pen, face, ink, rng)
    _body(pen, face, skin, shadow, rng)
    outline = draw_head(pen, face, skin, shadow)
    hair, strands = front_hair(face, rng)
    pen.shade(hair + np.array([-0.07 * face.light_side, 0.11]), outline, shadow)
    draw_blush(pen, face, outline)
    for centre in eye_positions(face):
        draw_eye(pen, face, centre)
    draw_nose_and_mouth(pen, face, shadow)
    draw_ahoge(pen, face, ink, rng)
    draw_front_hair(pen, face, ink, hair, strands)
    draw_brows(pen, face, ink)
    draw_glasses(pen, face)
    _ornament(pen, face, rng)


def _body(
    pen: Pen, face: FaceAttributes, skin: Colour, shadow: Colour, rng: np.random.Generator
) -> None:
    male = face.gender == "male"
    broad = 1.62 + 0.22 * male
    top, low = 0.34 + 0.06 * male, 0.40 + 0.08 * male
    neck = [(-top, 0.7), (top, 0.7), (low, 1.6), (-low, 1.6)]
    pen.shape(neck, skin, INK, 0.03)
    pen.shade(ellipse(0.1 * face.yaw, 0.85, 0.8, 0.48), neck, shadow)
    cloth = hsv(face.clothes_hue, 0.45, 0.66 + 0.30 * face.clothes_light)
    dark = mix(cloth, (40, 20, 80), 0.28)
    line = mix(cloth, INK, 0.78)
    torso = smooth(
        [(-0.42, 1.34), (-1.05, 1.62), (-broad, 2.05), (-broad - 0.25, 3.4), (broad + 0.25, 3.4),
         (broad, 2.05), (1.05, 1.62), (0.42, 1.34), (0.0, 1.62)]
    )  # fmt: skip
    pen.shape(torso, cloth, line)
    side = -1.0 if face.light_side > 0 else 1.0
    pen.shade([(side * 0.75, 1.3), (side * 3, 1.3), (side * 3, 4), (side * 1.0, 4)], torso, dark)
    _trim(pen, face, torso, cloth, line, rng)
    pen.line(torso, line, 0.035, closed=True)


def _trim(
    pen: Pen,
    face: FaceAttributes,
    torso: np.ndarray,
    cloth: Colour,
    line: Colour,
    rng: np.random.Generator,
) -> None:
    """What tells one garment from another: a collar, a hood or stripes."""
    trim = WHITE if face.clothes_light < 0.3 else hsv(face.clothes_hue + 0.5, 0.5, 0.55)
    kind = int(rng.integers(4))
    if kind == 0:  # sailor collar and scarf
        for s in (-1, 1):
            half = [(0.40, 1.30), (1.12, 1.58), (0.95, 2.2), (0, 2.35), (0.02, 2.0)]
            pen.shape(np.array(half) * (s, 1), trim, line)
        pen.shape(
            smooth([(0, 2.1), (0.34, 2.35), (0.2, 2.9), (0, 2.5), (-0.2, 2.9), (-0.34, 2.35)]),
            hsv(face.clothes_hue + 0.3, 0.7, 0.85),
            line,
        )
    elif kind == 1:  # shirt collar
        for s in (-1, 1):
            pen.shape([(s * 0.38, 1.22), (s * 0.70, 1.55), (s * 0.34, 1.95), (0, 1.62)], trim, line)
        pen.line([(0, 1.65), (0, 3.4)], line, 0.03)
    elif kind == 2:  # hood
        for s in (-1, 1):
            half = [(0.40, 1.18), (0.98, 1.30), (0.9, 1.78), (0.0, 2.05), (0.1, 1.7)]
            pen.shape(smooth(np.array(half) * (s, 1)), mix(cloth, WHITE, 0.12), line)
        for s in (-1, 1):
            pen.line([(s * 0.2, 1.95), (s * 0.24, 2.6)], trim, 0.05)
    else:  # round neck with stripes
        for y in (2.1, 2.45, 2.8):
            band = [(-3, y), (3, y), (3, y + 0.16), (-3, y + 0.16)]
            pen.shade(band, torso, trim, 0.85)
        pen.line(bend((-0.46, 1.36), (0, 1.95), (0.46, 1.36), 10), trim, 0.10)


def _ornament(pen: Pen, face: FaceAttributes, rng: np.random.Generator) -> None:
    if face.gender == "male":
        return
    kind = rng.choice(["none", "ribbon", "pin", "band", "flower"], p=[0.34, 0.2, 0.16, 0.15, 0.15])
    colour = hsv(face.clothes_hue + 0.45, 0.65, 0.92)
    side = 1.0 if face.parting > 0 else -1.0
    x, y = side * 0.72, -1.15
    if kind == "ribbon":
        for s in (-1, 1):
            bow = smooth([(x, y), (x + s * 0.34, y - 0.22), (x + s * 0.38, y + 0.16)])
            pen.shape(bow, colour, INK, 0.03)
        pen.shape(ellipse(x, y, 0.08, 0.09), mix(colour, INK, 0.3), INK, 0.03)
    elif kind == "pin":
        pen.line([(side * 0.62, -0.72), (side * 0.86, -0.60)], colour, 0.08)
        pen.line([(side * 0.60, -0.60), (side * 0.84, -0.48)], colour, 0.08)
    elif kind == "flower":
        for k in range(5):
            turn = 2 * np.pi * k / 5
            petal = ellipse(x + 0.17 * np.cos(turn), y + 0.17 * np.sin(turn), 0.14, 0.14)
            pen.shape(petal, colour, INK, 0.025)
        pen.shape(ellipse(x, y, 0.09, 0.09), (250, 214, 90), INK, 0.025)
    elif kind == "band":
        arc = bend((-1.02, -0.86), (0, -2.02), (1.02, -0.86), 20)
        pen.line(arc, mix(colour, INK, 0.6), 0.17)
        pen.line(arc, colour, 0.12)
