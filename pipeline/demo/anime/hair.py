"""Anime hair: back hair, tails, side locks and a fringe of pointed locks."""

from __future__ import annotations

import numpy as np

from pipeline.demo.anime.pen import Colour, Pen, bend, mix, smooth
from pipeline.demo.attributes import FaceAttributes

HAIR_RGB: dict[str, Colour] = {
    "black": (52, 48, 60),
    "brown": (128, 80, 52),
    "blonde": (246, 214, 120),
    "grey": (178, 180, 190),
    "red": (206, 48, 48),
    "blue": (74, 118, 214),
    "green": (84, 176, 104),
    "pink": (250, 160, 196),
    "purple": (146, 92, 196),
}
_WHITE = (255, 255, 255)


class HairInk:
    """The four colours of one head of hair."""

    def __init__(self, face: FaceAttributes) -> None:
        base = HAIR_RGB[face.hair_colour]
        toward = _WHITE if face.hair_shade > 0 else (20, 10, 40)
        self.base = mix(base, toward, 0.10 * abs(face.hair_shade))
        self.dark = mix(self.base, (40, 16, 70), 0.30)
        self.line = mix(self.base, (24, 10, 30), 0.72)
        self.light = mix(self.base, _WHITE, 0.30 if face.hair_colour == "black" else 0.55)


def crown(face: FaceAttributes) -> tuple[float, float]:
    """(half width, height above the eyes) of the hair's dome, in units."""
    spiky = 0.05 if is_spiky(face) else 0.0
    return 1.16 + spiky + 0.09 * face.hair_volume, 1.64 + spiky + 0.17 * face.hair_volume


def is_spiky(face: FaceAttributes) -> bool:
    """Whether short hair stands up: most boys' does."""
    return face.hair_style == "short" and (face.gender == "male" or face.hair_wave > 0.4)


def draw_back_hair(pen: Pen, face: FaceAttributes, ink: HairInk, rng: np.random.Generator) -> None:
    """The hair behind head and shoulders, tails included."""
    half, _ = crown(face)
    if face.hair_style in ("long", "bob"):
        end = (2.6 if face.hair_style == "long" else 1.05) + 0.35 * face.hair_length
        spread = (
            half + 0.18 + 0.12 * face.hair_volume + (0.15 if face.hair_style == "long" else 0.0)
        )
        left = _hanging(-1, half, spread, end, face, rng)
        right = _hanging(1, half, spread, end, face, rng)
        shape = np.vstack([left, right[::-1]])
        pen.shape(shape, ink.dark, ink.line)
        pen.shade(
            smooth([(-spread, 0.6), (0, 0.2), (spread, 0.6), (0, end)]), shape, ink.line, 0.35
        )
    else:
        low = 0.80 + 0.14 * face.hair_length
        right = np.array([(0.8 * half, -0.7), (0.9 * half, 0.15), (0.74, low), (0.3, low + 0.1)])
        nape = smooth(np.vstack([right, right[::-1] * (-1, 1)]))
        pen.shape(nape, ink.dark, ink.line)
    if face.hair_style == "ponytail":
        _tail(pen, face, ink, 1.0 if face.parting > 0 else -1.0, (0.55, -1.35), rng)
    if face.hair_style == "twintails":
        for side in (-1.0, 1.0):
            _tail(pen, face, ink, side, (0.98, -0.85), rng)


