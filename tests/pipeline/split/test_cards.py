"""Data set cards: what they say is what the tables hold, in a form that others read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.core import stage, tables, yaml_files
from pipeline.core.params import Celeba
from pipeline.imaging.attributes import values_of
from pipeline.split import assign, cards
from tests.pipeline.split.test_split import SETTINGS, rows

RULES = Celeba(path=Path("data/celeba"), keep={"Male": False}, drop={"Blurry": True})
METRICS: dict[str, dict[str, Any]] = {
    "discover": {"posts": 300},
    "crawl": {"outcomes": {"ok": 250, "gone": 50}},
    "faces": {"with_faces": 240, "detected": 260, "kept": 200},
    "dedupe": {"kept": 120},
    "celeba": {
        **{"listed": 500, "present": 499, "after_Male_no": 130, "after_Blurry_no": 121},
        "kept": 120,
    },
}


def made(domain: str) -> pd.DataFrame:
    """120 rows: photos all female and half smiling, anime mostly of unknown gender and blue."""
    table = rows(120, start=0 if domain == "photos" else 5000)
    if domain == "photos":
        skin = ["pale"] * 10 + ["unknown"] * 110
        table = table.assign(gender="female", skin=skin, smile=["yes", "no"] * 60)
        return table.assign(hair=["black", "brown"] * 60)
    licences = ["CC-BY-4.0"] * 80 + [""] * 20 + [None] * 20
    sources = ["a"] * 90 + ["b"] * 30
    hair, gender = ["blue"] * 90 + ["black"] * 30, ["female"] * 20 + ["unknown"] * 100
    table = table.assign(licence=licences, source=sources, hair=hair, gender=gender)
    return table.assign(skin=["pale"] * 10 + ["light"] * 110)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, values in METRICS.items():
        stage.write_json(tmp_path / "metrics" / f"{name}.json", values)
    summaries = {}
    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain), domain, SETTINGS, workers=1)
        summaries[domain] = cards.summarise(domain, parts, made(domain), RULES)
        cards.draw(tmp_path / "cards" / domain, parts)
    cards.write(tmp_path / "cards", summaries, tmp_path / "metrics", RULES)
    return tmp_path / "cards"


def card(folder: Path, domain: str) -> dict[str, Any]:
    return json.loads((folder / domain / "card.json").read_text(encoding="utf-8"))


def test_counts_sources_licences_and_attributes_are_the_tables(written: Path) -> None:
    anime = card(written, "anime")
    assert anime["images"] == 120 == sum(anime["splits"].values()) and anime["pixels"] == 32
    assert anime["sources"] == {"a": 90, "b": 30}
    assert anime["licences"] == {"CC-BY-4.0": 80, "not stated": 40}
    assert anime["attributes"]["hair"] == {"black": 0.25, "blue": 0.75}
    assert anime["attributes"]["gender"] == {"female": 1.0}
    assert anime["unknown"]["gender"] == pytest.approx(100 / 120, abs=1e-6)
    photos = card(written, "photos")
    assert photos["sources"] == {"CelebA": 120} and photos["groups"] == 60
    assert photos["rules"]["drop"] == {"Blurry": True} and "rules" not in anime


def test_drawn_photos_are_not_said_to_be_celebas() -> None:
    parts = assign.split_domain(made("photos"), "photos", SETTINGS, workers=1)
    rules = RULES.model_copy(update={"path": Path("data/demo/celeba")})
    drawn = cards.summarise("photos", parts, made("photos"), rules)
    assert drawn["sources"] == {"the demo": 120} and "MIT" in next(iter(drawn["licences"]))


def test_the_funnel_goes_from_posts_to_the_splits(written: Path) -> None:
    assert [count for _, count in card(written, "anime")["funnel"]] == [
        *(300, 250, 240, 260, 200, 120, 120),
    ]
    assert card(written, "photos")["funnel"][2:4] == [
        ["after Male no", 130],
        ["after Blurry no", 121],
    ]


def test_biases_are_told_with_their_numbers(written: Path) -> None:
    biases = card(written, "anime")["biases"]
    assert "hair blue: 75% here, 0% of photos (where it is known)." in biases
    assert "gender: unknown for 83% of the images." in biases
    assert "75% of the images come from one source, a." in biases
    assert "33% of the images come without a stated licence." in biases
    assert not any(text.startswith("eyes blue") for text in biases)
    skin = [text for text in card(written, "photos")["biases"] if text.startswith("skin")]
    assert skin == [
        "skin: unknown for 92% of the images."
    ]  # CelebA tells who is pale, else nothing
    assert not any(text.startswith("skin") and "photos" in text for text in biases)
    assert (
        "gender female: 100% of the images where it is known." in card(written, "photos")["biases"]
    )


@pytest.mark.parametrize("domain", ["photos", "anime"])
def test_markdown_has_front_matter_both_columns_and_its_pictures(
    written: Path, domain: str
) -> None:
    text = (written / domain / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    front = yaml_files.loads(header)
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    files = front["configs"][0]["data_files"]
    assert [file["split"] for file in files] == ["train", "validation", "test"]
    assert files[1]["path"] == f"data/splits/val/{domain}-*.parquet"
    assert "| attribute | photos | anime |" in body
    assert "| hair blue | 0.0 % | 75.0 % |" in body and "| smile yes | 50.0 % | – |" in body
    assert "hair green" not in body
    for picture in ("mean.png", "sheet.png"):
        assert f"({picture})" in body and (written / domain / picture).is_file()


def test_the_mean_face_is_the_mean(written: Path) -> None:
    faces = [tables.decode(image["bytes"]) for image in made("photos")["image"]]
    mean = cv2.resize(np.mean(faces, axis=0).round().astype(np.uint8), (256, 256), None, 0, 0, 2)
    shown = tables.decode((written / "photos/mean.png").read_bytes())
    assert np.abs(shown.astype(int) - mean).max() <= 1


def test_the_same_data_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    def all_bytes() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(written.rglob("*.*"))}

    before = all_bytes()
    assert len(before) == 8
    summaries = {}
    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain)[::-1], domain, SETTINGS, workers=1)
        summaries[domain] = cards.summarise(domain, parts, made(domain)[::-1], RULES)
        cards.draw(written / domain, parts)
    cards.write(written, summaries, tmp_path / "metrics", RULES)
    assert all_bytes() == before


def test_values_are_in_the_tables_order() -> None:
    assert values_of("gender") == ["female", "male"] and values_of("hair")[:2] == ["black", "brown"]


# ── opened as they are by others ──────────────────────────────────────────────────────────────


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The splits as the stage writes them."""
    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain), domain, SETTINGS, workers=1)
        for name, part in parts.items():
            tables.write_frame(tmp_path / "splits" / name, domain, part)
    return tmp_path / "splits"


