"""Where work runs and on how many workers changes no byte; what dask lacks is told in one line."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from pipeline.core import params, stage, tables
from pipeline.core import workers as parallel
from pipeline.core.commands import mistakes_in_one_line
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Compute, Exclude, Faces, Split
from pipeline.dedupe.deduplicate import dedupe
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from pipeline.duplicates import hashes
from pipeline.faces import detect, extract
from pipeline.faces.annotations import boxes_of
from pipeline.split.assign import ORIGIN, split_domain
from tests.pipeline.dedupe.test_dedupe import SETTINGS as COPIES
from tests.pipeline.dedupe.test_dedupe import drawn_faces, marked_copies

ROOT = Path(__file__).resolve().parents[3]
PICTURES = 6
SETTINGS = Faces(
    detect_size=160, min_likelihood=0.2, min_eye_distance=8, min_sharpness=0, max_tilt=40
)
ALIGN = Align(size=32, eye_distance=0.26, eye_line=0.5, max_border=0.5)
WAYS = {  # 16 processes would take half a minute to start; the threads all work at once, too
    "2 processes": (2, Compute()),
    "16 threads": (16, Compute(backend="threading")),
    "dask": (1, Compute(backend="dask")),
}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a dask cluster of two processes, as one on other machines has."""
    distributed = pytest.importorskip("distributed")
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster:
            yield cluster.scheduler_address


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    rows = []
    for seed in range(PICTURES):
        rgb, _ = draw_page(sample_faces(1, seed, "anime"), *page_size(1, 40), seed)
        data = tables.encode_png(rgb)
        name = hashlib.sha256(data).hexdigest()
        rows.append(
            {"id": name, "image": {"bytes": data, "path": None}, "md5": ""}
            | dict.fromkeys(extract.PROVENANCE, str(seed))
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def by_one(raw: pd.DataFrame) -> extract.FacesResult:
    return find(raw, 1)


def find(raw: pd.DataFrame, workers: int) -> extract.FacesResult:
    batches = (raw.iloc[[row]] for row in range(len(raw)))
    return extract.find_faces(batches, SETTINGS, ALIGN, Exclude(), workers)


def placed(way: str, request: pytest.FixtureRequest) -> tuple[int, Compute]:
    workers, compute = WAYS[way]
    if compute.backend != "dask":
        return workers, compute
    address = request.getfixturevalue("scheduler")
    return workers, compute.model_copy(update={"dask_scheduler": address})


@pytest.mark.parametrize("way", WAYS)
def test_the_faces_table_is_the_same_to_the_byte(raw, by_one, tmp_path, request, way) -> None:
    workers, compute = placed(way, request)
    with parallel.on(compute):
        again = find(raw, workers)
    assert len(by_one.frame) >= PICTURES - 1
    for name, result in (("one", by_one), ("again", again)):
        tables.write_frame(tmp_path / name, "faces", result.frame)
    first, second = (
        [(path.name, path.read_bytes()) for path in sorted((tmp_path / name).iterdir())]
        for name in ("one", "again")
    )
    assert first == second and first
    assert again.counts == by_one.counts


@pytest.mark.parametrize("way", WAYS)
def test_the_hashes_are_the_same_to_the_bit(request, way) -> None:
    rng = np.random.default_rng(0)
    images = [
        {"bytes": tables.encode_png(rng.integers(0, 255, (16, 16, 3), np.uint8)), "path": None}
        for _ in range(300)  # more than one chunk
    ]
    alone = hashes.sign(images, 1, "alone")
    workers, compute = placed(way, request)
    with parallel.on(compute):
        again = hashes.sign(images, workers, way)
    assert alone.bits.tobytes() == again.bits.tobytes()
    assert alone.colours.tobytes() == again.colours.tobytes()


def columns_of(kept: pd.DataFrame) -> pd.DataFrame:
    """A table that ``split`` reads: places that ``faces`` would have told are 0."""
    return kept.assign(**{name: 0.0 for name in ORIGIN["anime"] if name not in kept})


@pytest.mark.parametrize("way", ["2 processes", "dask"])
def test_copies_and_splits_are_the_same_to_the_byte(tmp_path, request, way) -> None:
    rows = marked_copies(list(drawn_faces(40)))
    settings = Split(val=0.2, test=0.2, seed=1, near_bits=40)

    def tables_of(name: str, workers: int) -> list[tuple[str, bytes]]:
        result = dedupe(rows, COPIES, workers)
        parts = split_domain(columns_of(result.kept), "anime", settings, workers)
        frames = {"kept": result.kept, "pairs": result.pairs.assign(id=result.pairs.index), **parts}
        for key, frame in frames.items():
            tables.write_frame(tmp_path / name, key, frame)
        return [(path.name, path.read_bytes()) for path in sorted((tmp_path / name).iterdir())]

    alone = tables_of("one", 1)
    workers, compute = placed(way, request)
    with parallel.on(compute):
        assert tables_of("again", workers) == alone
    assert len(alone) == 5


def test_dask_starts_its_own_workers_and_keeps_the_order() -> None:
    pytest.importorskip("distributed")
    with parallel.on(Compute(backend="dask")):
        found = parallel.over(abs, iter(range(-40, 0)), workers=2, label="own")
    assert found == list(range(40, 0, -1))


def test_an_error_on_a_dask_worker_ends_the_work_with_it(scheduler: str) -> None:
    with (
        parallel.on(Compute(backend="dask", dask_scheduler=scheduler)),
        pytest.raises(StageError, match="faces.annotations: 'none.csv' is no CSV"),
    ):
        parallel.over(_boxes, ["none.csv"] * 3, workers=1, label="wrong")


def test_a_killed_dask_worker_is_replaced_by_the_other(scheduler: str, tmp_path: Path) -> None:
    """The scheduler gives its chunk to a worker that lives."""
    with parallel.on(Compute(backend="dask", dask_scheduler=scheduler)):
        found = parallel.over(_die_once, [(tmp_path, n) for n in range(8)], workers=2, label="k")
    assert found == list(range(8)) and (tmp_path / "died").exists()


def test_a_killed_worker_of_this_machine_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), mistakes_in_one_line("faces"):
        parallel.over(_die_once, [(tmp_path, n) for n in range(8)], workers=2, label="k")
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("faces: a worker process was killed") and "compute.workers" in line


