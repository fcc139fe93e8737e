"""What a training is measured by on its way."""

from __future__ import annotations

import pandas as pd
import torch

from models.checkpoint import untrained_translator
from models.metrics.held_out import HeldOut, l1
from models.metrics.sizes import MIN_IMAGES
from models.training.engine import train
from tests.models.helpers import domain, grid_space, settings, variant

PAIR = domain("photos"), domain("anime")
HELD_OUT = domain("unseen photos", MIN_IMAGES), domain("unseen anime", MIN_IMAGES)


def test_on_a_schedule_counted_in_images_also_across_a_resume(tmp_path):
    told: list[tuple[int, dict[str, float]]] = []

    class Heard:
        def on_log(self, images, metrics): ...

        def on_samples(self, images, sheet): ...

        def on_held_out(self, images, metrics):
            told.append((images, metrics))
            if images == 16:
                raise KeyboardInterrupt

    plan = settings(budget_images=24, evaluate_every=8, state_every=8)
    arguments = (variant("cyclegan"), plan, *PAIR, HELD_OUT)
    whole = train(*arguments, features=grid_space()).held_out
    assert whole["images"].tolist() == [0, 8, 16, 24]
    try:
        train(*arguments, tmp_path, Heard(), features=grid_space())
    except KeyboardInterrupt:
        resumed = train(*arguments, tmp_path, features=grid_space())
    pd.testing.assert_frame_equal(resumed.held_out, whole)
    assert resumed.resumed_from == 8
    assert [{"images": images, **metrics} for images, metrics in told] == whole.to_dict("records")[
        :3
    ]


def test_measuring_changes_neither_weights_nor_key():
    plain = train(variant("xgan"), settings(budget_images=16), *PAIR, HELD_OUT)
    plan = settings(budget_images=16, evaluate_every=4)
    measured = train(variant("xgan"), plan, *PAIR, HELD_OUT, features=grid_space())
    assert measured.key == plain.key
    weights = measured.translator.network.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in plain.translator.network.state_dict().items())
    assert set(plain.held_out) == {"images", "cycle_l1_photos", "cycle_l1_anime"}


def test_last_row_is_of_the_weights_that_are_kept():
    result = train(variant("cyclegan"), settings(), *PAIR, HELD_OUT, features=grid_space())
    again = HeldOut(HELD_OUT, grid_space()).measure(result.translator)
    assert result.held_out.iloc[-1].drop("images").to_dict() == again


def test_too_few_images_for_kid_leave_the_cycle_error():
    few = tuple(d.take(range(MIN_IMAGES - 1)) for d in HELD_OUT)
    result = train(
        variant("cyclegan"), settings(budget_images=4), *PAIR, few, features=grid_space()
    )
    assert set(result.held_out) == {"images", "cycle_l1_photos", "cycle_l1_anime"}


def test_the_curve_begins_with_the_network_before_training():
    plan = settings(budget_images=8, evaluate_every=8)
    result = train(variant("cyclegan"), plan, *PAIR, HELD_OUT, features=grid_space())
    untrained = untrained_translator(variant("cyclegan"), plan.image_size, plan.seed)
    expected = HeldOut(HELD_OUT, grid_space()).measure(untrained)
    assert result.held_out.iloc[0].to_dict() == {"images": 0, **expected}


def test_cycle_error_is_of_the_way_there_and_back():
    class Darker:
        def seen(self, images, domain):
            return images

        def translate(self, images, direction, labels):
            return images - images.clamp(max=5) if direction == "photos2anime" else images

    values = HeldOut(HELD_OUT).measure(Darker())
    photos, anime = (d.images for d in HELD_OUT)
    assert values["cycle_l1_photos"] == l1(photos, photos - photos.clamp(max=5)) > 0
    assert values["cycle_l1_anime"] == l1(anime, anime - anime.clamp(max=5))
