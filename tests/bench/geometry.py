"""What the measures of faces see: against the truth of drawn faces, and on real photos.

`python -m tests.bench.geometry` prints the tables of docs/geometry.md; it needs the face mesh
(`face2anime doctor --fetch`), and what is real needs ../shared/data.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, replace
from zipfile import ZipFile

import cv2
import numpy as np
import pandas as pd
import psutil
from scipy.stats import rankdata, spearmanr

from models.metrics.shape import ShapeModel
from pipeline.demo.attributes import FaceAttributes, sample_faces
from pipeline.evaluate import found, kept
from pipeline.evaluate.face_reader import COMPONENTS, FaceReader
from pipeline.faces.detect import detect
from pipeline.imaging import drawn_face, mesh
from pipeline.imaging.align import align_face
from pipeline.imaging.images import read_rgb
from tests.bench.markdown import markdown
from tests.pipeline.evaluate.aligned_faces import (
    ALIGN,
    CELEBA,
    EYES,
    MESH,
    ROOT,
    drawn_anime,
    drawn_photos,
    moved,
    real_photos,
)

DRAWN, PHOTOS, DRAWINGS = 400, 1500, 400  # images of each table
TWISTS: dict[str, dict[str, float]] = {
    "none": {},
    **{f"mouth {n} px": {"mouth": n} for n in (3, 5, 8)},
    **{f"eye {n} px": {"eye": n} for n in (3, 6)},
}
YUNET = ROOT / "../shared/data/detectors/yunet_n_640_640.onnx"
SELFIES = ROOT / "../shared/data/selfie2anime128/trainB.zip"


def truth_of(faces: list[FaceAttributes]) -> pd.DataFrame:
    """What was drawn, by the names of the measures."""
    table = pd.DataFrame([asdict(face) for face in faces])
    opened = table["smile"].where(table["smile"] > 0.5, 0.0)
    columns = {"yaw": table["yaw"], "tilt": table["tilt"], "mouth_open": opened}
    return pd.DataFrame(columns | {"smile": table["smile"], "eye_open": table["eye_size"]})


def drawn_section(reader: FaceReader) -> str:
    """Rank correlation with the truth, and of both styles with each other."""
    faces = sample_faces(DRAWN, 3, "photos")
    truth = truth_of(faces)
    photos, anime = (reader.read(draw(faces), name, most=DRAWN) for draw, name in KINDS)
    tilted = [reader.read(draw(faces, level=False), name, most=DRAWN) for draw, name in KINDS]
    rows = []
    for name in truth:
        row = {"measure": name}
        for kind, read, turned in zip(("photos", "drawings"), (photos, anime), tilted, strict=True):
            measures = turned.measures if name == "tilt" else read.measures
            row[kind] = _rho(measures[name], truth[name]) if name in measures else "not measured"
        rows.append(row)
    pair = kept.correlations(photos.measures, anime.measures)
    lines = [f"{name}: {_told(number)}" for name, number in pair.items()]
    lines.append(f"distance, and with other partners: {distances(photos.points, anime.points)}")
    return markdown(pd.DataFrame(rows)) + "\n\nThe same faces in both styles:\n" + "\n".join(lines)


def distances(meshes: np.ndarray, drawings: np.ndarray) -> list[str]:
    """Mean distance between eyes, nose, mouth and chin, in shares of the side, less its mean.

    Of the same face in both styles, and of a face and the next one's.
    """
    mouth = meshes[:, list(mesh.MOUTH)].mean(axis=1, keepdims=True)
    ends = meshes[:, [mesh.NOSE, mesh.CHIN]]
    photos = np.concatenate([mesh.eye_centres(meshes), mouth, ends], axis=1)
    boxes = [drawings[:, 4 * i : 4 * i + 4].mean(axis=1, keepdims=True) for i in range(3)]
    ends = drawings[:, [drawn_face.NOSE, drawn_face.CHIN]]
    anime = np.concatenate([*boxes, ends], axis=1)
    both = np.isfinite(photos).all(axis=(1, 2)) & np.isfinite(anime).all(axis=(1, 2))
    x, y = (marks[both] - marks[both].mean(axis=0) for marks in (photos, anime))
    apart = [np.linalg.norm(x - np.roll(y, k, 0), axis=2).mean() / ALIGN.size for k in (0, 1)]
    return [f"{value:.4f}" for value in apart]


def dropped_section() -> str:
    """What animeface's boxes see of eyes and of closed lips, drawn over more than the usual."""
    faces, rng = sample_faces(150, 11, "anime"), np.random.default_rng(0)
    sizes, smiles = rng.uniform(-7, 1.5, 150), rng.uniform(0, 0.49, 150)
    eyes = [
        replace(face, eye_size=float(size), glasses=False, gender="female")
        for face, size in zip(faces, sizes, strict=True)
    ]
    lips = [replace(face, smile=float(smile)) for face, smile in zip(faces, smiles, strict=True)]
    boxes = drawn_face.find(drawn_anime(eyes), ALIGN.eye_distance)
    height = boxes[:, 3, 1] - boxes[:, 2, 1] + boxes[:, 7, 1] - boxes[:, 6, 1]
    width = boxes[:, 1, 0] - boxes[:, 0, 0] + boxes[:, 5, 0] - boxes[:, 4, 0]
    mouths = drawn_face.find(drawn_anime(lips), ALIGN.eye_distance)[:, list(drawn_face.MOUTH)]
    return (
        f"eye boxes' height : width and the height drawn: {_rho(height / width, sizes)}; "
        f"mouth box's width and the smile of closed lips: "
        f"{_rho(mouths[:, 1, 0] - mouths[:, 0, 0], smiles)}"
    )


