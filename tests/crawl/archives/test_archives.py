"""Archives of every kind, whole, damaged and malicious."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawl.archives import parquet, tars
from crawl.archives.reader import ArchiveReader, member_url
from crawl.errors import CrawlError, SourceError
from crawl.outcomes import FetchError, Outcome, grouped
from crawl.posts import Post, iterate_posts
from crawl.run import crawl
from crawl.sources import discover
from crawl.sources.base import parse_source
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import image_bytes

Files = dict[str, bytes]
FILES = {f"set/{number:02}.png": image_bytes(number, size=8) for number in range(20)}
MAX = 1_000_000


def write_folder(path: Path, files: Files) -> None:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def write_zip(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_tar(path: Path, files: Files, *others: tarfile.TarInfo) -> None:
    compression = path.suffix.removeprefix(".")
    with tarfile.open(path, "w" if compression == "tar" else f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for other in others:
            archive.addfile(other)


WRITERS: dict[str, Callable[[Path, Files], None]] = {
    "folder": write_folder,
    "set.zip": write_zip,
    "set.tar": write_tar,
    "set.tar.gz": write_tar,
    "set.tar.bz2": write_tar,
    "set.tar.xz": write_tar,
}


def write_parquet(path: Path, images: list[Any], rows: int = 8, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images} | columns), path, row_group_size=rows)


def structs(files: Files) -> list[dict[str, Any]]:
    return [{"bytes": data, "path": name} for name, data in files.items()]


def archive(path: Path, **keys: Any) -> dict[str, Any]:
    return {"name": "set", "type": "archive", "path": str(path)} | keys


def listed(path: Path, **keys: Any) -> list[Post]:
    source = parse_source(archive(path, **keys))
    listing = source.discover(None)  # type: ignore[arg-type]  # nothing is asked
    if listing.stopped:
        raise listing.stopped
    return listing.posts


@pytest.fixture(params=WRITERS)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    WRITERS[request.param](path, FILES | {"set/readme.txt": b"no image"})
    return path


def test_every_kind_gives_the_same_posts_and_bytes(
    packed: Path, tmp_path: Path, connect: Any
) -> None:
    (tmp_path / "tags.csv").write_text("file,hair\n07.png,light blue\n")
    session = connect(quick())
    frame, counts = discover([archive(packed, tags=str(tmp_path / "tags.csv"))], session)
    assert counts == {"set/listed": 20, "set/dropped_not_an_image": 1}
    assert list(frame["post_id"]) == list(FILES)
    assert list(frame["tags"]) == [""] * 7 + ["light_blue_hair"] + [""] * 12
    results = list(crawl(frame, quick(), tmp_path / "state", session))
    assert [result.data for result in results] == list(FILES.values())


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_threads_may_read_in_any_order(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path, FILES)
    reader = ArchiveReader()
    names = list(FILES)[::-1] * 5
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda name: reader.read(member_url(path, name), MAX), names)
        assert list(read) == [FILES[name] for name in names]


def test_compressed_tar_is_decompressed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.tar.gz"
    write_tar(path, FILES)
    opened = []
    original = tars._stream

    def stream(path: Path) -> Any:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(tars, "_stream", stream)
    reader = ArchiveReader()
    for name in FILES:
        reader.read(member_url(path, name), MAX)
    assert len(opened) == 2  # to see what it is, and to read it


def test_tar_that_does_not_fit_decompressed_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.tar.gz"
    write_tar(path, FILES)
    monkeypatch.setattr(tars, "_SPARE", 1 << 60)
    with pytest.raises(FetchError, match="does not fit into the temporary folder") as error:
        ArchiveReader().read(member_url(path, "set/00.png"), MAX)
    assert error.value.outcome is Outcome.GAVE_UP


@pytest.mark.parametrize("name", WRITERS)
def test_large_and_absent_members(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path, {"large.png": b"\x89PNG" + bytes(50_000)})
    reader = ArchiveReader()
    for member, outcome in {"large.png": Outcome.TOO_LARGE, "no.png": Outcome.GONE}.items():
        with pytest.raises(FetchError) as error:
            reader.read(member_url(path, member), 10_000)
        assert error.value.outcome is outcome


def test_zip_that_lies_about_a_size_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.png", bytes(30_000_000))
    data = path.read_bytes().replace((30_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(FetchError) as error:
        ArchiveReader().read(member_url(path, "bomb.png"), 10_000)
    assert error.value.outcome is Outcome.GAVE_UP


def test_links_and_devices_in_a_tar_are_no_members(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    others = []
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)):
        entry = tarfile.TarInfo(f"link{number}.png")
        entry.type, entry.linkname = kind, str(tmp_path / "secret.png")
        others.append(entry)
    write_tar(tmp_path / "set.tar", {"a.png": image_bytes(1)}, *others)
    assert [post.post_id for post in listed(tmp_path / "set.tar")] == ["a.png"]
    with pytest.raises(FetchError, match="has no link0.png"):
        ArchiveReader().read(member_url(tmp_path / "set.tar", "link0.png"), MAX)


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
def test_names_that_lead_outside_are_only_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / name
    path.parent.mkdir()
    WRITERS[name](path, {"../../up.png": b"up", "/etc/root.png": b"root"})
    before = sorted(tmp_path.rglob("*"))
    reader = ArchiveReader()
    assert [reader.read(post.url, MAX) for post in listed(path)] == [b"up", b"root"]
    assert sorted(tmp_path.rglob("*")) == before


def test_folder_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    for member in ("link.png", "../secret.png"):
        with pytest.raises(FetchError) as error:
            ArchiveReader().read(member_url(folder, member), MAX)
        assert error.value.outcome is Outcome.FORBIDDEN_ADDRESS


@pytest.mark.parametrize("name", ["folder", "set.tar"])
def test_names_that_are_no_text_are_found_again(name: str, tmp_path: Path) -> None:
    member = os.fsdecode(b"\xff #1.png")
    WRITERS[name](tmp_path / name, {member: b"data"})
    (post,) = listed(tmp_path / name)
    assert post.post_id == "\\udcff #1.png"
    assert ArchiveReader().read(post.url, MAX) == b"data"


def test_later_of_two_members_with_one_name_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as packed:
        for data in (b"old", b"newer"):
            entry = tarfile.TarInfo("a.png")
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    (post,) = listed(tmp_path / "set.tar")
    assert ArchiveReader().read(post.url, MAX) == b"newer"


def test_what_an_archive_is_does_not_depend_on_its_name(tmp_path: Path) -> None:
    inner = tmp_path / "inner.zip"
    write_zip(inner, {"inner.png": b""})
    write_tar(tmp_path / "set.tar", {"a.png": b"a", "inner.zip": inner.read_bytes()})
    (tmp_path / "set.tar").rename(tmp_path / "set.zip")
    assert [post.post_id for post in listed(tmp_path / "set.zip")] == ["a.png"]


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "folder"])
@pytest.mark.parametrize("part", [0, 0.3, 0.7])
def test_archive_cut_short_is_an_error_that_names_it(
    name: str, part: float, tmp_path: Path
) -> None:
    path = tmp_path / name
    WRITERS[name](path, {name: os.urandom(2000) for name in FILES})
    data = path.read_bytes()
    url = member_url(path, "set/19.png")
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(CrawlError, match=rf"{name}.*(is|be) damaged|{name} is neither"):
        listed(path)
    with pytest.raises(FetchError) as error:
        ArchiveReader().read(url, MAX)
    assert error.value.outcome is Outcome.GAVE_UP


def test_tar_with_a_damaged_header_is_not_taken_for_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    write_tar(path, FILES)
    data = bytearray(path.read_bytes())
    data[data.index(b"set/10.png")] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="set.tar: is damaged, get it again: bad checksum"):
        listed(path)


def test_parquet_file_as_on_the_hugging_face_hub(tmp_path: Path, connect: Any) -> None:
    tags = [["long hair", "smile"], [], None] + [["x"]] * 17
    write_parquet(tmp_path / "set.parquet", structs(FILES), tags=pa.array(tags))
    session = connect(quick())
    declared = archive(tmp_path / "set.parquet", tags_column="tags")
    frame, counts = discover([declared], session)
    assert counts == {"set/listed": 20}
    assert list(frame["post_id"])[:2] == ["image/000000000", "image/000000001"]
    assert list(frame["tags"])[:4] == ["long_hair smile", "", "", "x"]
    results = list(crawl(frame, quick(), tmp_path / "state", session))
    assert [result.data for result in results] == list(FILES.values())


def test_folder_of_parquet_files_with_another_column(tmp_path: Path) -> None:
    half = list(FILES.values())[:10], list(FILES.values())[10:]
    for number, data in enumerate(half):
        words = ["blue hair, smile", "a b"] * 5
        columns = {"face/crop": pa.array(data, pa.large_binary()), "words": words}
        write_parquet(tmp_path / "data" / f"part #{number}.parquet", [None] * 10, **columns)
    posts = listed(tmp_path / "data", image="face/crop", tags_column="words")
    assert [post.tags for post in posts[:2]] == ["blue_hair smile", "a b"]
    reader = ArchiveReader()
    assert [reader.read(post.url, MAX) for post in posts] == list(FILES.values())
    assert [post.post_id for post in posts] == sorted(post.post_id for post in posts)


def test_parquet_row_groups_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.parquet"
    write_parquet(path, structs(FILES), rows=4)
    reads = []
    original = parquet._Part.images

    def images(self: Any, column: str, group: int) -> Any:
        reads.append(group)
        return original(self, column, group)

    monkeypatch.setattr(parquet._Part, "images", images)
    posts, reader = listed(path), ArchiveReader()
    for number in range(19):  # as two threads do, one of them ahead
        for post, data in list(zip(posts, FILES.values(), strict=True))[number : number + 2][::-1]:
            assert reader.read(post.url, MAX) == data
    assert reads == [0, 1, 2, 3, 4]


def test_parquet_is_read_by_threads(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    write_parquet(path, structs(FILES), rows=3)
    reader, posts = ArchiveReader(), listed(path)
    with ThreadPoolExecutor(8) as pool:
        data = pool.map(lambda post: reader.read(post.url, MAX), posts * 3)
        assert list(data) == list(FILES.values()) * 3


def test_parquet_members_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.parquet"
    write_parquet(path, [None, {"bytes": None, "path": "x"}, {"bytes": bytes(5000), "path": ""}])
    reader = ArchiveReader()
    outcomes = []
    names = [f"image/{number:09}" for number in range(4)] + ["other/000000000", "image/x", "x"]
    for name in names:
        with pytest.raises(FetchError) as error:
            reader.read(member_url(path, name), 4000)
        outcomes.append(error.value.outcome)
    gone, large = Outcome.GONE, Outcome.TOO_LARGE
    assert outcomes == [gone, gone, large, gone, gone, gone, gone]
    monkeypatch.setattr(parquet, "_MAX_GROUP", 100)
    with pytest.raises(FetchError, match="smaller row groups"):
        ArchiveReader().read(member_url(path, "image/000000002"), MAX)


def test_mistake_about_columns_is_named(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    write_parquet(path, structs(FILES), text=["x"] * 20)
    with pytest.raises(CrawlError, match=r"no column 'img' \(its columns: image, text\)"):
        listed(path, image="img")
    with pytest.raises(CrawlError, match="column 'text' is of type string"):
        listed(path, image="text")
    with pytest.raises(CrawlError, match="column 'image' is of type struct"):
        listed(path, tags_column="image")
    with pytest.raises(CrawlError, match="give 'tags_column' in its place"):
        listed(path, tags="tags.csv")
    write_zip(tmp_path / "set.zip", FILES)
    with pytest.raises(CrawlError, match="'tags_column' is for Parquet files"):
        listed(tmp_path / "set.zip", tags_column="tags")


def test_folder_of_images_and_parquet_files_must_be_told_apart(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", FILES)
    write_parquet(tmp_path / "set" / "set.parquet", structs(FILES))
    with pytest.raises(CrawlError, match="both images and Parquet files"):
        listed(tmp_path / "set")


@pytest.mark.parametrize("name", WRITERS)
def test_archive_without_images_is_an_error(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, {"readme.txt": b"no image"})
    with pytest.raises(SourceError, match="holds no image"):
        listed(tmp_path / name)


@pytest.mark.parametrize("inputs", ["files", "absent"])
def test_files_are_looked_for_in_the_inputs_and_then_from_the_root(
    tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch, inputs: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "files" if inputs == "files" else tmp_path
    place.mkdir(exist_ok=True)
    write_zip(place / "set.zip", FILES | {"__MACOSX/._1.png": b"no image"})
    (place / "tags.csv").write_text("file,hair\n07.png,blue\n")
    declared = archive(Path("set.zip"), tags="tags.csv")
    frame, counts = discover([declared], connect(quick()), folder=Path(inputs))
    assert counts == {"set/listed": 20, "set/dropped_not_an_image": 1}
    assert "blue_hair" in set(frame["tags"])
    assert ArchiveReader().read(frame["url"][0], MAX) == FILES["set/00.png"]
    for key in ("path", "tags"):
        with pytest.raises(CrawlError, match=f"key '{key}': x .*looked for {inputs}/x, then x"):
            discover([declared | {key: "x"}], connect(quick()), folder=Path(inputs))


def test_posts_of_a_tar_are_read_from_its_table(tmp_path: Path, connect: Any) -> None:
    """What a teammate has: the table, and the archive at the same place."""
    write_tar(tmp_path / "set.tar.xz", FILES)
    frame, _ = discover([archive(tmp_path / "set.tar.xz", limit=3)], connect(quick()))
    reader = ArchiveReader()
    read = [reader.read(post.url, MAX) for post in iterate_posts(frame)]
    assert read == list(FILES.values())[:3]


# Names, and as what the file is encoded; empty: it is no picture.
ODD = {
    "a/1.jfif": "JPEG",
    "a/2.bmp": "BMP",
    "a/3.tif": "TIFF",
    "a/4.avif": "AVIF",
    "a/5": "PNG",
    "a/6.image": "WEBP",
    "Thumbs.db": "",
    "__MACOSX/a/._1.jfif": "",
    "a/._2.bmp": "",
    ".DS_Store": "",
    "a/notes.txt": "",
    "empty": "",
}


def odd_files() -> Files:
    data = {"Thumbs.db": b"\xd0\xcf\x11\xe0", "a/notes.txt": b"BM is no bitmap", "empty": b""}
    return {
        name: image_bytes(n, 16, kind) if kind else data.get(name, bytes(40))
        for n, (name, kind) in enumerate(ODD.items())
    }


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_a_picture_is_used_and_what_is_none_is_counted_and_shown(
    name: str, tmp_path: Path, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    files = odd_files()
    WRITERS[name](tmp_path / name, files)
    session = connect(quick())
    frame, counts = discover([archive(tmp_path / name)], session)
    used = sorted(name for name, kind in ODD.items() if kind)
    assert list(frame["post_id"]) == used
    assert counts == {"set/listed": 6, "set/dropped_not_an_image": 6}
    assert "source 'set': 6 entries left out, no picture: '" in capsys.readouterr().err
    results = list(crawl(frame, quick(), tmp_path / "state", session))
    assert [result.outcome for result in results] == [Outcome.OK] * 6


def test_a_backslash_in_a_zips_name_is_a_slash(tmp_path: Path, connect: Any) -> None:
    write_zip(tmp_path / "set.zip", {f"set\\{n}.png": image_bytes(n, 8) for n in (1, 2)})
    (tmp_path / "tags.csv").write_text("\ufefffile,hair\nset\\1.png,blue\n", encoding="utf-8")
    declared = archive(tmp_path / "set.zip", tags=str(tmp_path / "tags.csv"))
    frame, _ = discover([declared], connect(quick()))
    assert list(frame["post_id"]) == ["set/1.png", "set/2.png"]
    assert list(frame["tags"]) == ["blue_hair", ""]
    assert ArchiveReader().read(frame["url"][0], MAX) == image_bytes(1, 8)


def damage(path: Path, how: str) -> None:
    """Spoils the first member of a zip."""
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    while (earlier := data.rfind(b"PK\x01\x02", 0, central)) >= 0:
        central = earlier
    if how == "encrypted":
        data[6] |= 1
        data[central + 8] |= 1
    elif how == "unknown method":
        data[8] = data[central + 10] = 99
    elif how == "damaged data":
        data[60:70] = b"\xff" * 10
    elif how == "claims 4 GB":
        data[central + 24 : central + 28] = b"\xfe\xff\xff\xff"
    path.write_bytes(data)


DAMAGES = ["encrypted", "unknown method", "damaged data", "claims 4 GB"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_bad_entry_of_a_zip_is_one_counted_post(how: str, tmp_path: Path, connect: Any) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for n in range(4):
            packed.writestr(f"{n}.png", image_bytes(n, 16))
    damage(path, how)
    session = connect(quick())
    frame, _ = discover([archive(path)], session)
    results = list(crawl(frame, quick(), tmp_path / "state", session))
    assert [result.outcome is Outcome.OK for result in results] == [False, True, True, True]
    assert results[0].reason and "\n" not in results[0].reason


def test_an_archive_of_too_many_entries_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("set.zip", "set.tar.gz"):
        WRITERS[name](tmp_path / name, FILES)
    monkeypatch.setattr("crawl.archives.containers._MAX_DIRECTORY", 500)
    monkeypatch.setattr("crawl.archives.tars.MAX_ENTRIES", 10)
    for name, words in {"set.zip": "table of contents", "set.tar.gz": "more than 10"}.items():
        with pytest.raises(SourceError, match=words):
            listed(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("set.7z.001", b"7z\xbc\xaf\x27\x1c"),
        ("set.rar", b"Rar!\x1a\x07"),
        ("set.z01", b"PK\x07\x08"),
    ],
)
def test_what_is_packed_otherwise_is_named(name: str, start: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(start + bytes(500))
    with pytest.raises(CrawlError, match=f"{name} is a .* unpack it, and name the folder"):
        listed(tmp_path / name)


def test_the_last_of_several_zips_says_so(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    write_zip(path, FILES)
    data = bytearray(path.read_bytes())
    data[-18:-14] = b"\x02\0\x02\0"  # the number of this disk, and of the one with the contents
    path.write_bytes(data)
    with pytest.raises(SourceError, match="the last of several parts"):
        listed(path)


def test_a_table_of_tags_of_which_no_name_fits_is_an_error(tmp_path: Path) -> None:
    write_zip(tmp_path / "set.zip", FILES)
    table = tmp_path / "tags.csv"
    table.write_text("file,hair\nother.png,blue\n")
    with pytest.raises(SourceError, match=r"tags.csv: none of its 1 names, first 'other.png', is"):
        listed(tmp_path / "set.zip", tags=str(table))
    table.write_bytes("file,hair\n07.png,bläu\n".encode("latin-1"))
    with pytest.raises(SourceError, match="tags.csv: is not a CSV table"):
        listed(tmp_path / "set.zip", tags=str(table))


def test_tags_of_one_name_in_two_folders_are_not_mixed(tmp_path: Path) -> None:
    files = {f"set/{folder}/1.png": image_bytes(n, 8) for n, folder in enumerate("ab")}
    write_zip(tmp_path / "set.zip", files)
    (tmp_path / "tags.csv").write_text("file,hair\na/1.png,blue\n./b/1.png,red\n")
    posts = listed(tmp_path / "set.zip", tags=str(tmp_path / "tags.csv"))
    assert [post.tags for post in posts] == ["blue_hair", "red_hair"]


TABLES: dict[str, bytes] = {  # each gives 07.png the tag blue_hair
    "semicolons": b"file;hair\n07.png;blue\n",
    "tabs": b"file\thair\n07.png\tblue\n",
    "UTF-16": "file,hair\n07.png,blue\n".encode("utf-16"),
    "numbered rows": b",file,hair\n0,07.png,blue\n",
    "other capitals": b"file,hair\n07.PNG,blue\n",
    "no ending": b"file,hair\n07,blue\n",
    "paths of another machine": b"file,hair\nC:\\set\\07.png,blue\n",
    "addresses": b"file,hair\nhttp://site.demo/a/07.png,blue\n",
    "a row a tag": b"file,tag\n07.png,blue_hair\n07.png,blue_hair\n",
    "tags as they are": b'file,tags\n07.png,"blue hair,"\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_tags_is_read_as_it_is_found(name: str, tmp_path: Path) -> None:
    write_zip(tmp_path / "set.zip", FILES)
    (tmp_path / "tags.csv").write_bytes(TABLES[name])
    source = parse_source(archive(tmp_path / "set.zip", tags=str(tmp_path / "tags.csv")))
    listing = source.discover(None)  # type: ignore[arg-type]  # nothing is asked
    assert [post.tags for post in listing.posts] == [""] * 7 + ["blue_hair"] + [""] * 12
    assert "19 of 20 images have no row" in listing.notes[0] and len(listing.notes) == 1


@pytest.mark.parametrize(
    "table",
    ["file,theme\n07.png,Ecchi\n", "file,tags\n07.png,1girl ecchi\n07.png,smile\n"]
    + ["file,rating\n07.png,explicit\n", "file,tag\n07.png,ecchi\n07.png,smile\n"],
)
def test_an_adult_tag_of_a_table_is_known_in_every_column(table: str, tmp_path: Path) -> None:
    write_zip(tmp_path / "set.zip", FILES)
    (tmp_path / "tags.csv").write_text(table)
    posts = listed(tmp_path / "set.zip", tags=str(tmp_path / "tags.csv"))
    assert len(posts) == 19 and "set/07.png" not in {post.post_id for post in posts}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"", "is empty"),
        (b"07.png,blue\n", "'07.png', is no header"),
        (b"file,hair\n07.png,blue,red\n", "3 cells, its header 2: '07.png'"),
        ("file,hair\n07.png,ch\u00e2tain\n".encode("latin-1"), "in UTF-8"),
    ],
)
def test_a_table_of_tags_that_is_none_is_told(table: bytes, words: str, tmp_path: Path) -> None:
    write_zip(tmp_path / "set.zip", FILES)
    (tmp_path / "tags.csv").write_bytes(table)
    with pytest.raises(SourceError, match=words) as error:
        listed(tmp_path / "set.zip", tags=str(tmp_path / "tags.csv"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_a_file_that_a_later_one_replaces_is_counted(
    name: str, tmp_path: Path, connect: Any
) -> None:
    WRITERS[name](tmp_path / name, FILES)
    first = next(iter(FILES))
    if name == "set.zip":
        with zipfile.ZipFile(tmp_path / name, "a") as file, pytest.warns(UserWarning):
            file.writestr(first, FILES[first])
    else:
        whole = gzip.decompress((tmp_path / name).read_bytes())
        end = 512 * (1 + -(-len(FILES[first]) // 512))  # its header and its data
        (tmp_path / name).write_bytes(gzip.compress(whole[:end] + whole))
    _, counts = discover([archive(tmp_path / name)], connect(quick()))
    assert counts == {"set/listed": 20, "set/repeated": 1}


def test_a_link_that_leads_nowhere_is_one_counted_post(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", FILES)
    (tmp_path / "set" / "absent.png").symlink_to("absent")
    (tmp_path / "set" / "more").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "set" / "pipe")
    source = parse_source(archive(tmp_path / "set"))
    listing = source.discover(None)  # type: ignore[arg-type]  # nothing is asked
    assert listing.verdicts == {"listed": 21, "dropped_not_an_image": 2}
    with pytest.raises(FetchError) as caught:
        ArchiveReader().read(member_url(tmp_path / "set", "absent.png"), MAX)
    assert caught.value.outcome is Outcome.GONE


def test_what_follows_a_compressed_tar_is_no_part_of_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "set.tar.gz", FILES)
    with (tmp_path / "set.tar.gz").open("ab") as file:
        file.write(b"<!-- served from a cache -->")
    url = member_url(tmp_path / "set.tar.gz", "set/07.png")
    assert ArchiveReader().read(url, MAX) == FILES["set/07.png"]


MISTAKEN = {
    b"version https://git-lfs.github.com/spec/v1\n": "git lfs pull",
    b"\n<!DOCTYPE html><title>Quota</title>": "page of HTML",
    image_bytes(0): "one picture: name the folder",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x28\xb5\x2f\xfd" + bytes(20): "zstd archive .*unpack it",
}


@pytest.mark.parametrize("data", MISTAKEN)
def test_what_lies_in_the_place_of_an_archive_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(CrawlError, match=MISTAKEN[data]):
        listed(tmp_path / "set.zip")


def test_archives_in_the_place_of_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_tar(tmp_path / "set" / "000.tar", FILES)
    with pytest.raises(SourceError, match=r"no image, but '000.tar': declare each"):
        listed(tmp_path / "set")


def test_failures_of_many_members_are_of_one_kind(tmp_path: Path) -> None:
    write_zip(tmp_path / "set.zip", {f"{word}.png": b"x" for word in ("a", "b", "c")})
    data = bytearray((tmp_path / "set.zip").read_bytes())
    for found in re.finditer(rb"PK\x01\x02", bytes(data)):
        data[found.start() + 8] |= 1  # encrypted
    (tmp_path / "set.zip").write_bytes(data)
    reasons = []
    for word in ("a", "b", "c"):
        with pytest.raises(FetchError) as caught:
            ArchiveReader().read(member_url(tmp_path / "set.zip", f"{word}.png"), MAX)
        reasons.append(caught.value.reason)
    ((times, reason),) = grouped(reasons)
    assert times == 3 and "is encrypted: unpack it with its password" in reason
