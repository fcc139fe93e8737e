"""The registered model as MLflow runs it: pictures in, drawn faces out.

`pipeline.core.registry` logs this file as the model's code ("models from code"), with the packages
that it imports beside it. What is heavy is imported with the first picture.
"""

# No `from __future__ import annotations` here: MLflow reads the types of `predict`.
import base64
import binascii
import os
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

SIZES = (16, 4096)  # pixels of a face's side, as of `face2anime translate`
SERVED = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"  # set by MLflow where others send the pictures
DATA = "data:"  # begins a data URL


class Face2Anime(PythonModel):
    """Finds all faces of pictures, aligns and translates them, as ``face2anime translate`` does."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the model's folder. Raises ModelError where it is broken."""
        from pipeline.use.drawing import Drawer
        from pipeline.use.model import choose

        files = {name: Path(path) for name, path in context.artifacts.items()}
        model, _ = choose(str(files["model"]))
        both = [files[name] for name in ("center_face", "face_mesh") if name in files]
        self.drawer = Drawer(model, (both[0], both[1]) if len(both) == 2 else None)

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[Any],
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """The faces of N pictures.

        Args:
            model_input: each is a file's path, its bytes, or uint8 RGB [H, W, 3]. A model that is
                served takes text alone: the file in base64, or a data URL of it.
            params: ``to``, "anime" (as it is) or "photo"; ``size``, pixels of a drawn face's side.

        Returns:
            For each picture ``faces``, from left to right, and ``problem``, why there are none. A
            face has ``png``, the bytes of a file (in JSON base64), and ``eyes``, [[x, y], [x, y]]
            in pixels of the picture.

        Raises MlflowException for other params, and ModelError where public weights are missing.
        """
        wanted = {"to": "anime", "size": 512, **(params or {})}
        to, size = wanted["to"], wanted["size"]
        if to not in ("anime", "photo") or not SIZES[0] <= size <= SIZES[1]:
            raise MlflowException.invalid_parameter_value(
                f"to is anime or photo, and size {SIZES[0]} to {SIZES[1]}: not {to} and {size}"
            )
        return [self._faces(picture, to, int(size)) for picture in model_input]

    def _faces(self, picture: Any, to: str, size: int) -> dict[str, Any]:
        from pipeline.core import tables
        from pipeline.core.errors import StageError
        from pipeline.use.faces import LEAST

        try:
            drawn = self.drawer.draw(_pixels(picture), to, size)
        except StageError as error:
            return {"faces": [], "problem": str(error)}
        found = [
            {"png": tables.encode_png(image), "eyes": face.told_eyes}
            for face, image in zip(drawn.cut.faces, drawn.pictures, strict=True)
        ]
        why = f"its faces are small: {LEAST:g} pixels between the eyes are needed"
        problem = "" if found else why if drawn.cut.small else "no face found"
        return {"faces": found, "problem": problem}


def _pixels(picture: Any) -> np.ndarray:
    """uint8 RGB [H, W, 3] of what was given. Raises StageError, which says why it is none."""
    from pipeline.core.errors import StageError
    from pipeline.imaging import images

    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            kind = f"{picture.dtype} {list(picture.shape)}"
            raise StageError(f"an array must be uint8 RGB [H, W, 3], not {kind}")
        return picture
    data = picture if isinstance(picture, bytes) else _read(picture)
    return images.read_rgb(data)


def _read(picture: Any) -> bytes:
    """The bytes of a file that is named or sent as text."""
    from pipeline.core.errors import StageError

    served = os.environ.get(SERVED) == "true"  # whoever asks a server must not name its files
    if isinstance(picture, str) and (served or picture.startswith(DATA)):
        text = picture.partition(",")[2] if picture.startswith(DATA) else picture
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise StageError("it is no base64 of a picture's file") from None
    if served or not isinstance(picture, str | os.PathLike):
        raise StageError(f"a picture is a path, bytes or an array, not {type(picture).__name__}")
    try:
        return Path(picture).read_bytes()
    except (OSError, ValueError) as error:
        raise StageError(f"{picture} cannot be read: {getattr(error, 'strerror', error)}") from None


set_model(Face2Anime())