def real_section(reader: FaceReader) -> str:
    """How well CelebA's labels are told: area under the ROC curve."""
    images, labels = real_photos(2000, PHOTOS)
    measures = reader.read(images, "photos", most=PHOTOS).measures
    seen = measures["yaw"].notna()
    plain = seen & ~labels["Eyeglasses"]
    asked = [
        ("mouth_open", "Mouth_Slightly_Open", seen),
        ("mouth_open", "Smiling", seen),
        ("smile", "Smiling", seen),
        ("smile", "Smiling", seen & ~labels["Mouth_Slightly_Open"]),
        ("eye_open", "Narrow_Eyes", plain),
    ]
    rows = [
        {
            "measure": m,
            "label": label,
            "n": rows.sum(),
            "AUC": _auc(measures[m], labels[label], rows),
        }
        for m, label, rows in asked
    ]
    mirrored = reader.read(images[:200, :, ::-1], "photos", most=200).measures
    agree = {name: _rho(measures[name][:200], mirrored[name]) for name in measures}
    return f"mesh believed: {seen.mean():.2f}\n" + markdown(pd.DataFrame(rows)) + f"\n{agree}"


def found_section(reader: FaceReader) -> str:
    """Shares of each kind of image on which each detector finds a face, and its time."""
    photos = real_photos(4000, 300)[0]
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), np.uint8)
    sets = {
        "photos": photos,
        "photos upside down": photos[:, ::-1],
        "drawings": real_drawings(300),
        "drawn photos": drawn_photos(sample_faces(100, 3, "photos")),
        "drawn anime": drawn_anime(sample_faces(100, 3, "anime")),
        "noise": noise,
    }
    rows = []
    for name, images in sets.items():
        row = {"set": name, "n": len(images)}
        row["animeface"] = _share(reader.found(images, "anime"))
        row["cascade"] = _share(found.in_photos(images))
        for cascade in ("default", "alt2"):
            row[cascade] = _share(_by_cascade(images, cascade))
        row["YuNet"] = _share(_by_yunet(images))
        row["mesh"] = _share(reader.read(images, "photos").measures["yaw"].notna())
        rows.append(row)
    for name, images in (("photos", photos[:100]), ("drawings", sets["drawings"][:100])):
        for kind in ("photos", "anime"):
            took = _cpu_seconds(lambda i=images, k=kind: reader.read(i, k)) / len(images)
            rows.append({"set": f"ms to read {name}", "n": kind, "cascade": f"{took * 1e3:.0f}"})
    return markdown(pd.DataFrame(rows).fillna(""))


