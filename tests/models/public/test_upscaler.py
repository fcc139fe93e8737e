"""The upscalers draw what ncnn draws with the same files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.public import upscaler
from models.public.door import weights_file
from models.public.upscaler import NETWORKS, Upscaler

# What ncnn 1.0.20261020 draws of `waves(10, 12)` in float32, before it is clamped: the mean of each
# channel, the standard deviation of all, and the pixels [5, 7], [-1, -1] and [11, 0] as (r, g, b).
ANSWERS = {
    "anime_upscaler_2x": [
        (0.515, 0.512, 0.485, 0.312),
        (0.738, 0.679, 0.729, 0.626, 0.239, 0.657, 0.240, 0.853, 0.732),
    ],
    "anime_upscaler_4x": [
        (0.515, 0.512, 0.485, 0.304),
        (0.670, 0.505, 0.335, 0.644, 0.231, 0.641, 0.537, 0.331, 0.265),
    ],
    "anime_upscaler_4x_large": [
        (0.559, 0.471, 0.479, 0.325),
        (0.885, 0.569, 0.515, 0.539, 0.386, 0.605, 1.189, 0.515, 0.545),
    ],
    "photo_upscaler_4x": [
        (0.503, 0.493, 0.521, 0.323),
        (0.424, 0.071, 0.281, 0.485, 0.612, 0.720, 0.754, 0.330, 0.401),
    ],
}
PIXELS = ((5, 7), (-1, -1), (11, 0))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> tuple[str, Upscaler]:
    """Each network on the CPU, in float32."""
    try:
        return request.param, upscaler.load(request.param, device="cpu")
    except ModelError as error:
        pytest.skip(str(error))


def waves(height: int, width: int) -> np.ndarray:
    """A picture of a formula, float32 [3, H, W] in 0.1 to 0.9."""
    channel, y, x = np.mgrid[1:4, :height, :width]
    return (0.5 + 0.4 * np.sin(0.9 * y * channel + 1.3 * x)).astype(np.float32)


def drawn(network: Upscaler, picture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network.drawn(torch.from_numpy(picture)[None])[0].numpy()


def ncnn_draws(name: str, picture: np.ndarray) -> np.ndarray:
    """The same by ncnn itself, in float32 on the CPU."""
    ncnn = pytest.importorskip("ncnn", reason="compares with the package ncnn where it is there")
    net, file = ncnn.Net(), weights_file(name, use="pictures")
    for option in dir(net.opt):
        if option.startswith(("use_vulkan", "use_fp16", "use_bf16", "use_int8")):
            setattr(net.opt, option, False)
    net.opt.num_threads = 1
    net.load_param(str(file.with_suffix(".param")))
    net.load_model(str(file))
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(picture).clone())
    return np.array(extractor.extract("output")[1])


@pytest.mark.parametrize("shape", [(24, 24), (17, 30)])
def test_draws_what_ncnn_draws(network: tuple[str, Upscaler], shape: tuple[int, int]) -> None:
    """In float32, to 1e-3 of the range; 1e-5 was seen."""
    name, ours = network
    picture = np.random.default_rng(0).random((3, *shape), np.float32)
    theirs = ncnn_draws(name, picture)
    assert theirs.shape == (3, ours.scale * shape[0], ours.scale * shape[1])
    np.testing.assert_allclose(drawn(ours, picture), theirs, atol=1e-3)


def test_draws_what_ncnn_drew(network: tuple[str, Upscaler]) -> None:
    """Without ncnn: the answers are rounded to 1e-3."""
    name, ours = network
    picture = drawn(ours, waves(10, 12))
    told = (*picture.mean(axis=(1, 2)), picture.std())
    pixels = np.concatenate([picture[:, y, x] for y, x in PIXELS])
    np.testing.assert_allclose(told, ANSWERS[name][0], atol=1e-3)
    np.testing.assert_allclose(pixels, ANSWERS[name][1], atol=1e-3)


def test_values_stay_within_0_and_1(network: tuple[str, Upscaler]) -> None:
    picture = torch.from_numpy(waves(10, 12))[None].round()
    with torch.inference_mode():
        free, kept = network[1].drawn(picture), network[1](picture)
    assert free.min() < 0 and free.max() > 1  # else nothing is clamped
    torch.testing.assert_close(kept, free.clamp(0, 1), atol=1e-4, rtol=0)


def test_a_batch_is_its_pictures_one_by_one(network: tuple[str, Upscaler]) -> None:
    pictures = torch.randint(0, 256, (3, 3, 9, 14), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = network[1](pictures / 255)
        alone = torch.cat([network[1](one[None] / 255) for one in pictures])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_uint8_pictures_a_few_at_a_time(
    network: tuple[str, Upscaler], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = torch.from_numpy(waves(9, 14) * 255).to(torch.uint8).repeat(3, 1, 1, 1)
    pictures[1] = pictures[1].flip(2)
    monkeypatch.setattr(upscaler, "AT_ONCE", 2 * 9 * 14)
    larger, scale = network[1].enlarged(pictures), network[1].scale
    assert larger.dtype == torch.uint8 and larger.shape == (3, 3, 9 * scale, 14 * scale)
    with torch.inference_mode():
        floats = network[1](pictures / 255) * 255
    assert (larger.float() - floats).abs().max() < 0.51  # rounded
    assert network[1].enlarged(pictures[:0]).shape == (0, 3, 9 * scale, 14 * scale)


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8).byte()])
def test_other_pictures_are_refused_in_one_line(
    network: tuple[str, Upscaler], wrong: torch.Tensor
) -> None:
    with pytest.raises(ModelError, match=r"takes uint8 \[N, 3, H, W\], not torch\."):
        network[1].enlarged(wrong)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 60, 90)])
def test_a_flat_colour_stays(network: tuple[str, Upscaler], colour: tuple[int, int, int]) -> None:
    """To a few levels of 255, away from the zeros that surround the picture."""
    flat = torch.tensor(colour)[None, :, None, None]
    larger = network[1].enlarged(flat.to(torch.uint8).expand(1, 3, 24, 24))
    edge = 4 * network[1].scale
    inner = larger[..., edge:-edge, edge:-edge].int() - flat
    assert inner.abs().max() <= 8 and inner.float().mean((2, 3)).abs().max() <= 4


def test_gradient_reaches_the_picture_and_no_weight(network: tuple[str, Upscaler]) -> None:
    picture = torch.from_numpy(waves(8, 8))[None].requires_grad_()
    network[1](picture).mean().backward()
    assert picture.grad is not None and (picture.grad.abs().sum((2, 3)) > 0).all()
    assert all(not p.requires_grad and p.grad is None for p in network[1].parameters())


def test_loading_draws_no_random_number(network: tuple[str, Upscaler]) -> None:
    state = torch.get_rng_state()
    upscaler.load(network[0], device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A copy of a network's files, which `load` then opens whatever it is asked for."""

    def copy(name: str) -> Path:
        try:
            file = weights_file(name, use="pictures")
        except ModelError as error:
            pytest.skip(str(error))
        for path in (file, file.with_suffix(".param")):
            shutil.copy(path, tmp_path / path.name)
        monkeypatch.setattr(upscaler, "weights_file", lambda name, use: tmp_path / file.name)
        return tmp_path / file.name

    return copy


