"""The served page in a real browser, on a desk and on a phone: pictures in, faces out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.core import tables
from pipeline.use import faces
from pipeline.use.serve.app import MOST_BYTES
from tests.pipeline.compare.test_browser import BROWSER, NAMES
from tests.pipeline.use.pictures import picture, red_eyes, write, write_model
from tests.pipeline.use.serving import served
from tests.project import PATIENCE

__all__ = ["red_eyes"]
pytestmark = pytest.mark.skipif(
    not BROWSER, reason=f"none of these browsers is here: {', '.join(NAMES)}"
)
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WE = tables.encode_png(picture((150, 60, 50), (20, 70, 30)))
ME = tables.encode_png(picture((60, 70, 40)))
WIDE = """() => [...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => `${e.tagName} ${e.id} ${e.textContent.trim().slice(0, 40)}`)"""
SIDES = "() => [...document.images].map(image => image.complete && image.naturalWidth)"
# A picture as a user's hands bring it: the browser lets no test use the real clipboard or mouse.
BRING = """([kind, data]) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
  const held = new DataTransfer()
  held.items.add(new File([bytes], "me.png", { type: "image/png" }))
  const how = { bubbles: true, cancelable: true }
  const event = kind === "paste" ? new ClipboardEvent(kind, { ...how, clipboardData: held })
    : new DragEvent(kind, { ...how, dataTransfer: held })
  document.querySelector("#drop").dispatchEvent(event)
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, red_eyes: None) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    models = [write_model(tmp_path / name, seed) for seed, name in enumerate(("mine", "another"))]
    with served(*models) as found:
        yield found


def opened(browser: Browser, address: str, width: int, dark: bool) -> Page:
    scheme = "dark" if dark else "light"
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    page.goto(address)
    return page


def upload(page: Page, data: bytes, name: str = "me.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data})


def drawn(page: Page) -> str | None:
    return page.locator("img.drawn").first.get_attribute("src")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_an_upload_is_shown_before_after_and_back(
    browser: Browser, address: str, tmp_path: Path, width: int, dark: bool
) -> None:
    page, said, asked = opened(browser, "about:blank", width, dark), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert page.evaluate(WIDE) == []
    page.set_input_files(
        "#file", write(tmp_path / "we two.png", picture((150, 60, 50), (20, 70, 30)))
    )
    expect(page.locator("#faces article")).to_have_count(2)
    expect(page.locator("#status")).to_have_text("2 faces")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SIDES) == [512] * 6 and page.evaluate(WIDE) == []
    with page.expect_download() as saved:
        page.get_by_label("Download face 2: anime").click()
    assert saved.value.suggested_filename == "we two-2-drawn.png"
    assert tables.decode(Path(saved.value.path()).read_bytes()).shape == (512, 512, 3)
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper)[:3])) < 64) == dark
    assert said == []
    assert all(url.startswith((address, f"blob:{address}")) for url in asked)
    page.close()


def test_another_model_or_direction_draws_the_same_picture_again(
    browser: Browser, address: str
) -> None:
    page = opened(browser, address, 1400, False)
    upload(page, ME)
    expect(page.locator("#status")).to_have_text("1 face")
    seen = [drawn(page)]
    for control, value in (("#model", "another"), ("#to", "photo")):
        page.select_option(control, value)
        expect(page.locator("img.drawn")).not_to_have_attribute("src", str(seen[-1]))
        seen.append(drawn(page))
    assert page.locator("figcaption span").all_text_contents() == [
        "drawing",
        "photo",
        "drawing again",
    ]
    page.close()


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_that_is_pasted_or_dropped(browser: Browser, address: str, kind: str) -> None:
    page = opened(browser, address, 1400, False)
    page.evaluate(BRING, [kind, base64.b64encode(WE).decode()])
    expect(page.locator("#faces article")).to_have_count(2)
    page.close()


def test_the_camera_takes_a_picture(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[np.ndarray] = []
    monkeypatch.setattr(faces, "finder", lambda *_: lambda rgb: looked_at.append(rgb) or [])
    page = opened(browser, address, 390, False)
    page.click("#camera")
    expect(page.locator("#shoot")).to_be_visible()
    page.wait_for_function("() => document.querySelector('#video').videoWidth > 0")
    assert page.evaluate(WIDE) == []
    page.click("#take")
    expect(page.locator("#status")).to_contain_text("no photographed face found")
    expect(page.locator("#shoot")).to_be_hidden()
    (picture,) = looked_at
    assert picture.shape[1] >= 320 and np.ptp(picture) > 50  # not the black before the first frame
    page.close()


def test_what_cannot_be_done_is_told_and_the_next_picture_works(
    browser: Browser, address: str
) -> None:
    page, asked = opened(browser, address, 390, False), []
    page.on("request", lambda request: asked.append(request.url))
    status = page.locator("#status")
    upload(page, ME + bytes(MOST_BYTES))
    expect(status).to_have_text("the picture has more than 25 MB: save it smaller")
    assert asked == []  # it is not even sent
    upload(page, ME)
    expect(status).to_have_text("1 face")
    upload(page, b"no picture")
    expect(status).to_have_text("no image of a known format")
    expect(page.locator("#faces article")).to_have_count(0)
    upload(page, tables.encode_png(picture((60, 70, 9))))
    expect(status).to_have_text("a face with its eyes 9 pixels apart, 12 are needed")
    assert page.evaluate(WIDE) == []
    upload(page, ME)
    expect(status).to_have_text("1 face")
    page.close()


def test_a_server_that_ended_is_told(browser: Browser, tmp_path: Path, red_eyes: None) -> None:
    with served(write_model(tmp_path / "mine")) as address:
        page = opened(browser, address, 390, False)
    upload(page, ME)
    expect(page.locator("#status")).to_contain_text("the server does not answer")
    page.close()
