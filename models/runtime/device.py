"""Where and how precisely to compute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.errors import ModelError
from models.knobs import PRECISIONS, refuse_unknown

AUTO_PRECISION = "FACE2ANIME_AUTO_PRECISION"  # bf16 or fp32: what "auto" means on every CPU


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" → the first CUDA device, else the CPU; any other name as torch knows it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} is not available here: use auto or cpu") from error


def fast_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()  # every CPU with AMX has it too


def pick_precision(name: str, device: torch.device) -> str:
    """ "bf16" or "fp32"; "auto" is bf16 where it is fast.

    On a CPU the environment variable FACE2ANIME_AUTO_PRECISION, "bf16" or "fp32", says what "auto"
    means whatever the CPU can do: so one CPU can show how the others train.

    Raises ModelError for another name, also in that variable.
    """
    refuse_unknown("precision", [name], PRECISIONS)
    if name != "auto":
        return name
    forced = os.environ.get(AUTO_PRECISION, "")
    if forced not in ("", "bf16", "fp32"):
        raise ModelError(f"{AUTO_PRECISION} is {forced!r}: set it to bf16 or fp32, or unset it")
    if forced and device.type == "cpu":
        return forced
    return "bf16" if fast_bf16(device) else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which the networks run in bfloat16, or a context that does nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Where `wanted`, the same bits every time also on a GPU, which is slower.

    Raises ModelError for an operator that has no such form there. On a CPU with as many threads
    training is deterministic anyway.
    """
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:  # read when cuBLAS first starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    except RuntimeError as error:
        if "deterministic implementation" not in str(error):
            raise
        operator = str(error).split()[0]
        raise ModelError(
            f"{operator} has no deterministic form on a GPU: choose another `upsampling`, "
            "or set `deterministic` to false"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)