def test_a_damaged_file_is_told_in_one_line(copied: Callable[[str], Path]) -> None:
    file = copied("anime_upscaler_4x")
    data = file.read_bytes()
    for wrong, told in ((data[:-4], "it ends within Conv_34"), (data + bytes(8), "8 bytes are")):
        file.write_bytes(wrong)
        with pytest.raises(ModelError, match=told) as error:
            upscaler.load("anime_upscaler_4x")
        assert str(file) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "other", "told"),
    [
        ("anime_upscaler_4x", "anime_upscaler_4x_large", "35 layers have weights, not 96"),
        ("anime_upscaler_4x_large", "anime_upscaler_4x", "96 layers have weights, not 35"),
    ],
)
def test_the_file_of_another_network_is_told(
    copied: Callable[[str], Path], name: str, other: str, told: str
) -> None:
    file = copied(name)
    with pytest.raises(ModelError) as error:
        upscaler.load(other)
    assert str(error.value) == f"{file} is not {other}: {told}"


def test_a_layer_of_another_shape_is_named(copied: Callable[[str], Path]) -> None:
    file = copied("anime_upscaler_4x")
    text = file.with_suffix(".param").read_text(encoding="ascii")
    # As large, but a kernel of 1×9.
    other = text.replace("0=64 1=3 4=1 5=1 6=1728", "0=64 1=9 11=1 4=1 5=1 6=1728")
    file.with_suffix(".param").write_text(other, encoding="ascii")
    with pytest.raises(
        ModelError, match=r"Conv_0 is Convolution \[\(64, 3, 1, 9\), \(64,\)\], not"
    ):
        upscaler.load("anime_upscaler_4x")


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ModelError, match="did you mean 'anime_upscaler_4x'"):
        upscaler.load("anime_upscaler_5x")
