"""The page in a real browser, on a desk and on a phone, light and dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), "")
# Opens all that is closed, then writes into its frame, which is not loaded before, what it finds.
PROBE = """<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(part => part.open = true)
  const width = document.documentElement.clientWidth
  const name = e => `${e.tagName} ${e.getAttribute("class")}: ${e.textContent.trim().slice(0, 40)}`
  const off = (e, left, right) => {
    const box = e.getBoundingClientRect()
    return box.left < left - 1 || box.right > right + 1
  }
  const texts = [...document.querySelectorAll("svg text")].filter(text => text.textContent.trim())
  const pixels = e => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1)
  const clipped = text => {
    const box = text.ownerSVGElement.getBoundingClientRect()
    return off(text, box.left, box.right)
  }
  const told = parent.document.createElement("pre")
  told.textContent = JSON.stringify({
    width,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    paper: getComputedStyle(document.body).backgroundColor,
    images: document.images.length,
    unloaded: [...document.images].filter(image => !image.naturalWidth).map(image => image.alt),
    wide: [...document.querySelectorAll("body *")].filter(e => off(e, 0, width)).map(name),
    texts: texts.length,
    small: [...texts, ...document.querySelectorAll("td, th, p, small")]
      .filter(e => pixels(e) < 11).map(name),
    clipped: texts.filter(clipped).map(name),
  })
  parent.document.body.append(told)
})
</script>"""
FRAME = '<iframe src="page.html" style="border: 0; width: {}px; height: 900px"></iframe>'


@pytest.mark.skipif(not BROWSER, reason=f"none of these browsers is here: {', '.join(NAMES)}")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])  # the frame's: a window is 500 wide at least
def test_page_is_whole_and_fits(page: str, width: int, dark: bool, tmp_path: Path):
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{PROBE}</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,1000"]
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    options += [
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--dump-dom",
        (tmp_path / "frame.html").as_uri(),
    ]
    done = subprocess.run(
        [BROWSER, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    found = re.search(r"<pre>(.*)</pre>", done.stdout)
    assert found, done.stderr
    told = json.loads(html.unescape(found[1]))
    assert "CONSOLE" not in done.stderr, done.stderr
    assert (told["width"], told["dark"]) == (width, dark)
    assert told["images"] > 70 and told["unloaded"] == []
    assert told["wide"] == []
    assert told["texts"] > 50 and told["clipped"] == [] and told["small"] == []
    red, green, blue = map(int, re.findall(r"\d+", told["paper"]))
    assert (max(red, green, blue) < 64) == dark
