"""``face2anime doctor``: what is here, whether it works, and the command that mends what does not.

Every check stands by itself: a part that is broken, or a server that never answers, hides no other.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from crawl.secrets import bare
from models.errors import ModelError
from models.public.table import TABLE
from pipeline.core import paths
from pipeline.core.errors import StageError
from pipeline.use import verify, weights

PATIENCE = 4.0  # seconds for a server to answer, and for a remote
LEAST_DISK = 1 << 30  # bytes: the demo needs half of it
PYTHON = ((3, 11), (3, 14))  # from, and below, as pyproject.toml says
INSTALL = "make install"
SHOWN = ("torch", "opencv-python-headless", "pillow", "dvc", "mlflow")
OPENCV = [f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python")]
OPENCV += ["opencv-contrib-python-headless"]
EXPORT = ("face2anime export", "pip install onnx onnxruntime onnxscript")
EXTRAS = {  # what each is for, and how to get it
    "onnx": EXPORT,
    "onnxruntime": EXPORT,
    "onnxscript": EXPORT,
    "distributed": ("compute.backend: dask", "pip install distributed"),
}
HOPPER = "sample_data/grace_hopper.jpg"  # of matplotlib: a portrait in the public domain
HOPPER_EYES = ((222.0, 189.0), (306.0, 187.0))  # pixels
EYE_ERROR = 0.2  # in eye distances: less than between two faces, more than between two networks


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    name: str
    told: str
    ok: bool = True
    mend: str = ""  # the command
    needed: bool = True  # whether nothing works without

    @property
    def line(self) -> str:
        """As it is printed."""
        state = "ok" if self.ok else "missing" if self.needed else "absent"
        return f"{state:<8}{self.name:<26}{self.told}{f': {self.mend}' if self.mend else ''}"

    @property
    def fails(self) -> bool:
        """Whether the exit code tells of it."""
        return self.needed and not self.ok


Check = Callable[[], Iterator[Finding]]


def examine() -> Iterator[Finding]:
    """What all checks find, one after the other."""
    for name, check in CHECKS.items():
        try:
            yield from check()
        except (StageError, ModelError) as error:  # they say what to do
            yield Finding(name, str(error), ok=False)
        except Exception as error:  # whatever it is, the other checks are told
            yield Finding(name, _why(error), ok=False, mend=INSTALL)


def _why(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _versions() -> Iterator[Finding]:
    here = sys.version_info[:2]
    fits = PYTHON[0] <= here < PYTHON[1]
    again = "" if fits else "make install PYTHON=python3.11"
    yield Finding("python", sys.version.split()[0], fits, again)
    for name in SHOWN:
        try:
            yield Finding(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "is not installed", ok=False, mend=INSTALL)


def _opencv() -> Iterator[Finding]:
    """Two wheels overwrite each other, and a bare server may lack what one links to."""
    found = [name for name in OPENCV if _installed(name)]
    if len(found) > 1:
        mend = f"pip uninstall -y {' '.join(found)} && {INSTALL}"
        yield Finding("OpenCV", f"{' and '.join(found)} overwrite each other", False, mend)
    try:
        import cv2
    except ImportError as error:
        lacking = "libGL" in str(error) or "libgthread" in str(error)
        mend = "pip uninstall -y opencv-python && pip install --force-reinstall --no-deps "
        mend += "opencv-python-headless"
        yield Finding("OpenCV", str(error), False, mend if lacking else INSTALL)
        return
    yield Finding("OpenCV loads", str(cv2.__version__))


def _device() -> Iterator[Finding]:
    from models.runtime.device import pick_device, pick_precision

    device = pick_device()
    yield Finding("device, precision", f"{device.type}, {pick_precision('auto', device)}")


def _disk() -> Iterator[Finding]:
    root = paths.root()
    free = shutil.disk_usage(root).free
    told = f"{free / 2**30:.1f} GiB free at {root}"
    enough = free >= LEAST_DISK
    yield Finding("disk", told, enough, "" if enough else "make clean, or another disk")
    for name in ("data", ".cache", ".dvc/cache", "mlruns"):
        place = root / name
        if place.exists():
            yield Finding(name, str(place.resolve()))


def _store() -> Iterator[Finding]:
    from pipeline.core.store import store_uri  # MLflow

    uri = store_uri()
    scheme = urlsplit(uri).scheme
    shown = bare(uri)
    if scheme in ("http", "https"):
        yield _served(uri, shown)
    elif scheme == "sqlite":
        yield _sqlite(Path(uri.removeprefix("sqlite:///")), shown)
    else:
        yield Finding("MLflow store", f"{shown}, not tried")


def _served(uri: str, shown: str) -> Finding:
    import requests

    mend = "start it, or unset MLFLOW_TRACKING_URI"
    try:
        status = requests.get(f"{uri.rstrip('/')}/health", timeout=PATIENCE).status_code
    except (requests.RequestException, ValueError) as error:
        return Finding("MLflow store", f"{shown}: {type(error).__name__}", False, mend)
    told = shown if status < 400 else f"{shown} answers {status}"
    return Finding("MLflow store", told, status < 400, "" if status < 400 else mend)


def _sqlite(path: Path, shown: str) -> Finding:
    """Read only: looking makes no file."""
    if not path.exists():
        return Finding("MLflow store", f"{shown}, which the first stage makes")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT count(*) FROM experiments").fetchone()
    except sqlite3.Error as error:
        mend = f"mv '{path}' '{path}.broken'; the next stage makes a new one"
        return Finding("MLflow store", f"{shown}: {error}", False, mend)
    return Finding("MLflow store", shown)


def _remote() -> Iterator[Finding]:
    """DVC's own file system asks the default remote, whatever its kind."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(str(paths.root()))
    except DvcException as error:
        yield Finding(
            "DVC", " ".join(str(error).split()), False, "run this in the project's folder"
        )
        return
    with repo:
        name = repo.config["core"].get("remote")
        if not name:
            mend = "dvc remote add --default team URL"
            yield Finding("DVC remote", "none: data stay on this machine", False, mend, False)
            return
        told = f"{name}, {repo.config['remote'].get(name, {}).get('url', '').rpartition('@')[2]}"
        answer: Queue[bool | Exception] = Queue()
        Thread(target=_ask, args=(repo, name, answer), daemon=True).start()
        try:
            there = answer.get(timeout=PATIENCE)
        except Empty:
            there = TimeoutError(f"no answer within {PATIENCE:g} seconds")
    if isinstance(there, Exception):
        mend = "dvc remote list shows where it should be; dvc remote modify mends it"
        yield Finding("DVC remote", f"{told}: {_why(there)}", False, mend)
    elif there:
        yield Finding("DVC remote", told)
    else:
        yield Finding("DVC remote", f"{told} is not there yet", False, "dvc push", needed=False)


