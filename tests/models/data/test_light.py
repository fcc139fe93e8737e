"""One light for photos; blur that fades in what discriminators see; the colour of a thumbnail."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from models.checkpoint import untrained_translator
from models.data.augment import fade_in, to_float
from models.data.colours import LUMA
from models.data.domain import Domain
from models.data.light import DEVIATION, MEAN, match_light
from models.training.batches import Batches
from models.training.settings import TrainSettings
from models.variants import variant_from_dict

GREYS = torch.Generator().manual_seed(3)
PHOTO = 1.4 * torch.rand(1, 3, 16, 16, generator=GREYS) - 0.7


def luma(images: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nchw,c->nhw", images, torch.tensor(LUMA))


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0.0), (0.7, -0.2), (1.3, 0.15)])
def test_the_same_photo_in_other_light_becomes_the_same(gain, shift):
    matched = match_light(PHOTO)
    assert luma(matched).mean() == pytest.approx(MEAN, abs=0.02)
    assert luma(matched).std() == pytest.approx(DEVIATION, abs=0.05)
    y = luma(PHOTO)[:, None]
    relit = PHOTO + (gain - 1) * (y - y.mean()) + shift  # luma alone, as light does
    assert torch.allclose(match_light(relit), matched, atol=1e-4)


def test_chroma_stays_and_flat_pictures_stay_flat():
    matched = match_light(PHOTO * 0.2)
    before = PHOTO * 0.2 - luma(PHOTO * 0.2)[:, None]
    assert torch.allclose(matched - luma(matched)[:, None], before, atol=1e-4)
    assert match_light(torch.full((1, 3, 8, 8), 0.3)).std() < 1e-5


def test_training_and_use_see_the_same_photo_and_drawings_stay():
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=GREYS)
    domain = Domain(images, [str(i) for i in range(8)], pd.DataFrame(index=range(8)))
    row = {"channels": 4, "blocks": 1, "match_light": True, "flip": False}
    variant = variant_from_dict(row, name="light")
    settings = TrainSettings(image_size=16, batch_size=8)
    batches = Batches(variant, settings, domain, domain, torch.device("cpu"))
    real, _ = batches.at(orders := batches.orders(), 0)
    rows = {d: orders[d].rows(0, 8) for d in real}
    translator = untrained_translator(variant, 16, seed=0)
    seen = {d: to_float(translator.seen(images[rows[d]], d)) for d in real}
    for d in real:
        assert torch.allclose(real[d], seen[d], atol=1.01 / 127.5), d
    assert torch.equal(translator.seen(images, "anime"), images)
    # What is translated is what `seen` shows: a picture that has the one light already stays.
    plain = untrained_translator(variant_from_dict(row | {"match_light": False}, name="p"), 16, 0)
    matched = translator.seen(images, "photos")
    one = translator.translate(images, "photos2anime").float()
    other = plain.translate(matched, "photos2anime").float()
    assert (one - other).abs().mean() < 2


def test_blur_fades_and_keeps_the_mean():
    images = torch.rand(2, 3, 32, 32, generator=GREYS) * 2 - 1
    steps = [fade_in(images, progress, 0.4) for progress in (0.0, 0.2, 0.39, 0.4, 1.0)]
    sharpness = [float((x[..., 1:] - x[..., :-1]).abs().mean()) for x in steps]
    assert sharpness == sorted(sharpness) and sharpness[0] < sharpness[2]
    assert torch.equal(steps[-1], images) and torch.equal(steps[-2], images)
    assert torch.equal(fade_in(images, 0.0, 0.0), images)
    flat = torch.full((1, 3, 32, 32), 0.25)
    assert torch.allclose(fade_in(flat, 0.0, 0.4), flat, atol=1e-5)
