"""Doors through which strangers' bytes come in. Each takes any bytes: what it does not like ends in
an error of ours, in one line."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from crawl.archives.reader import DAMAGED, members, open_archive
from crawl.errors import CrawlError
from crawl.images import image_size
from crawl.outcomes import FetchError
from crawl.web.robots import Robots, text_of
from models.errors import ModelError
from models.runtime.files import parse_json
from models.variants import variant_from_dict
from pipeline.celeba import table
from pipeline.core import params, tables
from pipeline.core.errors import StageError
from pipeline.imaging.images import read_rgb
from tests.crawl.archives.test_archives import FILES, WRITERS
from tests.crawl.sources.boorus import KINDS
from tests.crawl.sources.test_source_properties import ask
from tests.project import ROOT

OURS = (StageError, ModelError, CrawlError, FetchError)
MOST = 1 << 20  # bytes of a member of an archive


@dataclass(frozen=True)
class Target:
    """A door, and valid input to begin with."""

    enter: Callable[[bytes, Path], object]  # the bytes, and a folder to write them to
    seeds: tuple[bytes, ...]


def knock(target: Target, data: bytes, folder: Path) -> str:
    """What was said; empty where the bytes were taken. Raises what is no error of ours."""
    try:
        target.enter(data, folder)
    except OURS as error:
        said = str(error)
        assert said.strip() and "\n" not in said, said
        said.encode(errors="surrogateescape")
        return said
    return ""


def _robots(data: bytes, _: Path) -> None:
    text = text_of(data)

    async def read(site: str) -> str:
        return text

    async def visit() -> None:
        robots = Robots("face2anime", read, lambda host, seconds: None)
        for path in ("", "a", "private/b.png?c=%", "é"):
            await robots.check(f"https://site.example/{path}")

    asyncio.run(visit())


def _source(name: str) -> Callable[[bytes, Path], object]:
    return lambda data, _: ask(KINDS[name], data)


def _celeba(header: bool) -> Callable[[bytes, Path], object]:
    def enter(data: bytes, folder: Path) -> None:
        path = folder / "list.txt"
        path.write_bytes(data)
        table.read(path, header=header)

    return enter


def _params(data: bytes, folder: Path) -> None:
    path = folder / "params.yaml"
    path.write_bytes(data)
    params.load(params.Compute, path)
    params.load_variants(path)


def _image(data: bytes, _: Path) -> None:
    width, height = image_size(data, 1_000_000)
    assert read_rgb(data).dtype == np.uint8 and width and height


def _picture(data: bytes, _: Path) -> None:
    read_rgb(data)


def _archive(data: bytes, folder: Path) -> None:
    path = folder / "set"
    path.write_bytes(data)
    try:
        archive = open_archive(path)
        found = archive.rows("image") if hasattr(archive, "rows") else members(archive).images
        for each in list(found)[:50]:
            try:
                archive.read(each if isinstance(each, str) else each[0], MOST)
            except KeyError:
                continue
    except DAMAGED:
        return


def _shard(data: bytes, folder: Path) -> None:
    path = folder / "a-00000.parquet"
    path.write_bytes(data)
    with tables.opened(path) as opened:
        opened.read()


def _variant(data: bytes, _: Path) -> None:
    variant_from_dict(parse_json(data.decode(errors="replace"), "a config"))


def _encoded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _packed(kind: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind
        WRITERS[kind](path, dict(list(FILES.items())[:3]))
        return path.read_bytes()


def _parquet() -> bytes:
    out = io.BytesIO()
    rows = [{"bytes": data, "path": name} for name, data in list(FILES.items())[:3]]
    pq.write_table(pa.table({"image": rows}), out)
    return out.getvalue()


def _deflated() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", _encoded("PNG"))
    return out.getvalue()


IMAGES = (
    _encoded("PNG"), _encoded("JPEG"), _encoded("JPEG", progressive=True), _encoded("WEBP"),
    _encoded("GIF"), _encoded("BMP"), _encoded("PNG", dpi=(72, 72)),
)  # fmt: skip
ATTRIBUTES = b"2\nSmiling Male\n000001.jpg  1 -1\n000002.jpg -1  1\n"
EYES = b"lefteye_x,lefteye_y\n000001.jpg,69,109\n000002.jpg,69.5,110\n"
ROBOTS = (
    b"User-agent: *\nDisallow: /private\nCrawl-delay: 2\nRequest-rate: 1/5\nAllow: /private/b*$\n",
    b"\xef\xbb\xbfuser-agent: face2anime/1.0\r\ndisallow:\r\n\r\nSitemap: x\r\n",
)
VARIANT = b'{"name": "a", "losses": {"cycle": 10}, "labels": {"hair": ["a", "b"]}, "blocks": 3}'
PARAMS = ((ROOT / "params.yaml").read_bytes(),)
TARGETS = {
    "robots": Target(_robots, ROBOTS),
    **{
        f"source {name}": Target(
            _source(name), (kind.page([kind.row(31), kind.row(30)]), kind.page([]))
        )
        for name, kind in KINDS.items()
    },
    "CelebA table": Target(_celeba(True), (ATTRIBUTES, EYES)),
    "CelebA list": Target(_celeba(False), (b"000001.jpg 0\n000002.jpg 2\n", ATTRIBUTES)),
    "params": Target(_params, PARAMS),
    "crawled image": Target(_image, IMAGES),
    "a user's picture": Target(_picture, IMAGES),
    "archive": Target(_archive, (*(_packed(kind) for kind in WRITERS if kind != "folder"),
                                 _deflated(), _parquet())),
    "shard": Target(_shard, (_parquet(),)),
    "config of a model": Target(_variant, (VARIANT, json.dumps({"name": "b"}).encode())),
}  # fmt: skip
