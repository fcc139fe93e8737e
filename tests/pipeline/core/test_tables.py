"""Parquet shards: equal input gives equal bytes, readers other than ours open them."""

from __future__ import annotations

import os
import weakref
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core import tables
from pipeline.core.errors import StageError


def frame(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 255, (16, 12, 3), dtype=np.uint8) for _ in range(count)]
    return pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in rng.permutation(count)],
            "image": [
                {"bytes": tables.encode_png(rgb), "path": f"{i}.png"}
                for i, rgb in enumerate(images)
            ],
            "tags": ["smile"] * count,
            "score": rng.random(count),
        }
    )


def test_same_rows_give_same_bytes_sorted_by_id(tmp_path: Path) -> None:
    one = frame(20)
    tables.write_frame(tmp_path / "a", "x", one)
    tables.write_frame(tmp_path / "b", "x", one.sample(frac=1, random_state=1))
    a, b = (tmp_path / folder / "x-00000.parquet" for folder in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert list(tables.read_frame(tmp_path / "a")["id"]) == sorted(one["id"])


def test_shards_split_by_size_and_read_back_whole(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"id": list("abcdef"), "image": [{"bytes": os.urandom(400_000), "path": ""}] * 6}
    )
    assert tables.write_frame(tmp_path, "x", rows, shard_mb=1) == 6
    assert len(list(tmp_path.glob("x-*.parquet"))) == 2
    assert len(tables.read_frame(tmp_path)) == 6


def test_added_batches_leave_the_shards_of_others_alone(tmp_path: Path) -> None:
    rows = frame(40).assign(source=["a", "b"] * 20, batch=np.arange(40) // 10)
    by = ["source", "batch"]
    tables.write_frame(tmp_path / "old", "x", rows[:25], by=by)
    assert (
        tables.write_frame(tmp_path / "new", "x", rows.sample(frac=1, random_state=1), by=by) == 40
    )
    old, new = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("old", "new")
    )
    changed = {name for name in new if old.get(name) != new[name]}
    assert changed == {f"x-{source}-{batch:05d}.parquet" for source in "ab" for batch in (2, 3)}
    assert len(new) == 8 and set(old) < set(new)
    read = tables.read_frame(tmp_path / "new")
    assert sorted(read["id"]) == sorted(rows["id"]) and list(read.columns) == list(rows.columns)


def test_a_row_without_its_shard_is_not_lost_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        tables.write_frame(tmp_path, "x", frame(2).assign(batch=[0, None]), by=["batch"])


def test_parts_of_a_shard_sort_after_it_and_before_the_next() -> None:
    names = [name for batch in range(3) for name in islice(tables.continued(f"x-{batch:05d}"), 12)]
    files = [Path(f"{name}.parquet") for name in names]
    assert files[:3] == [Path(f"x-00000{part}.parquet") for part in ("", "_01", "_02")]
    assert sorted(files) == files


def test_large_images_are_written_a_few_at_a_time(tmp_path: Path) -> None:
    image = {"bytes": os.urandom(9_000_000), "path": ""}
    tables.write_frame(tmp_path, "x", pd.DataFrame({"id": list("gfedcba"), "image": [image] * 7}))
    (shard,) = tmp_path.iterdir()
    metadata = pq.ParquetFile(shard).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 3]
    assert "".join(tables.read_frame(tmp_path)["id"]) == "abcdefg"


def test_only_one_shard_is_held_while_the_next_is_gathered(tmp_path: Path) -> None:
    class Row(dict):
        """A dict that can be told to be gone."""

    alive: list[int] = []
    born: list[weakref.ref[Row]] = []

    def rows():
        for number in range(12):
            row = Row(id=f"{number:02d}", image={"bytes": bytes(250_000), "path": None})
            born.append(weakref.ref(row))
            alive.append(sum(ref() is not None for ref in born))
            yield row

    schema = pa.schema([("id", pa.string()), ("image", tables.IMAGE)])
    assert tables.write_shards(tmp_path, tables.numbered("x"), rows(), schema, shard_mb=1) == 12
    assert len(list(tmp_path.iterdir())) == 3
    assert max(alive) <= 4 + 1  # the row that ends a shard is still the generator's own


def test_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    tables.write_frame(tmp_path, "x", frame(1).iloc[:0].astype({"id": str, "tags": str}))
    read = tables.read_frame(tmp_path)
    assert len(read) == 0 and {"id", "image", "tags", "score"} <= set(read.columns)


def test_images_round_trip() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(tables.decode(tables.encode_png(rgb)), rgb)
    with pytest.raises(StageError, match="no readable image"):
        tables.decode(b"not an image")


def test_a_failed_stage_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("data/out")
    with tables.new_folder(out) as folder:
        (folder / "kept").write_text("old")
    with pytest.raises(KeyboardInterrupt), tables.new_folder(out) as folder:
        (folder / "half").write_text("new")
        raise KeyboardInterrupt
    assert [path.name for path in Path("data").rglob("*") if path.is_file()] == ["kept"]


def test_a_broken_picture_is_told_by_its_shard_and_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = frame(6)
    broken.loc[2, "image"]["bytes"] = b"\x00PNG\r\n"
    tables.write_frame(Path("data/anime"), "anime", broken)
    path = "data/anime/anime-00000.parquet"
    told = rf"image {broken.loc[2, 'id']} in {path} is no readable picture: delete {path} .*repro"
    with pytest.raises(StageError, match=told):
        tables.decode(b"\x00PNG\r\n")
    with pytest.raises(StageError, match="8 bytes"):  # of none of the tables
        tables.decode(b"\x00" * 8)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9, 0.999])
def test_a_shard_that_is_cut_off_is_told_with_what_to_do(tmp_path: Path, part: float) -> None:
    tables.write_frame(tmp_path, "x", frame(20))
    path = tmp_path / "x-00000.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(StageError, match="damaged or cut off .*: delete .*dvc repro") as caught:
        tables.read_frame(tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="dvc repro"):
        tables.read_frame(tmp_path / "absent")
