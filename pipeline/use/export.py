"""``face2anime export``: one direction of a model as an ONNX file that any program can run.

The file takes aligned faces and has all that the model does with them, the light of photos
included. Its metadata say how to align. It appears only when onnxruntime gives what PyTorch gives.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

from models.checkpoint import Translator
from models.data.conditioning import label_indices, one_hot
from models.data.light import prepared
from models.domains import DIRECTIONS
from models.networks.translator import TranslationNetwork
from models.runtime.files import read_config, write_bytes
from pipeline.core.errors import StageError
from pipeline.core.origin import commit_in_words
from pipeline.imaging.align import template_places
from pipeline.use.model import DIRECTION, Model

if TYPE_CHECKING:
    import onnx

NEEDED = ("onnx", "onnxruntime", "onnxscript")  # of the extra `export`; torch asks for the last
INPUT, OUTPUT, BATCH = "images", "drawn", "batch"
TOLERANCE = 1e-3  # in [-1, 1]: an eighth of a level of 8 bits
TRIED = (1, 3)  # batches that are compared
LICENCE = (
    "The code that made this is MIT. The weights learned from pictures of others: use them as "
    "those pictures' terms allow (CelebA and selfie2anime: non-commercial research)."
)
LICENCE_DRAWN = "MIT, code and weights: they learned from drawings of face2anime's demo alone."


class _Graph(nn.Module):
    """One direction of a translator, from float images to float images."""

    network: TranslationNetwork
    unknown: Tensor

    def __init__(self, translator: Translator, network: TranslationNetwork, to: str) -> None:
        super().__init__()
        self.network = network
        self.variant, self.direction = translator.variant, DIRECTION[to]
        labels = self.variant.labels
        unknown = (
            one_hot(label_indices(pd.DataFrame(index=[0]), labels), labels)
            if labels
            else torch.empty(0)
        )
        self.register_buffer("unknown", unknown)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] → the same, drawn as of faces nothing is known of."""
        x = prepared(images, DIRECTIONS[self.direction][0], self.variant.match_light)
        labels = self.unknown.expand(images.shape[0], -1) if self.variant.labels else None
        return self.network.translate(x, self.direction, labels)


def export(model: Model, to: str, path: Path) -> str:
    """Write the direction ``to`` ("anime" or "photo") as ONNX; returns a line about the file.

    Raises:
        StageError: a library is missing, the model draws without a network, the file cannot be
            written, or onnxruntime gives something else than PyTorch.
        ModelError: the model's files are broken.
    """
    _check_installed()
    translator = model.load("cpu")
    network = translator.network
    if not isinstance(network, TranslationNetwork):
        raise StageError(f"{model.name} optimises every image anew: there is no network to export")
    network.to(memory_format=torch.contiguous_format)
    graph = _Graph(translator, network, to).eval()
    proto = _traced(graph, translator.image_size)
    for key, value in _metadata(model, to, translator.image_size).items():
        proto.metadata_props.add(key=key, value=value)
    data = proto.SerializeToString()
    error = _difference(data, graph, translator.image_size)
    if not error < TOLERANCE:
        raise StageError(
            f"onnxruntime draws {error:.1e} away from PyTorch, of 2: {path} is not written; try "
            f"other versions: {_install()}"
        )
    try:
        write_bytes(path, data)
    except OSError as problem:
        raise StageError(f"{path} cannot be written: {problem.strerror}") from None
    return f"{path}: {len(data):,} bytes, {error:.0e} away from PyTorch at most, in [-1, 1]"


def _check_installed() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise StageError(f"{' and '.join(missing)} missing: {_install()}")


def _install() -> str:
    return f"pip install {' '.join(NEEDED)}"


def _traced(graph: _Graph, size: int) -> onnx.ModelProto:
    """Torch's exporter tells its steps and its own future on stdout and stderr: not of use here."""
    example = torch.zeros(2, 3, size, size)  # a batch of 1 would be taken for a constant
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim(BATCH)},),
                custom_translation_table={
                    torch.ops.aten.scaled_dot_product_attention.default: _attention
                },
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        why = str(error).partition("\n")[0]
        raise StageError(f"torch cannot export it ({why}); try others: {_install()}") from None
    finally:
        quiet.setLevel(level)
    assert program is not None
    return program.model_proto


def _attention(query: Any, key: Any, value: Any, *_: Any, scale: float, **__: Any) -> Any:
    """Softmax(scale·Q·Kᵀ)·V of [N, positions, channels]: torch's exporter knows it of 4-D alone."""
    from onnxscript import opset18 as op

    likeness = op.MatMul(query, op.Transpose(key, perm=[0, 2, 1]))
    scaled = op.Mul(likeness, op.Constant(value_float=scale))
    return op.MatMul(op.Softmax(scaled, axis=-1), value)


def _metadata(model: Model, to: str, size: int) -> dict[str, str]:
    """What another program must know to align faces, and where the model comes from."""
    source, target = DIRECTIONS[DIRECTION[to]]
    told = read_config(model.folder)
    # (x, y) of the image-left and the image-right eye, in shares of the side.
    eyes = json.dumps(template_places(model.align).round(6).tolist())
    return {
        "direction": DIRECTION[to],
        "source": source,
        "target": target,
        "image_size": str(size),
        "crop": "middle square" if model.takes_whole(to) else "face",
        **({} if model.takes_whole(to) else {"eyes": eyes}),
        "range": "[-1, 1]",
        "layout": "NCHW, RGB",
        "model": model.name,
        "weights_sha256": model.digest,  # its first digits
        "key": str(told.get("key", "")),
        "commit": commit_in_words(),
        "licence": LICENCE_DRAWN if model.drawn else LICENCE,
    }


def _difference(data: bytes, graph: _Graph, size: int) -> float:
    """How far onnxruntime's output is from PyTorch's at most: noise, dark and bright images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst, random = 0.0, torch.Generator().manual_seed(0)
    for count in TRIED:
        noise = torch.rand(count, 3, size, size, generator=random) * 2 - 1
        for images in (noise, (noise * 0.3 - 0.6), (noise * 0.3 + 0.6)):
            with torch.inference_mode():
                expected = graph(images)
            (drawn,) = session.run([OUTPUT], {INPUT: images.numpy()})
            worst = max(worst, float((torch.from_numpy(drawn) - expected).abs().max()))
    return worst
