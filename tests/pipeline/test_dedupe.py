"""Planted copies go, distinct faces stay, and nothing about a dropped face is forgotten."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import dedupe, hashes, tables
from pipeline.align import align_face
from pipeline.demo.anime import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from pipeline.params import Align, Dedupe
from pipeline.registration import correlation

SETTINGS = Dedupe(same_bits=40, judge_bits=104, same_correlation=0.95)
ALIGN = Align(size=64, eye_distance=0.26, eye_line=0.5, max_border=0.2)
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
REAL = {
    "anime": (SHARED / "anime" / "faces96.zip", 400),
    "photos": (SHARED / "celeba" / "img_align_celeba.zip", 400),
}
KINDS = ["reencoded", "resized", "cropped", "mirrored", "recoloured", "shifted"]
MOST_LOST = 0.005  # share of distinct faces that may go


def copy_of(rgb: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """The face as it comes out of a copied picture: the same size again."""
    side = len(rgb)
    if kind == "reencoded":
        return tables.decode(tables.encode_jpeg(rgb, 50))
    if kind == "resized":
        half = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return cv2.resize(half, (side, side), interpolation=cv2.INTER_CUBIC)
    if kind == "cropped":
        top, bottom, left, right = (rng.uniform(0, 0.03, 4) * side).round().astype(int)
        cut = rgb[top : side - bottom, left : side - right]
        return cv2.resize(cut, (side, side), interpolation=cv2.INTER_CUBIC)
    if kind == "mirrored":
        return np.ascontiguousarray(rgb[:, ::-1])
    if kind == "recoloured":
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(int)
        hsv[..., 0] = (hsv[..., 0] + rng.integers(5, 15)) % 180
        hsv[..., 2] = np.clip(hsv[..., 2] * rng.choice([0.87, 1.12]), 0, 255)
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    # The detector finds the eyes of a copy a little elsewhere.
    middle = (side / 2, side / 2)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-3, 3), rng.uniform(0.96, 1.04))
    matrix[:, 2] += rng.uniform(-1, 1, 2)
    return cv2.warpAffine(
        rgb, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def drawn_faces(count: int) -> Iterator[np.ndarray]:
    for index, person in enumerate(sample_faces(count, 11, "anime")):
        rgb, records = draw_page([person], *page_size(1, 40), index)
        names = ["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]
        eyes = np.array([records[0][name] for name in names]).reshape(2, 2)  # type: ignore[literal-required]
        yield align_face(rgb, eyes, ALIGN)[0]


def real_faces(path: Path, count: int) -> Iterator[np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        for name in names[:count]:
            rgb = tables.decode(archive.read(name))
            square = rgb[len(rgb) - rgb.shape[1] :] if len(rgb) > rgb.shape[1] else rgb
            yield cv2.resize(square, (64, 64), interpolation=cv2.INTER_AREA)


def row(rgb: np.ndarray, number: int, kind: str = "original", **values) -> dict:
    return {
        "id": hashlib.sha256(rgb.tobytes()).hexdigest(),
        "image": {"bytes": tables.encode_png(rgb), "path": None},
        **{"source": "a", "url": f"http://a/{number}/{kind}", "post_id": f"{number}-{kind}"},
        **{"raw_id": f"{number}{kind}", "licence": "", "artist": "", "tags": ""},
        **{"eye_distance": 40.0, "sharpness": 100.0, "page_faces": 1},
        **{"hair_measured": "red", "eyes_measured": "blue"},
        **{"face": number, "kind": kind, "batch": number // 4},
    } | values


def with_copies(originals: list[np.ndarray], every: int) -> pd.DataFrame:
    """A table of all originals, and for every ``every``-th one copy of each kind."""
    rows = [row(rgb, number, eye_distance=50.0) for number, rgb in enumerate(originals)]
    for number, rgb in list(enumerate(originals))[::every]:
        rng = np.random.default_rng([7, number])
        rows += [row(copy_of(rgb, kind, rng), number, kind) for kind in KINDS]
    return pd.DataFrame(rows)


def recall_and_lost(table: pd.DataFrame) -> tuple[dict[str, float], float]:
    """Share of copies of each kind that went, and share of faces of which nothing is left."""
    kept = dedupe.dedupe(table, SETTINGS, workers=1).kept
    planted = table[table["kind"] != "original"].groupby("kind").size()
    left = kept[kept["kind"] != "original"].groupby("kind").size()
    recall = 1 - left.reindex(planted.index, fill_value=0) / planted
    return recall.to_dict(), 1 - kept["face"].nunique() / table["face"].nunique()


def test_copies_of_drawn_faces_go_and_distinct_faces_stay() -> None:
    recall, lost = recall_and_lost(with_copies(list(drawn_faces(120)), every=6))
    assert lost == 0
    assert min(recall.values()) >= 0.95, recall


@pytest.mark.parametrize("kind", REAL)
def test_copies_of_real_faces_go_and_distinct_faces_stay(kind: str) -> None:
    path, count = REAL[kind]
    if not path.is_file():
        pytest.skip(f"no real faces at {path}")
    recall, lost = recall_and_lost(with_copies(list(real_faces(path, count)), every=16))
    assert lost <= MOST_LOST
    assert min(recall.values()) >= 0.9, recall


def test_near_pairs_are_exactly_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    bits = rng.random((2500, 2, 256)) < 0.5  # more than one block
    bits[1, 0] = bits[0, 0]
    bits[2400, 1] = bits[0, 0]
    bits[2400, 1, :7] ^= True
    bits[9, 0] = bits[2100, 0]
    bits[9, 0, :41] ^= True
    nothing = np.zeros((2500, 2, 192), np.float32)
    pairs = hashes.near_pairs(hashes.Signatures(bits, nothing), 40)
    expected = [[0, 1, 0, False], [0, 2400, 7, True], [1, 2400, 7, True]]
    assert pairs.to_dict("split")["data"] == expected
    assert len(hashes.near_pairs(hashes.Signatures(bits, nothing), 41)) == 4


def test_a_copy_goes_only_for_a_face_it_is_itself_a_copy_of() -> None:
    chain = np.array([(0, 1), (1, 2), (2, 3)])
    assert dedupe.keepers([0, 1, 2, 3, 4], chain).tolist() == [0, 0, 2, 2, 4]
    assert dedupe.keepers([1, 0, 2, 3, 4], chain).tolist() == [1, 1, 1, 3, 4]


def test_the_largest_then_sharpest_copy_is_kept_with_all_tags() -> None:
    rgb = next(drawn_faces(1))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            row(rgb, 0, "small", tags="1girl blue_hair", sharpness=500.0),
            row(copy_of(rgb, "reencoded", rng), 0, "large", eye_distance=80.0, tags="smile solo"),
            row(copy_of(rgb, "resized", rng), 0, "crowd", tags="red_hair 2girls", page_faces=2),
        ]
    )
    result = dedupe.dedupe(table, SETTINGS, workers=1)
    (kept,) = result.kept.to_dict("records")
    assert kept["kind"] == "large" and kept["copies"] == 3 and kept["cluster"] == min(table["id"])
    assert kept["tags"] == "1girl 2girls blue_hair red_hair smile solo"
    # The page with two people does not say whose the red hair is.
    assert (kept["hair"], kept["hair_from"], kept["smile"]) == ("blue", "tag", "yes")
    assert (kept["eyes"], kept["eyes_from"]) == ("blue", "measured")
    assert set(result.dropped["url"]) == {"http://a/0/small", "http://a/0/crowd"}
    assert result.dropped["kept_id"].eq(kept["id"]).all() and result.dropped["bits"].le(80).all()
    assert result.counts["dropped"] == 2


def test_exact_copies_of_two_sources_are_one_face() -> None:
    rgb = next(drawn_faces(1))
    table = pd.DataFrame([row(rgb, 0, source="a"), row(rgb, 0, source="b")])
    result = dedupe.dedupe(table, SETTINGS, workers=1)
    assert len(result.kept) == 1 and result.counts["dropped_across_sources"] == 1


def test_correlation_tells_a_shifted_copy_from_another_face() -> None:
    one, other = drawn_faces(2)
    shifted = copy_of(one, "shifted", np.random.default_rng(1))
    assert correlation(one, one) == pytest.approx(1, abs=1e-6)
    assert correlation(one, shifted) > 0.95
    assert correlation(one, other) < 0.9
    assert correlation(one, np.zeros_like(one)) < 0.5


def test_main_writes_kept_dropped_pairs_and_sheets(tmp_path, monkeypatch, fake_run) -> None:
    monkeypatch.chdir(tmp_path)
    tables.write_frame(dedupe.FACES, "faces", with_copies(list(drawn_faces(8)), every=2))
    everyone = 8 + 4 * len(KINDS)
    content = {"compute": {"workers": 1}, "dedupe": SETTINGS.model_dump(), "exclude": {}}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    dedupe.main()
    kept = pd.read_parquet(dedupe.OUT)
    dropped = pd.read_parquet(dedupe.DROPPED / "anime.parquet")
    assert len(kept) + len(dropped) == everyone and set(dropped["kept_id"]) <= set(kept["id"])
    assert len(pd.read_parquet(dedupe.DROPPED / "anime_pairs.parquet")) >= len(dropped)
    assert len(list(dedupe.SHEETS.glob("*.png"))) == 3
    assert fake_run.logged["kept"] == len(kept) and fake_run.logged["excluded"] == 0

    content["exclude"] = {"images": [kept["url"][0]]}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    dedupe.main()
    assert fake_run.logged["excluded"] == 1 and fake_run.logged["faces"] == everyone - 1
    assert kept["url"][0] not in set(pd.read_parquet(dedupe.OUT)["url"])


def test_nothing_dropped_is_a_table_with_the_same_columns() -> None:
    table = with_copies(list(drawn_faces(2)), every=1)
    some = dedupe.dedupe(table, SETTINGS, workers=1).dropped
    none = dedupe.dedupe(table[:2], SETTINGS, workers=1).dropped
    assert len(some) > 0 == len(none)
    assert none.columns.tolist() == some.columns.tolist()
    assert none.dtypes["url"] == some.dtypes["url"] == "str"
