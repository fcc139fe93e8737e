"""What `split` writes is opened by what others use, as they use it, and its card travels along."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.core import tables
from pipeline.split import __main__ as split
from pipeline.split import assign, card_page, cards, schema
from tests.pipeline.split.test_cards import RULES, made
from tests.pipeline.split.test_split import SETTINGS
from tests.project import environment

EACH = 120  # rows of a domain
LICENCE = "<script>alert(1)</script> | a\n---\nlicense: mit"  # of a stranger


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data/splits`` as the stage writes it, with licences that a site made up."""
    project = tmp_path_factory.mktemp("a project")
    folder, told = project / "data/splits", {}
    for domain in ("photos", "anime"):
        rows = made(domain)
        if domain == "anime":
            rows["licence"] = rows["licence"].replace("CC-BY-4.0", LICENCE)
        parts = assign.split_domain(rows, domain, SETTINGS, workers=1)
        for name, part in parts.items():
            split.write(folder / name, domain, part)
        told[domain] = cards.summarise(domain, parts, rows, RULES)
        cards.draw(project / "cards" / domain, parts)
    written = cards.write(project / "cards", told, project / "metrics", RULES)
    cards.write_whole(folder, project / "cards", written)
    return folder


@pytest.fixture(autouse=True)
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offline, silent, and with a cache of its own."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_all_shards_have_one_schema(shared: Path) -> None:
    shards = sorted(shared.rglob("*.parquet"))
    assert len(shards) > 6
    schemas = [pq.read_schema(shard) for shard in shards]
    assert all(each.equals(schema.schema(), check_metadata=True) for each in schemas)


def test_its_features_are_as_hugging_face_writes_them() -> None:
    features = datasets.Features.from_arrow_schema(schema.schema())
    assert features["image"] == datasets.Image()
    assert list(features) == list(schema.COLUMNS)
    assert features.arrow_schema.equals(schema.schema())


@pytest.mark.parametrize("domain", ["anime", "photos"])
def test_hugging_face_datasets_opens_the_folder_and_shows_pictures(
    shared: Path, domain: str
) -> None:
    loaded = datasets.load_dataset(str(shared), domain)
    assert set(loaded) == {"train", "validation", "test"}
    assert sum(map(len, loaded.values())) == EACH
    assert set(loaded["validation"]["split"]) == {"val"}
    known = made(domain).set_index("id")["image"]
    for row in loaded["test"]:
        assert row["domain"] == domain
        np.testing.assert_array_equal(
            np.asarray(row["image"].convert("RGB")), pixels(known[row["id"]]["bytes"])
        )


def test_hugging_face_streams_it(shared: Path) -> None:
    streamed = datasets.load_dataset(str(shared), "anime", split="train", streaming=True)
    first = next(iter(streamed))
    assert first["image"].size == (32, 32) and first["file"] is None


def test_without_a_configuration_names_are_told(shared: Path) -> None:
    with pytest.raises(ValueError, match="'anime', 'photos'"):
        datasets.load_dataset(str(shared))


def test_pandas_opens_a_split_and_everything(shared: Path) -> None:
    val = pd.read_parquet(shared / "val")
    assert set(val["domain"]) == {"anime", "photos"} and set(val["split"]) == {"val"}
    table = pd.read_parquet(shared, ignore_prefixes=["README", "_"])
    assert table["domain"].value_counts().to_dict() == {"photos": EACH, "anime": EACH}
    photos = table[table["domain"] == "photos"]
    assert photos["file"].notna().all() and photos["url"].isna().all()
    assert set(table.loc[table["domain"] == "anime", "hair"]) == {"blue", "black"}
    known = pd.concat([made("photos"), made("anime")]).set_index("id")["image"]
    row = table.iloc[0]
    np.testing.assert_array_equal(pixels(row["image"]["bytes"]), pixels(known[row["id"]]["bytes"]))


def test_duckdb_counts_and_reads_pictures(shared: Path) -> None:
    found = duckdb.sql(
        "select domain, count(*), min(octet_length(image.bytes)), count(file), count(url) "
        f"from '{shared}/**/*.parquet' group by domain order by domain"
    ).fetchall()
    assert [(row[0], row[1], row[3], row[4]) for row in found] == [
        ("anime", EACH, 0, EACH),
        ("photos", EACH, EACH, 0),
    ]
    assert all(row[2] > 100 for row in found)


def test_polars_opens_everything_lazily(shared: Path) -> None:
    counted = (
        polars.scan_parquet(f"{shared}/**/*.parquet")
        .group_by("domain", "split").len().sort("domain", "split").collect()
    )  # fmt: skip
    assert counted.height == 6 and counted["len"].sum() == 2 * EACH
    first = polars.read_parquet(f"{shared}/val/*.parquet").row(0, named=True)
    assert pixels(first["image"]["bytes"]).shape == (32, 32, 3)


def test_what_the_card_tells_to_run_runs(shared: Path, tmp_path: Path) -> None:
    """Each block of the card, in the project; the picture is not shown."""
    text = (shared / "README.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == 3
    script = "\n".join(blocks).replace(".show()", ".verify") + (
        "\nimport sys\nassert len(everything) == table.height == sum(row[2] for row in counts)"
        "\nsys.stdout.write(f'{len(anime)} {len(train)}')"
    )
    env = environment(HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=shared.parents[1], env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    train = pd.read_parquet(shared / "train")
    assert done.stdout == f"{(train['domain'] == 'anime').sum()} {len(train)}"


def test_what_strangers_wrote_is_shown_and_means_nothing(shared: Path) -> None:
    text = (shared / "README.md").read_text(encoding="utf-8")
    assert datasets.load_dataset_builder(str(shared), "anime").info is not None
    assert "<script" not in text.replace("\\<", "") and "\nlicense: mit" not in text
    assert r"| \<script\>alert(1)\</script\> \| a --- license: mit | 80 |" in text


def test_images_train_as_before_whatever_the_columns_beside_them(
    shared: Path, tmp_path: Path
) -> None:
    """Of a shard without the columns that are new, training reads the same images and labels."""
    from models.data.domain import load_domain

    for domain in ("photos", "anime"):
        parts = assign.split_domain(made(domain), domain, SETTINGS, workers=1)
        tables.write_frame(tmp_path / "train", domain, parts["train"])
        old, new = (load_domain(root, "train", domain) for root in (tmp_path, shared))
        assert old.ids == new.ids and bool((old.images == new.images).all())
        labels = ["hair", "smile", "gender"]
        pd.testing.assert_frame_equal(old.labels[labels], new.labels[labels])


def test_pictures_of_the_card_are_passed_over_by_readers_of_folders() -> None:
    assert card_page.PICTURES.startswith("_")