def test_no_more_workers_than_cores_or_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("compute: {workers: 100000}")
    assert stage.workers() == joblib.cpu_count()
    asked = []
    monkeypatch.setattr(parallel, "parallel_config", lambda *a, n_jobs, **b: asked.append(n_jobs))
    with pytest.raises(TypeError):  # what stands in for it is no context
        parallel.over(abs, [1, 2], workers=100_000, label="few", total=2)
    assert asked == [2]


def _die_once(item: tuple[Path, int]) -> int:
    folder, number = item
    if number == 3:
        try:
            (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _boxes(source: str) -> list:
    return boxes_of({}, (1, 1), source)


def test_threads_do_not_share_the_colours_seed() -> None:
    """animeface's random state is the process's."""
    rgb, _ = draw_page(sample_faces(2, 5, "anime"), *page_size(2, 60), 0)
    with parallel.on(Compute(backend="threading")):
        looks = parallel.over(_hair, [rgb] * 12, workers=6, label="looks")
    assert looks[0] and all(look == looks[0] for look in looks)


def _hair(rgb: np.ndarray) -> list[list[float]]:
    return [face.hair.tolist() for face in detect.detect(rgb, 320, 0.0)]


def said(compute: Compute) -> str:
    with parallel.on(compute), pytest.raises(StageError) as caught:
        parallel.over(abs, [1], workers=1, label="none")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_dask_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install 'face2anime[dask]'" in said(Compute(backend="dask"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CONNECT", 1)


def test_a_scheduler_that_does_not_answer_is_named(impatient) -> None:
    pytest.importorskip("distributed")
    message = said(Compute(backend="dask", dask_scheduler="tcp://127.0.0.1:1"))
    assert "nothing answers at tcp://127.0.0.1:1" in message and "dask scheduler" in message


def test_a_scheduler_without_workers_is_named(impatient) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        assert f"{address} has no worker" in said(Compute(backend="dask", dask_scheduler=address))


def test_a_worker_without_this_package_is_told(tmp_path: Path, monkeypatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if _importable_from(tmp_path):
        pytest.skip("the package is installed: no worker here can lack it")
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        command = [sys.executable, "-m", "dask", "worker", address, "--nthreads=1", "--no-nanny"]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
            message = said(Compute(backend="dask", dask_scheduler=address))
            worker.terminate()
    assert "cannot load this package" in message and "No module named 'pipeline'" in message


def _importable_from(folder: Path) -> bool:
    command = [sys.executable, "-c", "import pipeline"]
    return not subprocess.run(command, cwd=folder, capture_output=True).returncode


@pytest.mark.parametrize("address", ["host", "host:8786", "http://host:8786", "tcp://host"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"compute: {{dask_scheduler: '{address}'}}")
    with pytest.raises(StageError, match=f"'compute': key 'dask_scheduler' is '{address}'"):
        params.load(Compute, path)


@pytest.mark.parametrize(("backend", "module"), [("loky", "__main__"), ("dask", "stages.job")])
def test_dasks_workers_get_a_stages_functions_by_name(tmp_path: Path, backend, module) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/job.py").write_text(
        "from pipeline.core import stage\n"
        "def main() -> None:\n"
        "    print(main.__module__)\n"
        "if __name__ == '__main__':\n"
        "    stage.run(main)\n"
    )
    (tmp_path / "params.yaml").write_text(f"compute: {{backend: {backend}}}")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command: list[str] = [sys.executable, "-m", "stages.job"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == module, done.stderr
