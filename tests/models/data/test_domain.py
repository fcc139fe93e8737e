"""Loading domains: order, resizing, labels, and every way a folder can be wrong."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from models.data.augment import augment, to_float, to_uint8
from models.data.domain import load_domain, require_images
from models.errors import ModelError
from tests.models.helpers import domain


def encode(rgb: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, kind)
    return buffer.getvalue()


def write(folder, images: list[bytes], name="photos-00000", **columns):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": image, "path": None} for image in images]
    ids = [f"{name}-{i}" for i in range(len(images))]
    pd.DataFrame({"id": ids, "image": rows, **columns}).to_parquet(folder / f"{name}.parquet")


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))


def test_shards_come_back_in_order_with_labels(tmp_path, pictures):
    write(tmp_path / "train", [encode(p) for p in pictures[:2]], hair=["red", "unknown"])
    write(tmp_path / "train", [encode(pictures[2])], "photos-00001", hair=["blue"])
    loaded = load_domain(tmp_path, "train", "photos")
    assert loaded.images.dtype == torch.uint8
    assert np.array_equal(loaded.images.permute(0, 2, 3, 1).numpy(), np.stack(pictures))
    assert loaded.ids == ["photos-00000-0", "photos-00000-1", "photos-00001-0"]
    assert list(loaded.labels["hair"]) == ["red", "unknown", "blue"]
    assert list(loaded.labels) == ["hair"]
    taken = loaded.take([2, 0])
    assert taken.ids == ["photos-00001-0", "photos-00000-0"]
    assert list(taken.labels["hair"]) == ["blue", "red"]
    assert torch.equal(taken.images, loaded.images[[2, 0]])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_encodings_decode_too(tmp_path, kind):
    grey = np.full((16, 16, 3), 120, dtype=np.uint8)
    write(tmp_path / "train", [encode(grey, kind)])
    assert (load_domain(tmp_path).images.int() - 120).abs().max() <= 2


def test_grey_images_become_rgb(tmp_path):
    write(tmp_path / "train", [encode(np.full((16, 16), 7, dtype=np.uint8))])
    assert (load_domain(tmp_path).images == 7).all()
    assert load_domain(tmp_path).images.shape == (1, 3, 16, 16)


def test_resizing_is_antialiased(tmp_path):
    """A fine checkerboard shrinks to grey; without antialiasing it would stay black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, 2)
    write(tmp_path / "train", [encode(board)])
    images = load_domain(tmp_path, image_size=16).images
    assert images.shape == (1, 3, 16, 16)
    assert (images.float() - 127.5).abs().max() < 20


def test_absent_shards_name_the_folder(tmp_path):
    with pytest.raises(ModelError, match=r"no anime-\*\.parquet in .*val"):
        load_domain(tmp_path, "val", "anime")


def test_empty_shards_are_refused(tmp_path):
    write(tmp_path / "train", [])
    with pytest.raises(ModelError, match="holds no image"):
        load_domain(tmp_path)


def test_mixed_or_oblong_sizes_are_refused(tmp_path, pictures):
    write(tmp_path / "train", [encode(pictures[0]), encode(pictures[1][:16, :16])])
    with pytest.raises(ModelError, match="one square size"):
        load_domain(tmp_path)
    write(tmp_path / "train", [encode(pictures[0][:16])])
    with pytest.raises(ModelError, match="one square size"):
        load_domain(tmp_path)


def test_broken_image_is_named(tmp_path):
    write(tmp_path / "train", [b"not an image"])
    with pytest.raises(ModelError, match="photos-00000-0 cannot be decoded"):
        load_domain(tmp_path)


def test_broken_shard_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/photos-00000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ModelError, match="photos-00000.parquet is not a split table"):
        load_domain(tmp_path)
    pd.DataFrame({"id": ["a"]}).to_parquet(tmp_path / "train/photos-00000.parquet")
    with pytest.raises(ModelError, match="photos-00000.parquet is not a split table"):
        load_domain(tmp_path)


def test_less_than_a_batch_is_refused():
    with pytest.raises(ModelError, match="anime has 3 images, a batch needs 4"):
        require_images(domain("anime", 3), 4, "anime")
    require_images(domain("anime", 4), 4, "anime")


def test_floats_and_bytes_round_trip():
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert to_float(every).aminmax() == (-1, 1)
    assert torch.equal(to_uint8(to_float(every)), every)
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


def test_augmentation_flips_about_half_and_only_that():
    images = torch.rand(200, 3, 8, 8)
    flipped = (augment(images) == images.flip(3)).flatten(1).all(1)
    kept = (augment(images, flip=False) == images).flatten(1).all(1)
    assert 60 < flipped.sum() < 140
    assert kept.all()


def test_shift_moves_by_at_most_its_fraction():
    image = torch.zeros(64, 1, 20, 20)
    image[:, :, 10, 10] = 1
    moved = augment(image, flip=False, shift=0.1)
    columns = torch.linspace(0, 19, 20)
    centres = (moved.sum((1, 2)) * columns).sum(1) / moved.sum((1, 2, 3))
    assert (centres - 10).abs().max() <= 2 + 1e-4  # a tenth of 20 pixels
    assert (centres - 10).abs().max() > 1
