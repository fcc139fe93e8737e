"""A knob is written once: its bounds hold in Python, on the command line and in params.yaml."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass, fields, replace

import pytest
from pydantic import ValidationError

from models.errors import ModelError
from models.knobs import add_options, check_knobs, given, knob
from models.recognizer.settings import RecognizerSettings
from models.training.settings import TrainSettings
from pipeline.core import params
from pipeline.core.sections import section_of


@dataclass(frozen=True)
class Oven:
    degrees: int = knob(200, "of the middle rack", above=0, most=250)
    minutes: float = knob(20.0, least=0)
    fan: bool = knob(False)
    heat: str = knob("both", choices=("above", "below", "both"))
    note: str = "no knob"


WRONG = [
    ({"degrees": 0}, "`degrees` must be a whole number above 0 to 250, got 0"),
    ({"degrees": 251}, "`degrees` must be a whole number"),
    ({"degrees": 1.5}, "`degrees` must be a whole number"),
    ({"degrees": True}, "`degrees` must be a whole number"),
    ({"minutes": -1}, "`minutes` must be a number from 0, got -1"),
    ({"minutes": float("nan")}, "`minutes` must be a number"),
    ({"minutes": float("inf")}, "`minutes` must be a number"),
    ({"fan": "yes please"}, "`fan` must be true or false"),
    ({"heat": "bellow"}, "unknown heat 'bellow': did you mean 'below'?"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_value_is_named_everywhere(changes, message):
    with pytest.raises(ModelError) as error:
        check_knobs(replace(Oven(), **changes), "oven: ")
    assert str(error.value).startswith("oven: " + message)
    if "inf" in str(changes.values()) or True in changes.values():
        return  # YAML's .inf and true for a number: pydantic's rules
    with pytest.raises(ValidationError):
        section_of(Oven, optional=[f.name for f in fields(Oven)])(**changes)


def test_a_section_has_the_defaults_of_what_may_be_absent():
    section = section_of(Oven, leave_out=["note"], optional=["fan", "heat"])
    assert section(degrees=100, minutes=3).model_dump() == {
        "degrees": 100, "minutes": 3.0, "fan": False, "heat": "both",
    }  # fmt: skip
    with pytest.raises(ValidationError, match="minutes"):
        section(degrees=100)


def test_options_are_read_back_as_far_as_they_were_given():
    parser = argparse.ArgumentParser()
    add_options(parser, Oven, ["degrees", "fan", "heat"])
    assert given(parser.parse_args([]), Oven) == {}
    line = ["--degrees", "150", "--fan", "--heat", "below"]
    assert given(parser.parse_args(line), Oven) == {"degrees": 150, "fan": True, "heat": "below"}
    with pytest.raises(SystemExit):
        parser.parse_args(["--heat", "sideways"])


@pytest.mark.parametrize("settings", [TrainSettings, RecognizerSettings])
def test_defaults_keep_their_own_bounds_and_are_explained(settings):
    check_knobs(settings())
    assert all(field.metadata["help"] for field in fields(settings))


def test_the_sections_are_the_settings_less_where_it_runs():
    train = {field.name for field in fields(TrainSettings)} - {"device", "threads", "sample_count"}
    assert set(params.Train.model_fields) == train
    recognizer = {field.name for field in fields(RecognizerSettings)} - {"device", "precision"}
    assert set(params.Recognizer.model_fields) == recognizer | {"image_size", "heads", "seed"}


def test_params_are_read_without_torch():
    """Every stage and every worker process reads them."""
    script = "import sys, pipeline.core.params; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
