"""Streamed data: the same bytes, the same weights, flat memory, and clear ends."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils import data

from models.checkpoint import save_translator
from models.data import streaming
from models.data.domain import StreamedDomain, load_domain, open_domain
from models.data.shards import BYTES
from models.data.streaming import SHARE, Stream, free_memory, load_training
from models.errors import ModelError
from models.runtime.sampling import Order
from models.training.batches import Batches
from models.training.engine import train
from pipeline.core import tables
from tests.models.helpers import settings, variant
from tests.project import PATIENCE

CPU = torch.device("cpu")
SIZE, STORED, COUNT = 32, 48, 22


def rows(name: str, count: int = COUNT, side: int = STORED) -> pd.DataFrame:
    """Noise, as the `split` stage would write it; ids do not come in the order of the rows."""
    rng = np.random.default_rng(len(name))
    pictures = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    images = [{"bytes": tables.encode_png(picture), "path": None} for picture in pictures]
    ids = [f"{(7 * i) % count:03d}-{name}" for i in range(count)]
    smile = ["yes" if i % 3 else "unknown" for i in range(count)]
    return pd.DataFrame(
        {"id": ids, "image": images, "smile": smile, "shard": np.arange(count) // 9}
    )


@pytest.fixture
def splits(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_GROUP_ROWS", 4)  # several row groups a shard
    for name in ("photos", "anime"):
        tables.write_frame(tmp_path / "train", name, rows(name), by=["shard"])
    return tmp_path


def streamed(root, workers: int = 0) -> dict[str, StreamedDomain]:
    photos, anime = load_training(root, "train", SIZE, CPU, resident=False, workers=workers)
    return {"photos": photos, "anime": anime}


def orders(seed: int = 0) -> dict[str, Order]:
    return {"photos": Order(COUNT, seed, 0), "anime": Order(COUNT, seed, 1)}


def workers_now() -> list[psutil.Process]:
    """The loader's processes, whose name torch sets."""
    return [child for child in psutil.Process().children() if child.name() == "pt_data_worker"]


def break_image(root, name: str) -> str:
    """Overwrite one image of the last shard with bytes that are none; its id."""
    path = sorted((root / "train").glob(f"{name}-*.parquet"))[-1]
    frame = pd.read_parquet(path)
    frame.at[1, "image"] = {"bytes": b"not an image", "path": None}
    tables.write_file(path, frame)
    return frame.at[1, "id"]


def test_any_rows_are_the_bytes_that_memory_holds(splits):
    opened = open_domain(splits, image_size=SIZE)
    loaded = load_domain(splits, image_size=SIZE)
    assert (opened.shards.places[:, 3] > 0).all()  # where each image lies is known
    assert opened.ids == loaded.ids == sorted(rows("photos")["id"])
    assert opened.labels.equals(loaded.labels)
    for some in ([3], [21, 0, 7, 7], range(COUNT)):
        assert torch.equal(opened.shards.images(some), loaded.images[list(some)])
    assert torch.equal(opened.take([5, 2]).images, loaded.take([5, 2]).images)
    assert opened.take([5, 2]).labels.equals(loaded.take([5, 2]).labels)
    assert torch.equal(torch.cat(list(opened.split(5))), loaded.images)
    assert torch.equal(torch.cat(list(loaded.split(5))), loaded.images)


def test_labels_and_images_stay_together(splits):
    written = rows("photos").set_index("id")
    loaded = load_domain(splits)
    for id_, image, smile in zip(loaded.ids, loaded.images, loaded.labels["smile"], strict=True):
        assert np.array_equal(image.permute(1, 2, 0), tables.decode(written.image[id_]["bytes"]))
        assert smile == written.smile[id_]