def _hanging(
    side: int,
    half: float,
    spread: float,
    end: float,
    face: FaceAttributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """One side's outline from the crown down and in to the middle, with pointed ends."""
    wave = 0.09 * max(face.hair_wave, 0)
    y = np.linspace(-0.6, end, 6)
    x = half + (spread - half) * np.clip((y + 0.6) / 1.4, 0, 1)
    x = x + wave * np.sin(3.4 * y + 5 * face.parting) * (y > 0)
    parts = [smooth(np.stack([side * x, y], 1), closed=False)]
    tips = int(rng.integers(2, 4))
    edge = np.linspace(spread, 0, tips + 1)
    for a, b in zip(edge[:-1], edge[1:], strict=True):
        tip = (side * (0.35 * a + 0.65 * b), end + float(rng.uniform(0.05, 0.22)))
        parts.append(bend((side * a, end), (side * (a - 0.02), end + 0.1), tip, 4))
        parts.append(bend(tip, (side * b, end), (side * b, end - 0.12), 4))
    return np.vstack(parts)


def _tail(
    pen: Pen,
    face: FaceAttributes,
    ink: HairInk,
    side: float,
    root: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    length = 2.1 + 0.4 * face.hair_length
    sway = float(rng.uniform(-0.1, 0.15))
    rx, ry = side * root[0], root[1]
    outer = [(rx, ry - 0.12), (rx + side * 0.5, ry - 0.1), (rx + side * 0.86, ry + 0.7),
             (rx + side * (0.80 + sway), ry + 0.7 * length)]  # fmt: skip
    tip = (rx + side * (0.55 + sway), ry + length)
    inner = [
        (rx + side * (0.36 + sway), ry + 0.68 * length),
        (rx + side * 0.34, ry + 0.65),
        (rx, ry + 0.18),
    ]
    shape = np.vstack([smooth([*outer, tip], closed=False), smooth([tip, *inner], closed=False)])
    pen.shape(shape, ink.base, ink.line)
    shadow = smooth([inner[1], inner[0], tip, (rx + side * 0.55, ry + 0.8)])
    pen.shade(shadow, shape, ink.dark)
    band = mix(ink.line, (220, 60, 90), 0.7) if face.clothes_hue < 0.5 else (70, 80, 120)
    tie = np.array([(0.05, -0.2), (0.28, -0.1), (0.16, 0.22), (-0.06, 0.14)]) * (side, 1)
    pen.shape(smooth(tie + (rx, ry)), band, ink.line)


def front_hair(
    face: FaceAttributes, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The dome with fringe and side locks as one outline, and its strand lines.

    Returns (outline float64 [N, 2], strand lines each [M, 2]).
    """
    half, top = crown(face)
    turn = 0.20 * face.yaw
    side_end = {"short": 0.30, "bob": 0.95, "long": 1.45, "ponytail": 0.75, "twintails": 0.85}
    end = (
        side_end[face.hair_style]
        + (0.12 if face.hair_style == "short" else 0.30) * face.hair_length
    )
    left = np.array(
        [(half + 0.02, end * 0.4), (half, -0.35), (0.86 * half, -1.02), (0.45 * half, -0.9 * top)]
    ) * (-1, 1)
    dome = smooth(np.vstack([left, [(0.0, -top)], left[::-1] * (-1, 1)]), closed=False)
    if is_spiky(face):
        dome = _spikes(dome, rng)
    inner = 0.82 + 0.07 * face.jaw
    corners, lengths = _fringe(face, rng, inner, turn)
    parts = [
        dome,
        _lock((half + 0.02, end * 0.4), (inner + 0.10, end), (inner + 0.04, -0.35), 0.06),
    ]
    strands = []
    for i, length in enumerate(lengths):
        a, b = corners[i], corners[i + 1]
        lean = float(rng.uniform(0.2, 0.8))
        tip = ((1 - lean) * a[0] + lean * b[0], length)
        parts.append(_lock(a, tip, b, 0.10 * (a[0] - b[0])))
        if i:
            middle = (a[0] * 0.92 + turn * 0.1, a[1] - 0.25)
            strands.append(bend(a, middle, (a[0] * 0.72 + turn * 0.3, a[1] - 0.5)))
    parts.append(
        _lock((-inner - 0.04, -0.35), (-inner - 0.10, end), (-half - 0.02, end * 0.4), -0.06)
    )
    return np.vstack(parts), strands


def _spikes(dome: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The dome's outline broken into pointed tufts."""
    marks = np.linspace(4, len(dome) - 5, int(rng.integers(8, 12))).astype(int)
    parts = [dome[: marks[0]]]
    for a, b in zip(marks[:-1], marks[1:], strict=True):
        start, end = dome[a], dome[b]
        middle = 0.5 * (start + end)
        out = middle / np.linalg.norm(middle)
        sweep = 0.5 * (end - start) * float(rng.uniform(-0.2, 0.9))
        tip = middle + out * float(rng.uniform(0.12, 0.26)) + sweep
        parts += [
            bend(start, middle + 0.06 * out - 0.2 * sweep, tip, 5),
            bend(tip, middle + 0.12 * out + 0.4 * sweep, end * 0.985, 5),
        ]
    return np.vstack([*parts, dome[marks[-1] :]])


def draw_ahoge(pen: Pen, face: FaceAttributes, ink: HairInk, rng: np.random.Generator) -> None:
    """The one lock that stands up from the crown of some heads."""
    if is_spiky(face) or rng.random() < 0.6:
        return
    _, top = crown(face)
    side = 1.0 if face.parting > 0 else -1.0
    root = 0.12 * side
    tip = (root + side * float(rng.uniform(0.3, 0.5)), -top - float(rng.uniform(0.02, 0.2)))
    rise = (root - 0.05 * side, -top - 0.36)
    up = bend((root - 0.09, -top + 0.06), rise, tip)
    down = bend(tip, (root + 0.12 * side, -top - 0.2), (root + 0.09, -top + 0.08))
    pen.shape(np.vstack([up, down]), ink.base, ink.line, 0.03)


def _fringe(
    face: FaceAttributes, rng: np.random.Generator, inner: float, turn: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """Corners between the fringe's locks, right to left, and how far down each lock reaches."""
    n = int(rng.integers(4, 7))
    xs = np.linspace(inner, -inner, n + 1) + np.pad(rng.uniform(-0.09, 0.09, n - 1), 1) + turn * 0.6
    xs[0], xs[-1] = inner + 0.04, -inner - 0.04
    middle = 0.5 * (xs[:-1] + xs[1:])
    reach = -0.24 + 0.13 * face.fringe_length + rng.uniform(-0.06, 0.06, n)
    if face.fringe == "swept":
        side = 1.0 if face.parting > 0 else -1.0
        reach += 0.20 * side * middle - 0.02
    elif face.fringe in ("parted", "none"):
        off = np.abs(middle - turn - 0.35 * face.parting)
        reach += -0.42 + 0.48 * np.clip(off, 0, 1)
    corner_y = np.interp(xs, np.sort(middle), reach[np.argsort(middle)]) - rng.uniform(
        0.16, 0.36, n + 1
    )
    corner_y[0] = corner_y[-1] = -0.35
    corners = [(float(x), float(y)) for x, y in zip(xs, corner_y, strict=True)]
    return corners, [float(r) for r in reach]


def _lock(
    a: tuple[float, float], tip: tuple[float, float], b: tuple[float, float], belly: float
) -> np.ndarray:
    """One pointed lock's edge from corner `a` over `tip` to corner `b`, bulging by `belly`."""
    down = bend(a, (a[0] + 0.3 * belly, 0.6 * tip[1] + 0.4 * a[1]), tip, 6)
    up = bend(tip, (b[0] + 0.9 * belly, 0.55 * tip[1] + 0.45 * b[1]), b, 6)
    return np.vstack([down, up])


def draw_front_hair(
    pen: Pen, face: FaceAttributes, ink: HairInk, outline: np.ndarray, strands: list[np.ndarray]
) -> None:
    """Fill, shade and gloss the front hair."""
    half, top = crown(face)
    pen.fill(outline, ink.base)
    side = -1.0 if face.light_side > 0 else 1.0  # the shaded side is away from the lamp
    rim = np.array([(0.72 * half, -0.7 * top), (1.4, -1.2), (1.5, 1.6), (0.86, 0.9), (0.98, -0.3)])
    pen.shade(smooth(rim * (side, 1)), outline, ink.dark)
    low = np.array([[-2, -0.62], [2, -0.62], [2, 2], [-2, 2]])
    pen.shade(low, outline, ink.dark, 0.30, blur=0.12)
    gloss_y = -1.02 - 0.06 * face.light_height
    x = np.linspace(-0.8, 0.8, 13)
    wavy = 0.5 * (1 + np.cos(np.arange(13) * np.pi))
    arc = gloss_y + 0.26 * x**2 - 0.10 * face.light_side * x
    upper = np.stack([x, arc - 0.07 - 0.05 * wavy], 1)
    lower = np.stack([x, arc + 0.05 + 0.12 * wavy], 1)[::-1]
    pen.shade(np.vstack([upper, lower]), outline, ink.light, 0.85)
    for strand in strands:
        pen.line(strand, ink.line, 0.022)
    pen.line(outline, ink.line, 0.035, closed=True)
