"""Labels reach the decoder and the discriminators, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch

from models.checkpoint import load_translator, save_translator
from models.data.conditioning import hide, label_indices, one_hot, width
from models.errors import ModelError
from models.losses.objective import discriminator_terms, generator_terms
from models.losses.step import Step
from models.networks.discriminators import PatchDiscriminator
from models.networks.training_networks import TrainingNetworks
from models.training.engine import train
from tests.models.helpers import assert_same_pictures, domain, settings, variant

LABELS = {"hair": ["black", "blonde"], "smile": ["no", "yes"]}
FRAME = pd.DataFrame({"hair": ["blonde", "pink", "black"], "smile": ["unknown", "yes", "no"]})


def test_vectors_hold_a_block_an_attribute_with_unknown_last():
    vectors = one_hot(label_indices(FRAME, LABELS), LABELS)
    assert vectors.shape == (3, width(LABELS)) == (3, 6)
    assert vectors.tolist() == [[0, 1, 0, 0, 0, 1], [0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 0, 0]]
    absent = one_hot(label_indices(FRAME[["smile"]], LABELS), LABELS)
    assert (absent[:, 2] == 1).all()  # a column that is not there is unknown
    assert width({}) == 0 and label_indices(FRAME, {}).shape == (3, 0)


def test_hiding_makes_about_its_share_unknown_and_changes_no_other():
    torch.manual_seed(0)
    indices = label_indices(pd.DataFrame({"hair": ["black"] * 500, "smile": ["yes"] * 500}), LABELS)
    hidden = hide(indices, LABELS, 0.2)
    changed = hidden != indices
    assert (hidden[changed] == 2).all()
    assert 0.15 < changed.float().mean() < 0.25


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
@pytest.mark.parametrize("embedding", [0, 16])
def test_translations_are_drawn_by_their_sources_labels(architecture, embedding):
    spec = variant(architecture, labels=LABELS, embedding=embedding)
    networks = TrainingNetworks(spec, 32)
    images, labels = torch.rand(2, 3, 32, 32), torch.eye(6)[:2]
    one = networks.translator.translate(images, "photos2anime", labels)
    other = networks.translator.translate(images, "photos2anime", labels.flip(0))
    assert not torch.allclose(one, other)
    real = dict.fromkeys(("photos", "anime"), images)
    known = {"photos": labels, "anime": labels.flip(0)}
    step = Step(networks, real, spec, 0.5, labels=known)
    torch.testing.assert_close(step.fake("anime"), one)
    assert step.labels_of_fake("anime") == [labels]


def test_discriminator_scores_how_image_and_labels_go_together():
    torch.manual_seed(0)
    judge = PatchDiscriminator(4, 2, label_width=6)
    images, labels = torch.rand(2, 3, 32, 32), torch.eye(6)[:2]
    plain, fit = judge(images, labels), judge(images, labels.flip(0))
    assert plain.shape == fit.shape == (2, 1, 6, 6)
    assert not torch.allclose(plain, fit)
    weights = judge.project.weight.detach().clone()
    judge.project.weight.data.zero_()
    assert torch.equal(judge(images, labels), judge(images, labels.flip(0)))
    features = judge.body(images)
    expected = torch.nn.functional.avg_pool2d(
        torch.einsum("nl,cl,nchw->nhw", labels, weights, features)[:, None], 4, 1, 1
    )
    torch.testing.assert_close(plain - judge(images, labels), expected)


def test_both_players_learn_from_labels():
    spec = variant("cyclegan", labels=LABELS)
    networks = TrainingNetworks(spec, 32)
    real = {d: torch.rand(2, 3, 32, 32) for d in ("photos", "anime")}
    step = Step(networks, real, spec, 0.5, labels=dict.fromkeys(real, torch.eye(6)[:2]))
    sum(generator_terms(step).values()).backward()
    assert networks.translator.label_shift.weight.grad.abs().sum() > 0
    networks.zero_grad()
    fakes = {d: (step.fake(d).detach(), *step.labels_of_fake(d)) for d in real}
    sum(discriminator_terms(step, fakes).values()).backward()
    assert all(d.project.weight.grad.abs().sum() > 0 for d in networks.discriminators.values())


def labelled(name: str, count: int = 16):
    plain = domain(name, count)
    hair = ["black", "blonde"] * (count // 2)
    smile = ["unknown"] * (count - 1) + ["yes"]
    return replace(plain, labels=pd.DataFrame({"hair": hair, "smile": smile}))


def test_an_attribute_that_no_image_tells_is_refused():
    spec, photos = variant("cyclegan", labels=LABELS), labelled("photos")
    photos.labels["smile"] = "unknown"
    with pytest.raises(ModelError, match="labels` names smile, of which no training image tells"):
        train(spec, settings(), photos, photos, (photos, photos))


def test_a_labelled_variant_trains_resumes_and_round_trips(tmp_path):
    spec, photos, anime = variant("cyclegan", labels=LABELS), labelled("photos"), labelled("anime")
    held_out = labelled("a", 2), labelled("b", 2)
    whole = train(spec, settings(budget_images=32), photos, anime, held_out)
    train(spec, settings(budget_images=16, decay_from=1), photos, anime, held_out, tmp_path)
    save_translator(tmp_path / "out", whole.translator, whole.key, 32)
    loaded = load_translator(tmp_path / "out", "cpu")
    assert loaded.variant.labels == {"hair": ("black", "blonde"), "smile": ("no", "yes")}
    drawn = loaded.translate(photos.images, "photos2anime", photos.labels)
    assert_same_pictures(
        drawn, whole.translator.translate(photos.images, "photos2anime", photos.labels)
    )
    without = loaded.translate(photos.images, "photos2anime")
    assert not torch.equal(drawn, without)  # labels count, and are not needed