def _ask(repo: Any, name: str, answer: Queue[bool | Exception]) -> None:
    """Whether the remote's folder is there; for a thread, since not every kind gives up."""
    try:
        remote = repo.cloud.get_remote(name)
        answer.put(bool(remote.fs.exists(remote.path)))
    except Exception as error:  # each kind of remote has errors of its own
        answer.put(error)


def _drawings() -> Iterator[Finding]:
    from pipeline.faces.detect import check_detector
    from pipeline.use.faces import DRAWN_LOOK

    check_detector(DRAWN_LOOK)
    yield Finding("animeface", "finds a drawn face")


def _photos() -> Iterator[Finding]:
    import matplotlib
    import numpy as np

    from pipeline.imaging.images import read_rgb
    from pipeline.use.faces import finder

    find = finder("photos")
    portrait = Path(matplotlib.get_data_path()) / HOPPER
    name = "CenterFace, face mesh"
    if not portrait.is_file():
        yield Finding(name, "load; matplotlib's portrait is not here to try them")
        return
    found = find(read_rgb(portrait.read_bytes()))
    expected = np.array(HOPPER_EYES)
    off = [float(np.abs(face.eyes - expected).max()) for face in found]
    near = EYE_ERROR * float(expected[1, 0] - expected[0, 0])
    if len(found) == 1 and off[0] < near:
        yield Finding(name, "find the face of a portrait")
        return
    told = f"find {len(found)} faces in a portrait of one, or its eyes elsewhere"
    mend = "pip install -c constraints.txt --force-reinstall --no-deps opencv-python-headless"
    yield Finding(name, told, False, mend)


def _weights() -> Iterator[Finding]:
    for name, where in weights.found().items():
        row = TABLE[name]
        about = f"{row.purpose}, {row.licence}"
        if isinstance(where, ModelError):
            yield Finding(name, f"{about}: {where}", ok=False)
        else:
            yield Finding(name, f"{about}, {where}")


def _model() -> Iterator[Finding]:
    from pipeline.use.model import SHIPPED, choose

    model, line = choose(SHIPPED)
    told = line or f"{model.folder}, {model.align.size} pixels"
    yield Finding("model", told)


def _extras() -> Iterator[Finding]:
    for name, (purpose, command) in EXTRAS.items():
        if _installed(name):
            version = importlib.metadata.version(name)
            yield Finding(name, f"{version}, for {purpose}", needed=False)
        else:
            yield Finding(name, f"for {purpose}", False, command, needed=False)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


# In the order they are told; named as they are called where they fail.
CHECKS: dict[str, Check] = {
    "versions": _versions,
    "OpenCV": _opencv,
    "device": _device,
    "disk": _disk,
    "MLflow store": _store,
    "DVC remote": _remote,
    "public weights": _weights,
    "CenterFace, face mesh": _photos,
    "animeface": _drawings,
    "model": _model,
    "data, weights": lambda: (Finding(*told) for told in verify.sampled()),
    "optional": _extras,
}
