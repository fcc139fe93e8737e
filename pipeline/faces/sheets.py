"""Sheets of the faces that were kept and rejected, and histograms of what decided."""

from __future__ import annotations

from pathlib import Path

from pipeline.core import tables
from pipeline.core.params import Align, Faces
from pipeline.faces.extract import REASONS, FacesResult
from pipeline.figures import charts, sheets


def draw(folder: Path, result: FacesResult, settings: Faces, align: Align) -> None:
    """Write ``kept.png``, ``rejected.png`` and ``measures.png``."""
    shown = result.frame.head(100)
    named = settings.detectors != ("none",)
    pairs = zip(shown["hair"], shown["eyes"], strict=True)
    captions = [f"{hair}/{eyes}" for hair, eyes in pairs] if named else []
    faces = [tables.decode(image["bytes"]) for image in shown["image"]]
    sheets.contact_sheet(folder / "kept.png", faces, captions)
    order = result.rejected.sort_values("reason", key=lambda r: r.map(REASONS.index), kind="stable")
    sheets.contact_sheet(folder / "rejected.png", list(order["image"]), list(order["note"]))
    limits = {
        "likelihood": settings.min_likelihood,
        "eye_distance": settings.min_eye_distance,
        "tilt": settings.max_tilt,
        "border": align.max_border,
        "sharpness": settings.min_sharpness,
    }
    known = result.frame[list(limits)].dropna(axis="columns", how="all")  # no eyes, no tilt
    values = {str(name): known[name].to_numpy() for name in known}
    charts.histograms(folder / "measures.png", values, limits)
