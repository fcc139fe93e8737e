"""Data set cards: what they say is what the tables hold, in a form that others read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.core import stage, tables, yaml_files
from pipeline.core.params import Celeba
from pipeline.imaging.attributes import ATTRIBUTES, values_of
from pipeline.split import assign, card_page, cards
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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("cards")
    for name, values in METRICS.items():
        stage.write_json(tmp_path / "metrics" / f"{name}.json", values)
    summaries = {}
    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain), domain, SETTINGS, workers=1)
        summaries[domain] = cards.summarise(domain, parts, made(domain), RULES)
        cards.draw(tmp_path / "cards" / domain, parts)
    folder = tmp_path / "cards"
    told = cards.write(folder, summaries, tmp_path / "metrics", RULES)
    (tmp_path / "splits").mkdir()
    cards.write_whole(tmp_path / "splits", folder, told)
    return folder


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
def test_a_page_has_both_columns_and_its_pictures(written: Path, domain: str) -> None:
    body = (written / domain / "README.md").read_text(encoding="utf-8")
    assert "| attribute | photos | anime |" in body
    assert "| hair blue | 0.0 % | 75.0 % |" in body and "| smile yes | 50.0 % | – |" in body
    assert "hair green" not in body
    for picture in ("mean.png", "sheet.png"):
        assert f"({picture})" in body and (written / domain / picture).is_file()


def test_the_one_card_has_front_matter_both_pages_and_their_pictures(written: Path) -> None:
    folder = written.parent / "splits"
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    front = yaml_files.loads(header)
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    configs = {config["config_name"]: config["data_files"] for config in front["configs"]}
    assert set(configs) == {"anime", "photos"}
    assert [file["split"] for file in configs["anime"]] == ["train", "validation", "test"]
    assert configs["anime"][1]["path"] == "val/anime-*.parquet"  # from the card's own folder
    for domain in configs:
        assert re.search(f"^## {domain}: 120 aligned faces", body, re.M)
    assert body.count("| CC-BY-4.0 | 80 |") == 1
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", body)
    assert len(pictures) == 4 and all((folder / picture).is_file() for picture in pictures)


def test_very_many_licences_are_added_up() -> None:
    licences = {f"of {number}": 1 for number in range(1000)} | {"most": 500}
    summary = {"attributes": dict.fromkeys(ATTRIBUTES, {}), "unknown": dict.fromkeys(ATTRIBUTES, 1)}
    card = {"name": "anime", "images": 1500, "pixels": 64, "splits": {}, "groups": 1, "funnel": []}
    card |= {"sources": {"a": 1500}, "licences": licences, "biases": []}
    text = card_page.page(card, {"photos": summary, "anime": summary})
    assert "| most | 500 |" in text and "| 951 others | 951 |" in text and text.count("| of ") == 49


def test_the_mean_face_is_the_mean(written: Path) -> None:
    faces = [tables.decode(image["bytes"]) for image in made("photos")["image"]]
    mean = cv2.resize(np.mean(faces, axis=0).round().astype(np.uint8), (256, 256), None, 0, 0, 2)
    shown = tables.decode((written / "photos/mean.png").read_bytes())
    assert np.abs(shown.astype(int) - mean).max() <= 1


def test_the_same_data_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    summaries = {}
    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain)[::-1], domain, SETTINGS, workers=1)
        summaries[domain] = cards.summarise(domain, parts, made(domain)[::-1], RULES)
        cards.draw(tmp_path / "cards" / domain, parts)
    told = cards.write(tmp_path / "cards", summaries, written.parent / "metrics", RULES)
    (tmp_path / "splits").mkdir()
    cards.write_whole(tmp_path / "splits", tmp_path / "cards", told)

    def all_bytes(root: Path) -> dict[str, bytes]:
        found = [path for name in ("cards", "splits") for path in (root / name).rglob("*.*")]
        return {str(path.relative_to(root)): path.read_bytes() for path in found}

    before = all_bytes(written.parent)
    assert len(before) == 8 + 5 and all_bytes(tmp_path) == before


def test_values_are_in_the_tables_order() -> None:
    assert values_of("gender") == ["female", "male"] and values_of("hair")[:2] == ["black", "brown"]
