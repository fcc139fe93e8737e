"""Pool, average of weights, meter, order, schedule and state files."""

from __future__ import annotations

import pytest
import torch

from models.data.augment import diff_augment
from models.errors import ModelError
from models.knobs import DIFF_AUGMENTS
from models.losses.pool import ImagePool
from models.runtime.meter import Meter
from models.runtime.sampling import Order, reseed
from models.training.keys import run_key
from models.training.optimizers import EMA
from models.training.settings import due, learning_rate
from models.training.state import clear_state, load_state, save_state, state_path
from tests.models.helpers import settings


def numbered(first: int, count: int) -> torch.Tensor:
    """Images whose every pixel is their number."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_pool_returns_what_it_is_fed_until_full():
    pool = ImagePool(5)
    for first in (0, 2):
        assert torch.equal(pool.query(numbered(first, 2))[0], numbered(first, 2))
    assert pool.filled == 4


def test_pool_swaps_half_and_loses_nothing():
    """Whatever comes out or stays in is what went in, each image once."""
    reseed(0, 0, 0)
    pool, out = ImagePool(6), []
    for first in range(0, 400, 4):
        (answer,) = pool.query(numbered(first, 4))
        assert answer.shape == (4, 3, 2, 2)
        out += answer[:, 0, 0, 0].tolist()
    kept = pool.stored[0][:, 0, 0, 0].tolist()
    first_out = out[:6]  # stored while filling, and returned as well
    assert sorted(out + kept) == sorted([*range(400), *first_out])
    old = sum(number < 4 * (i // 4) for i, number in enumerate(out))
    assert 150 < old < 240  # about half of 394


def test_pool_keeps_labels_with_their_images():
    torch.manual_seed(0)
    pool = ImagePool(6)
    for first in range(0, 40, 4):
        images = numbered(first, 4)
        seen, labels = pool.query(images, images[:, 0, 0, :1])
        assert torch.equal(seen[:, 0, 0, :1], labels)


def test_pool_smaller_than_a_batch_swaps_at_most_its_size():
    reseed(0, 0, 0)
    pool = ImagePool(2)
    pool.query(numbered(0, 2))
    answer = pool.query(numbered(10, 5))[0][:, 0, 0, 0]
    assert torch.equal(answer[2:], torch.tensor([12.0, 13.0, 14.0]))


def test_pool_of_size_zero_is_off():
    images = numbered(0, 3)
    assert ImagePool(0).query(images)[0] is images


def test_ema_follows_its_half_life_after_the_ramp():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    ema = EMA(network, half_life=100, ramp=0.05)
    torch.nn.init.ones_(network.weight)
    ema.update(network, images_seen=10_000, batch=100)  # one half-life
    assert ema.network.weight.item() == pytest.approx(0.5)
    ema.update(network, images_seen=10_000, batch=100)
    assert ema.network.weight.item() == pytest.approx(0.75)
    assert not ema.network.weight.requires_grad


def test_ema_forgets_fast_at_the_start():
    ema = EMA(torch.nn.Linear(1, 1), half_life=1e6)
    assert ema.beta(images_seen=200, batch=10) == pytest.approx(0.5)  # half-life 5 % of 200
    assert ema.beta(images_seen=10, batch=10) < 1e-5


def test_meter_averages_between_resets():
    meter = Meter()
    meter.add({"cycle": torch.tensor(1.0)})
    meter.add({"cycle": torch.tensor(2.0)})
    assert meter.means(0) == {"cycle": 1.5}
    meter.reset()
    assert meter.means(0) == {}


def test_meter_names_the_loss_that_is_not_finite():
    meter = Meter()
    for value in (1.0, float("nan"), 1.0):
        meter.add({"cycle": torch.tensor(1.0), "identity": torch.tensor(value)})
    with pytest.raises(ModelError, match="loss 'identity' became nan by image 12"):
        meter.means(12)


def test_order_visits_every_row_once_a_pass_from_any_start():
    whole = Order(7, seed=3, stream=0).rows(0, 21)
    for epoch in range(3):
        assert sorted(whole[7 * epoch : 7 * epoch + 7].tolist()) == list(range(7))
    assert torch.equal(Order(7, seed=3, stream=0).rows(9, 12), whole[9:])
    assert not torch.equal(whole[:7], whole[7:14])
    assert not torch.equal(Order(7, seed=3, stream=1).rows(0, 21), whole)


def test_reseeding_differs_by_seed_rank_and_position():
    def draw(*key: int) -> float:
        reseed(*key)
        return torch.rand(()).item()

    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 8)]
    assert len({draw(*key) for key in keys}) == 4
    assert draw(*keys[0]) == draw(*keys[0])


def test_learning_rate_is_flat_then_falls_to_zero():
    plan = settings(budget_images=100, lr=2e-4, decay_from=0.6)
    rates = [learning_rate(plan, seen) for seen in (0, 60, 80, 100)]
    assert rates == pytest.approx([2e-4, 2e-4, 1e-4, 0])
    assert learning_rate(settings(budget_images=100, decay_from=1.0), 99) == pytest.approx(2e-4)


def test_due_fires_once_a_multiple_and_at_the_end():
    fired = [seen for seen in range(4, 25, 4) if due(10, seen, batch=4, budget=24)]
    assert fired == [12, 20, 24]
    assert [seen for seen in range(4, 25, 4) if due(0, seen, batch=4, budget=24)] == [24]


def test_state_of_another_key_is_not_read(tmp_path):
    ours, theirs = run_key({"a": 1}, {}, ["x"]), run_key({"a": 1}, {}, ["y"])
    save_state(tmp_path, theirs, {"images_seen": 8})
    assert load_state(tmp_path, ours) is None
    assert load_state(tmp_path, theirs)["images_seen"] == 8
    state_path(tmp_path, theirs).rename(state_path(tmp_path, ours))
    with pytest.raises(ModelError, match="state of another run"):
        load_state(tmp_path, ours)


def test_unreadable_state_says_what_to_delete(tmp_path):
    state_path(tmp_path, "k").write_bytes(b"half a file")
    with pytest.raises(ModelError, match="delete it to start over"):
        load_state(tmp_path, "k")
    clear_state(tmp_path, "k")
    assert list(tmp_path.iterdir()) == []


def test_a_cleared_state_leaves_nothing_of_killed_writers_and_other_runs_alone(tmp_path):
    for key in ("k", "other"):
        save_state(tmp_path, key, {"images_seen": 8})
        (tmp_path / f".{key}.pt.123-ab.tmp").write_bytes(b"torn")
    clear_state(tmp_path, "k")
    assert {path.name for path in tmp_path.iterdir()} == {"other.pt", ".other.pt.123-ab.tmp"}


@pytest.mark.parametrize("kind", DIFF_AUGMENTS)
def test_differentiable_augmentation_changes_images_and_lets_gradients_through(kind):
    torch.manual_seed(0)
    images = torch.rand(16, 3, 32, 32, requires_grad=True)
    changed = diff_augment(images, [kind])
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert not torch.allclose(changed, images)
    changed.sum().backward()
    assert images.grad.isfinite().all() and (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_translation_moves_whole_pixels_by_an_eighth_at_most():
    images = torch.zeros(64, 1, 32, 32)
    images[:, :, 16, 16] = 1
    places = diff_augment(images, ["translation"]).nonzero()[:, 2:]
    assert len(places) == 64 and (places - 16).abs().max() == 4
    assert len(places.unique(dim=0)) > 20  # each image its own way


def test_cutout_zeroes_a_quarter_at_most_and_no_augmentation_is_the_identity():
    images = torch.ones(64, 3, 32, 32)
    gone = (diff_augment(images, ["cutout"])[:, 0] == 0).flatten(1).sum(1)
    assert gone.max() <= 16 * 16 and gone.min() >= 8 * 8
    assert diff_augment(images, ()) is images
