"""A variant is data: what is accepted, and how a mistake is named."""

from __future__ import annotations

import pytest

from models.errors import ModelError
from models.networks.training_networks import TrainingNetworks
from models.variants import BUILT_IN, LOSSES, variant_from_dict


@pytest.mark.parametrize("variant", BUILT_IN.values(), ids=BUILT_IN)
def test_round_trip_through_plain_data(variant):
    assert variant_from_dict(variant.to_dict()) == variant


def test_absent_keys_keep_the_published_defaults():
    variant = variant_from_dict({"channels": 16}, name="small")
    assert (variant.name, variant.channels, variant.blocks) == ("small", 16, 6)
    assert variant.losses == {"adversarial": 1, "cycle": 10, "identity": 5}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"chanels": 16}, "unknown variant key 'chanels': did you mean 'channels'?"),
        ({"losses": {"cyle": 10}}, "unknown loss 'cyle': did you mean 'cycle'?"),
        ({"architecture": "xgann"}, "did you mean 'xgan'?"),
        ({"upsampling": "nearst"}, "did you mean 'nearest'?"),
        ({"channels": 0}, "`channels` must be a whole number from 1 to 512, got 0"),
        ({"channels": True}, "`channels` must be a whole number"),
        ({"blocks": 2.5}, "`blocks` must be a whole number"),
        ({"losses": {"cycle": -1}}, "`losses.cycle` must be a number from 0"),
        ({"losses": {"cycle": float("nan")}}, "`losses.cycle` must be a number"),
        ({"losses": {"cycle": "ten"}}, "`losses.cycle` must be a number"),
        ({"losses": ["cycle"]}, "`losses` must map names to weights"),
        ({"losses": {"cycle": 0}}, "every loss has weight 0"),
        ({"flip": "yes"}, "`flip` must be true or false"),
        ({"adversarial_form": "wassertein"}, "did you mean 'wasserstein'"),
        ({"adversarial_form": "wasserstein"}, "set `penalty: gradient_penalty`"),
        ({"penalty": "r2"}, "unknown penalty 'r2': did you mean 'r1'"),
        ({"diff_augment": ["color"]}, "did you mean 'colour'"),
        ({"diff_augment": "colour"}, "`diff_augment` must be a list"),
        ({"final_losses": {"teacher": 1}}, "fades teacher, which `losses` does not weigh"),
        ({"labels": {"hair": ["black"]}}, "lists of two or more words"),
        ({"labels": {"hair": "black"}}, "lists of two or more words"),
        ({"labels": {"hair": [["black"], ["blonde"]]}}, "lists of two or more words"),
        ({"losses": {"cycle": 10**400}}, "losses.cycle"),
        ({"discriminator_steps": 0}, "must be a whole number from 1"),
    ],
)
def test_mistakes_are_named(data, message):
    with pytest.raises(ModelError) as error:
        variant_from_dict(data, name="v")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_is_needed():
    with pytest.raises(ModelError, match="needs a name"):
        variant_from_dict({})


def test_judges_exist_only_for_losses_that_ask_them():
    silent = variant_from_dict({"channels": 4, "losses": {"cycle": 1}}, name="v")
    networks = TrainingNetworks(silent, 32)
    assert not networks.discriminators
    assert networks.domain_classifier is None and networks.student is None
    data = {"channels": 4, "attention": "cam", "losses": dict.fromkeys(LOSSES, 1)}
    every = variant_from_dict(data, name="v")
    networks = TrainingNetworks(every, 32, teacher_features=8)
    assert set(networks.discriminators) == {"photos", "anime"}
    assert networks.domain_classifier is not None and networks.student.out_features == 8