def test_shards_that_others_compressed_are_read_too(splits):
    expected = load_domain(splits).images
    for path in (splits / "train").glob("photos-*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table, path, compression={BYTES: "gzip"}, row_group_size=5)
    opened = open_domain(splits)
    assert (opened.shards.places[:, 3] == -1).all()
    assert torch.equal(opened.take(range(COUNT)).images, expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_follows_the_order_from_wherever_it_is_asked(splits, workers):
    domains = streamed(splits, workers)
    loaded = {d: load_domain(splits, domain=d, image_size=SIZE).images for d in domains}
    stream, asked, other = Stream(domains, 4, CPU), orders(), orders(seed=1)
    for order, seen in [(asked, 0), (asked, 4), (asked, 8), (asked, 40), (other, 44), (asked, 0)]:
        images = stream.at(order, seen)
        for d in domains:
            assert torch.equal(images[d], loaded[d][order[d].rows(seen, 4)])


def test_of_two_processes_each_sees_its_share(splits):
    stream, asked = Stream(streamed(splits, workers=1), 4, CPU, stride=8), orders()
    loaded = load_domain(splits, image_size=SIZE).images
    for seen in (4, 12, 20):
        images = stream.at(asked, seen)["photos"]
        assert torch.equal(images, loaded[asked["photos"].rows(seen, 4)])


def test_started_by_spawn_it_is_the_same(splits, monkeypatch):
    class Spawned(data.DataLoader):
        def __init__(self, *args, **kwargs):
            how = "spawn" if kwargs["num_workers"] else None
            super().__init__(*args, **kwargs, multiprocessing_context=how)

    monkeypatch.setattr(streaming, "DataLoader", Spawned)
    here, there = streamed(splits), streamed(splits, workers=1)
    mine, theirs = (Stream(domains, 4, CPU).at(orders(), 8) for domains in (here, there))
    assert all(torch.equal(mine[d], theirs[d]) for d in mine)


def test_streamed_and_resident_training_give_the_same_bytes(splits, tmp_path):
    held_out = tuple(load_domain(splits, domain=d, image_size=SIZE) for d in ("photos", "anime"))
    resident = load_training(splits, "train", SIZE, CPU, resident=True)
    plan, row = settings(budget_images=40, precision="bf16"), variant("cyclegan", pretraining=0.5)
    written = []
    for i, pair in enumerate([resident, tuple(streamed(splits, 2).values())]):
        result = train(row, plan, *pair, held_out)
        save_translator(tmp_path / str(i), result.translator, result.key, result.images_seen)
        files = sorted((tmp_path / str(i)).iterdir())
        curves = [result.history.to_csv(), result.pretraining.to_csv()]
        written.append([result.key, *curves, *(file.read_bytes() for file in files)])
    assert written[0] == written[1]


def test_a_broken_image_ends_the_training_in_one_line(splits):
    broken = break_image(splits, "anime")
    domains = streamed(splits, workers=2)
    batches = Batches(variant("cyclegan"), settings(), domains["photos"], domains["anime"], CPU)
    asked = batches.orders()
    with pytest.raises(ModelError) as caught:
        for seen in range(0, 2 * COUNT, 4):
            batches.at(asked, seen)
    shard, _, told = str(caught.value).partition(": ")
    assert told == f"image {broken} cannot be decoded: rebuild the splits"
    assert broken in pd.read_parquet(shard, columns=["id"])["id"].to_list()


def test_a_killed_worker_is_said(splits):
    stream, asked = Stream(streamed(splits, workers=1), 4, CPU), orders()
    stream.at(asked, 0)
    (worker,) = workers_now()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="a process that decodes images has died") as caught:
        for seen in range(4, 400, 4):
            stream.at(asked, seen)
    assert "\n" not in str(caught.value)


def test_no_worker_outlives_its_stream(splits):
    stream = Stream(streamed(splits, workers=2), 4, CPU)
    stream.at(orders(), 0)
    workers = workers_now()
    assert len(workers) == 2
    del stream
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive


def test_memory_stays_flat(splits):
    domains = streamed(splits)
    stream, asked, process = Stream(domains, 8, CPU), orders(), psutil.Process()
    used = []
    for step in range(400):
        stream.at(asked, 8 * step)
        used.append(process.memory_info().rss)
    assert max(used[40:]) - used[40] < 8e6  # were they kept, 360 batches would be 18 MB


def test_what_fits_is_resident_and_what_does_not_is_said(splits, monkeypatch, capsys):
    needed = 2 * COUNT * 3 * SIZE**2
    monkeypatch.setattr(streaming, "free_memory", lambda device: (needed / SHARE, "this machine"))
    photos, _ = load_training(splits, "train", SIZE, CPU)
    assert torch.equal(photos.images, load_domain(splits, image_size=SIZE).images)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(streaming, "free_memory", lambda device: (needed / SHARE - 2, "cuda:0"))
    monkeypatch.setattr(streaming, "processors", lambda: 3)
    photos, anime = load_training(splits, "train", SIZE, CPU, workers=100_000)
    assert isinstance(photos, StreamedDomain) and isinstance(anime, StreamedDomain)
    assert photos.workers == 3
    said = capsys.readouterr().out
    assert said.startswith("streaming images from their shards by 3 processes: decoded they are ")
    assert "50% of the free memory of cuda:0" in said
    assert said.count("\n") == 1


def test_free_memory_is_of_this_machine():
    free, where = free_memory(CPU)
    assert where == "this machine"
    assert 0 < free <= psutil.virtual_memory().total
