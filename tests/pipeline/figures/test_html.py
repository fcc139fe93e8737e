"""Markdown and pictures as parts of a page."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import StageError
from pipeline.figures import html, sheets

CARD = """---
license: other
---

# photos: 2 faces

Eyes & <b>more</b>. ![the mean face](mean.png) ![gone](gone.png)

## Splits

| split | images |
| --- | ---: |
| train | 1 |
| test | 2 |
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    sheets.contact_sheet(tmp_path / "mean.png", [np.zeros((8, 8, 3), np.uint8)])
    path = tmp_path / "README.md"
    path.write_text(CARD, encoding="utf-8")
    return path


def test_a_card_becomes_a_part_of_a_page(card: Path):
    title, text = html.document(card)
    assert title == "photos: 2 faces" and title not in text
    assert "license" not in text and "<b>" not in text  # neither front matter nor foreign HTML
    assert "<h4>Splits</h4>" in text
    assert re.findall(r'<th scope="row">(\w+)</th>', text) == ["train", "test"]
    assert text.count("<td") == text.count("</td>") == 2


def test_pictures_of_a_card_come_into_the_page(card: Path):
    (picture,) = re.findall("<img[^>]*>", html.document(card)[1])
    assert 'alt="the mean face"' in picture and 'src="data:image/webp;base64,' in picture


def test_what_is_see_through_stays_so_and_what_is_wide_gets_smaller():
    drawn = html.image(Image.new("RGBA", (2800, 2)), 'an "alt"')
    assert 'width="1400"' in drawn and 'alt="an &#34;alt&#34;"' in drawn


def test_a_broken_picture_ends_in_one_line(tmp_path: Path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(StageError, match=r"x\.png is no readable picture: run its stage again"):
        html.picture(tmp_path / "x.png", "")
    assert html.picture(tmp_path / "absent.png", "") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234, "1,234"), (1234.56, "1,235"), (0.12345, "0.123"), (True, "True"), ("a", "a")],
)
def test_numbers_are_for_people(value: object, text: str):
    assert html.number(value) == text
