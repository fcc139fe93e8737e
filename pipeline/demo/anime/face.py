"""An anime face: skin, eyes, brows, nose, mouth and glasses."""

from __future__ import annotations

import numpy as np

from pipeline.demo.anime.hair import HairInk
from pipeline.demo.anime.pen import Colour, Pen, bend, ellipse, mix, smooth
from pipeline.demo.attributes import FaceAttributes

SKIN_RGB: dict[str, Colour] = {
    "pale": (255, 240, 232),
    "light": (255, 226, 208),
    "tan": (240, 200, 170),
    "brown": (206, 152, 116),
}
IRIS_RGB: dict[str, Colour] = {
    "brown": (150, 88, 48),
    "blue": (60, 130, 226),
    "green": (56, 170, 92),
    "red": (222, 48, 56),
    "purple": (150, 82, 212),
    "yellow": (240, 190, 40),
}
INK: Colour = (52, 30, 40)
WHITE: Colour = (255, 255, 255)


def eye_positions(face: FaceAttributes) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of the image's left and right eye in the character's frame."""
    shift, spread = 0.15 * face.yaw, 0.435 + 0.02 * face.face_width - 0.02 * abs(face.yaw)
    return (shift - spread, 0.0), (shift + spread, 0.0)


def draw_head(pen: Pen, face: FaceAttributes, skin: Colour, shadow: Colour) -> np.ndarray:
    """Ears and face, shaded away from the lamp; returns the face outline, float64 [N, 2]."""
    width = 1 + 0.04 * face.face_width
    chin = 0.98 + 0.05 * face.face_length + (0.07 if face.gender == "male" else 0)
    cx = 0.13 * face.yaw
    jaw = 0.60 + 0.07 * face.jaw + (0.06 if face.gender == "male" else 0)
    for side in (-1.0, 1.0):
        ear = np.array([(0.95, -0.12), (1.10, -0.18), (1.10, 0.15), (0.93, 0.32)])
        pen.shape(smooth(ear * (side, 1)), skin, INK, 0.03)
    right = [(0.7, -1.2), (width, -0.5), (width * 0.98, 0.18), (0.86 * width, 0.52),
             (jaw, 0.78 * chin), (0.16, chin)]  # fmt: skip
    half = np.array(right)
    outline = np.vstack([half, half[::-1] * (-1, 1)])
    outline[:, 0] += cx * np.interp(outline[:, 1], [0.2, 0.52, 0.75], [0.0, 0.4, 1.0])  # the turn
    outline = smooth(outline)
    pen.fill(outline, skin)
    side = -1.0 if face.light_side > 0 else 1.0
    depth = 0.10 + 0.16 * abs(face.light_side)
    edge = smooth(
        [
            (side * (1.0 - depth), -0.3),
            (side * 1.3, -0.4),
            (side * 1.3, 1.2),
            (side * 0.2 + cx, chin + 0.1),
            (side * (0.62 - depth) + cx, 0.62),
        ]
    )
    pen.shade(edge, outline, shadow, 0.8)
    pen.line(outline, INK, 0.035, closed=True)
    return outline


def draw_blush(pen: Pen, face: FaceAttributes, outline: np.ndarray) -> None:
    """Soft red on the cheeks, inside the face `outline`."""
    strength = 0.35 * face.smile + (0.25 if face.makeup else 0.08)
    for x, _ in eye_positions(face):
        pen.shade(
            ellipse(x * 1.28, 0.43, 0.20, 0.09), outline, (255, 110, 120), strength, blur=0.07
        )


def draw_eye(pen: Pen, face: FaceAttributes, centre: tuple[float, float]) -> None:
    """One eye at `centre`: white, iris in tones of its colour, highlights, lashes, crease."""
    cx, cy = centre
    side = 1.0 if cx > 0.15 * face.yaw else -1.0  # +1: the outer corner is to the right
    male = face.gender == "male"
    foreshorten = 1 - 0.16 * max(0.0, side * face.yaw)
    w = (0.255 + 0.02 * face.eye_size) * foreshorten
    h = 0.27 + 0.03 * face.eye_size - 0.055 * male
    slant = 0.035 * face.eye_slant + 0.02

    def at(x: float, y: float) -> tuple[float, float]:
        return cx + side * x, cy + y - slant * x / w

    inner, outer = at(-w, 0.06), at(w, -0.02)
    upper = np.vstack([bend(inner, at(-0.7 * w, -1.15 * h), at(0.05 * w, -h), 8),
                       bend(at(0.05 * w, -h), at(0.85 * w, -0.98 * h), outer, 8)])  # fmt: skip
    lower = np.vstack([bend(outer, at(0.95 * w, 0.80 * h), at(0.15 * w, 0.88 * h), 8),
                       bend(at(0.15 * w, 0.88 * h), at(-0.6 * w, 0.88 * h), inner, 8)])  # fmt: skip
    white = np.vstack([upper, lower])
    pen.fill(white, WHITE)
    colour = IRIS_RGB[face.eye_colour]
    ix, iy = at(0.02, 0.0)
    ix += 0.03 * face.yaw
    rx, ry = 0.175 * foreshorten + 0.012 * face.eye_size, 0.95 * h
    iris = ellipse(ix, iy, rx, ry)
    dark = mix(colour, (24, 8, 40), 0.62)
    pen.shade(iris, white, dark)
    pen.shade(ellipse(ix, iy + 0.10 * h, 0.86 * rx, 0.82 * ry), white, colour)
    glow = ellipse(ix, iy + 0.50 * h, 0.62 * rx, 0.38 * ry)
    pen.shade(glow, white, mix(colour, WHITE, 0.45), 0.9, blur=0.02)
    pen.shade(ellipse(ix, iy - 0.04, 0.42 * rx, 0.46 * ry), white, mix(colour, (16, 4, 30), 0.85))
    veil = np.vstack([upper, upper[::-1] + np.array([0, 0.09])])
    pen.shade(veil, white, dark, 0.55)
    light = -1.0 if face.light_side < 0 else 1.0
    pen.fill(ellipse(ix + 0.30 * light * rx, iy - 0.42 * ry, 0.36 * rx, 0.27 * ry), WHITE)
    pen.fill(ellipse(ix - 0.38 * light * rx, iy + 0.42 * ry, 0.19 * rx, 0.13 * ry), WHITE)
    thick = 0.065 if male else 0.085
    wing = at(1.22 * w, -0.10)
    lash = np.vstack([upper, [outer], [wing], (upper[::-1] - np.array([0, thick]))])
    lash[-6:] += np.array([0, 0.5 * thick])
    pen.fill(lash, INK)
    if not male:
        pen.line([at(0.95 * w, -0.12), at(1.34 * w, -0.2)], INK, 0.035)
    pen.line(lower[2:-4], mix(INK, SKIN_RGB[face.skin_tone], 0.25), 0.022)
    peak = at(0.1 * w, -1.32 * h - thick)
    crease = bend(at(-0.6 * w, -1.12 * h - thick), peak, at(0.9 * w, -0.85 * h - thick))
    pen.line(crease, mix(INK, SKIN_RGB[face.skin_tone], 0.35), 0.02)


def draw_brows(pen: Pen, face: FaceAttributes, ink: HairInk) -> None:
    """Both brows, over the fringe as is the custom."""
    lift = 0.05 * face.brow_height + 0.03 * face.smile
    thick = 0.030 + 0.008 * face.brow_weight + (0.014 if face.gender == "male" else 0)
    for x, _ in eye_positions(face):
        side = 1.0 if x > 0.15 * face.yaw else -1.0
        inner, outer = (x - side * 0.22, -0.45 - lift), (x + side * 0.26, -0.45 - lift)
        arc = bend(inner, (x + side * 0.05, -0.56 - lift - 0.03 * face.smile), outer)
        pen.line(arc, ink.line, thick)


def draw_nose_and_mouth(pen: Pen, face: FaceAttributes, shadow: Colour) -> None:
    """A hint of a nose; the mouth is open in a smile and a short line otherwise."""
    cx = 0.21 * face.yaw
    side = 1.0 if face.yaw >= 0 else -1.0
    ink = mix(INK, SKIN_RGB[face.skin_tone], 0.2)
    size = 0.05 + 0.012 * face.nose_size
    pen.fill([(cx, 0.36), (cx + side * size, 0.45), (cx - side * 0.03, 0.46)], shadow)
    pen.line([(cx + side * size, 0.43), (cx, 0.465)], ink, 0.028)
    mx, my = 0.19 * face.yaw, 0.68 + 0.03 * face.face_length
    half = 0.13 + 0.02 * face.mouth_width + 0.10 * face.smile
    if face.smiles:
        top = bend((mx - half, my - 0.05), (mx, my + 0.02), (mx + half, my - 0.05))
        drop = 0.30 * face.smile
        lip = (mx, my - 0.05 + 2 * drop * 0.75)
        mouth = np.vstack([top, bend((mx + half, my - 0.05), lip, (mx - half, my - 0.05))])
        pen.fill(mouth, (186, 56, 70))
        pen.shade(ellipse(mx, my + 0.20, 0.7 * half, 0.08), mouth, (240, 128, 136))
        left, right, high, low = mx - half, mx + half, my - 0.1, my + 0.015
        pen.shade([(left, high), (right, high), (right, low), (left, low)], mouth, WHITE)
        pen.line(mouth, INK, 0.03, closed=True)
    else:
        bow = -0.05 + 0.25 * face.smile
        pen.line(bend((mx - half, my), (mx, my + bow), (mx + half, my), 9), INK, 0.036)
        pen.line([(mx - 0.05, my + 0.1), (mx + 0.05, my + 0.1)], shadow, 0.03)


def draw_glasses(pen: Pen, face: FaceAttributes) -> None:
    """Round frames, when the face has glasses."""
    if not face.glasses:
        return
    # Wide round frames: closer ones hide the eyes from the detector.
    colour = ((196, 60, 70), (150, 90, 50), (60, 90, 180))[face.texture_seed % 3]
    rx, ry, y, width = 0.40, 0.42, 0.06, 0.042
    (left, _), (right, _) = eye_positions(face)
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rounded = np.stack([np.cos(t), np.sin(t)], 1)
    rounded = np.sign(rounded) * np.abs(rounded) ** 0.8
    for x in (left, right):
        frame = rounded * (rx, ry) + (x, y)
        gleam = [(x + 0.14, y - 0.5), (x + 0.30, y - 0.5), (x + 0.02, y + 0.5), (x - 0.14, y + 0.5)]
        pen.shade(gleam, frame, WHITE, 0.12)
        pen.line(frame, colour, width, closed=True)
    pen.line([(left + rx, y - 0.06), (right - rx, y - 0.06)], colour, width)
    pen.line([(left - rx, y - 0.04), (-1.02, -0.08)], colour, width)
    pen.line([(right + rx, y - 0.04), (1.02, -0.08)], colour, width)