def test_pandas_opens_the_splits(shared: Path) -> None:
    table = pd.concat(pd.read_parquet(path) for path in sorted(shared.glob("*/anime-*.parquet")))
    assert len(table) == 120 and set(table["hair"]) == {"blue", "black"}
    assert tables.decode(table["image"].iloc[0]["bytes"]).shape == (32, 32, 3)


def test_duckdb_opens_the_splits(shared: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(
        f"select hair, count(*) as n, min(octet_length(image.bytes)) as least "
        f"from read_parquet('{shared}/*/anime-*.parquet') group by hair order by hair"
    ).fetchall()
    assert [row[:2] for row in found] == [("black", 30), ("blue", 90)]
    assert all(row[2] > 100 for row in found)


def test_hugging_face_datasets_shows_the_pictures(shared: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = {name: f"{shared}/{name}/photos-*.parquet" for name in ("train", "val", "test")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, loaded.values())) == 120
    shown = loaded.cast_column("image", datasets.Image())
    first = shown["train"][0]
    assert first["image"].size == (32, 32) and first["gender"] == "female"
    by_id = made("photos").set_index("id")["image"]
    expected = tables.decode(by_id[first["id"]]["bytes"])
    np.testing.assert_array_equal(np.asarray(first["image"].convert("RGB")), expected)
