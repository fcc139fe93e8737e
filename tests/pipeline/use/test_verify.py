"""``face2anime verify``: one flipped bit, wherever it is, is found and named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.runtime.weights import write_model
from models.training.state import save_state
from pipeline.core import tables, yaml_files
from pipeline.imaging.images import pixel_id
from pipeline.use import verify
from tests.project import environment


def face(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Raw bytes, faces, weights, a state, and an output in DVC's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    encoded = [tables.encode_png(face(number)) for number in range(30)]
    images = [{"bytes": data, "path": None} for data in encoded]
    raw_ids = [hashlib.sha256(data).hexdigest() for data in encoded]
    for name, ids in (("raw", raw_ids), ("faces", [pixel_id(face(n)) for n in range(30)])):
        tables.write_frame(Path("data") / name, name, pd.DataFrame({"id": ids, "image": images}))
    files = Path("checkpoints/x/generator.safetensors"), Path("checkpoints/x/config.json")
    write_model(*files, {"a": torch.arange(9.0)}, {})
    save_state(Path(".cache/train"), "k", {"images_seen": 1})
    in_cache(Path("data/raw"))
    return tmp_path


def in_cache(folder: Path) -> None:
    """``folder`` as DVC keeps an output: copies by md5, a list of them, dvc.lock."""
    entries = []
    for path in sorted(folder.iterdir()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        put(md5, path.read_bytes())
        entries.append({"md5": md5, "relpath": path.name})
    listing = json.dumps(entries).encode()
    md5 = f"{hashlib.md5(listing).hexdigest()}.dir"
    put(md5, listing)
    out = {"path": folder.as_posix(), "md5": md5}
    Path("dvc.lock").write_text(yaml_files.dumps({"stages": {"crawl": {"outs": [out]}}}))


def put(md5: str, data: bytes) -> None:
    path = verify.CACHE / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 16
    path.write_bytes(bytes(data))


def test_what_is_whole_is_said_to_be(project: Path) -> None:
    problems, seen = verify.verify()
    assert problems == []
    assert seen["images"] == 60 and seen["outputs"] == 1 and seen["training states"] == 1
    assert [ok for _, _, ok, _ in verify.sampled()] == [True]


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.999])
@pytest.mark.parametrize(
    "name",
    ["data/raw/raw-00000.parquet", "checkpoints/x/generator.safetensors", ".cache/train/k.pt"],
)
def test_one_bit_is_found(name: str, place: float, project: Path) -> None:
    flip(Path(name), place)
    problems, _ = verify.verify()
    assert problems and all("\n" not in line for line in problems)
    assert name in problems[0]


def test_a_face_with_the_id_of_another_is_found(project: Path) -> None:
    path = Path("data/faces/faces-00000.parquet")
    frame = tables.read_frame(path)
    frame.loc[3, "id"] = "0" * 64
    tables.write_frame(path.parent, "faces", frame)
    problems, _ = verify.verify()
    assert len(problems) == 1 and str(path) in problems[0] and "0" * 64 in problems[0]


def test_dvcs_own_copy_is_looked_at(project: Path) -> None:
    (copy,) = [path for path in verify.CACHE.rglob("*") if path.is_file() and not path.suffix]
    flip(copy, 0.5)
    problems, _ = verify.verify()
    assert str(copy) in problems[0] and "data/raw/raw-00000.parquet" in problems[0]


OUTPUTS = """
stages:
  make:
    cmd: mkdir -p data/folder && echo x > data/folder/x && echo y > data/y && echo z > data/z.json
    outs: [data/folder, data/y, {data/z.json: {cache: false}}]
"""


def dvc(*words: str) -> None:
    command = [sys.executable, "-m", "dvc", *words]
    subprocess.run(command, env=environment(), check=True, capture_output=True)


def test_what_a_full_disk_kept_out_of_dvcs_cache_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc repro` ends well then, with dvc.lock written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("dvc.yaml").write_text(OUTPUTS)
    dvc("init", "-q", "--no-scm")
    dvc("repro", "-q")
    assert verify.verify()[0] == []
    shutil.rmtree(verify.CACHE)
    problems, _ = verify.verify()
    assert len(problems) == 2 and all("is not in DVC's cache" in line for line in problems)
    for line, path in zip(sorted(problems), ("data/folder", "data/y"), strict=True):
        assert line.startswith(f"{path} ") and line.endswith(f"`dvc commit -f {path}`")
        dvc("commit", "-f", path)
    assert verify.verify()[0] == []
    shutil.rmtree("data")  # what is not here either was never pulled
    shutil.rmtree(verify.CACHE)
    assert verify.verify()[0] == []


def test_the_doctor_names_the_command(project: Path) -> None:
    flip(Path("checkpoints/x/generator.safetensors"), 0.5)
    ((_, told, ok, mend),) = verify.sampled()
    assert not ok and "generator.safetensors" in told and mend.startswith("face2anime verify")