def shape_section(reader: FaceReader) -> str:
    """Lengths of held-out real faces, and of the same faces twisted."""
    rows = []
    for domain, images in (("photos", real_photos(2000, 800)[0]), ("anime", real_drawings(400))):
        half = len(images) // 2
        model = ShapeModel.fit(
            reader.read(images[:half], domain, most=half).points, COMPONENTS[domain]
        )
        for name, twist in TWISTS.items():
            faces = reader.read(moved(images[half:], **twist), domain, most=half)
            lengths = model.lengths(faces.points)
            known = lengths[np.isfinite(lengths)]
            low, middle, high = np.percentile(known, [10, 50, 90])
            rows.append(
                {
                    "kind": domain,
                    "twist": name,
                    "found": f"{faces.found.mean():.2f}",
                    "n": len(known),
                    "length": f"{middle:.2f} ({low:.2f}–{high:.2f})",
                    "inside": f"{(known <= model.limit).mean():.2f}",
                }  # fmt: skip
            )
    return markdown(pd.DataFrame(rows))


def real_drawings(most: int) -> np.ndarray:
    """Aligned faces that animeface finds in whole pictures, uint8 [N, 64, 64, 3]."""
    faces: list[np.ndarray] = []
    with ZipFile(SELFIES) as pictures:
        for name in sorted(pictures.namelist()):
            if len(faces) < most and name.endswith((".jpg", ".png")):
                rgb = read_rgb(pictures.read(name))
                for face in detect(rgb, 320, 0.0, 2.5)[:1]:
                    cut, border = align_face(rgb, face.eyes, ALIGN)
                    faces += [cut] if border < ALIGN.max_border else []
    return np.stack(faces)


def look_section(reader: FaceReader) -> str:
    """Faces that animeface finds, by pixels between the eyes, with and without a white margin."""
    drawings, photos = real_drawings(100), real_photos(4000, 100)[0]
    rows = []
    for pixels in (24, 28, 32, 36, 40, 44, 50):
        row: dict[str, object] = {"pixels between the eyes": pixels}
        for margin in (0.0, 0.45):
            for name, images in (("drawings", drawings), ("photos", photos)):
                cut = ALIGN.eye_distance / (1 + 2 * margin) * drawn_face.EYE_PIXELS / pixels
                border = [(0, 0), *[(round(margin * ALIGN.size),) * 2] * 2, (0, 0)]
                wide = np.pad(images, border, constant_values=255)
                points = drawn_face.find(wide, cut)
                row[f"{name}, margin {margin}"] = f"{np.isfinite(points[:, 0, 0]).mean():.2f}"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def _by_cascade(images: np.ndarray, name: str) -> np.ndarray:
    usual = found.CASCADE
    try:
        found.CASCADE = f"haarcascade_frontalface_{name}.xml"
        found._cascade.cache_clear()
        return found.in_photos(images)
    finally:
        found.CASCADE = usual
        found._cascade.cache_clear()


def _by_yunet(images: np.ndarray) -> np.ndarray:
    size = (found.LOOK, found.LOOK)
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", size, 0.6)
    large = (cv2.resize(rgb[..., ::-1], size, interpolation=cv2.INTER_CUBIC) for rgb in images)
    return np.array([detector.detect(bgr)[1] is not None for bgr in large])


def _share(seen: np.ndarray) -> str:
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**found.share(np.asarray(seen)))


def _rho(x: np.ndarray, y: np.ndarray) -> str:
    return f"{spearmanr(x, y, nan_policy='omit')[0]:.2f}"


def _auc(score: pd.Series, label: pd.Series, rows: pd.Series) -> str:
    ranks, true = rankdata(score[rows]), label[rows].to_numpy()
    wins = ranks[true].sum() - true.sum() * (true.sum() + 1) / 2
    return f"{wins / (true.sum() * (~true).sum()):.2f}"


def _told(number: kept.Kept | None) -> str:
    form = "{value:.3f} [{low:.3f}, {high:.3f}], n {n}, shuffled {shuffled:.3f}"
    return form.format(**number) if number else "none"


def _cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process and of animeface's, which is its child."""

    def spent() -> float:
        here = psutil.Process(os.getpid())
        times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
        return sum(time.user + time.system for time in times)

    before = spent()
    work()
    return spent() - before


KINDS = ((drawn_photos, "photos"), (drawn_anime, "anime"))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    the_reader = FaceReader(MESH, EYES)
    print(drawn_section(the_reader), dropped_section(), sep="\n\n")
    if CELEBA.exists():
        for section in (real_section, found_section, look_section, shape_section):
            print("", section(the_reader), sep="\n", flush=True)
