"""HTML pages that need no other file: templates by Jinja, pictures inside the page.

Whatever a template prints is escaped; what is HTML already says so by being `Markup`.
"""

from __future__ import annotations

import base64
import math
import re
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from PIL import Image

from pipeline.core.errors import StageError

PICTURE_WIDTH = 1400  # pixels; a wider picture is scaled down for the page


def render(template: Path, **values: Any) -> str:
    """The page that ``template`` makes of ``values``; it may extend ``base.html`` beside us.

    Templates can use `picture`, `image` and the filters `number` and ``arrow`` (of a direction's
    name).
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "arrow": lambda name: name.replace("2", " → ")}
    environment.globals |= {"picture": picture, "image": image}
    return environment.get_template(template.name).render(values)


def number(value: Any) -> str:
    """A number for people: whole and large ones with separators, others with three digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (math.isfinite(value) and abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def picture(path: Path, alt: str) -> Markup:
    """The picture inside the page, as a figure; nothing if it is absent."""
    shown = _read(path, alt)
    return Markup('<figure class="card">{}</figure>').format(shown) if shown else shown


def image(pixels: Image.Image, alt: str) -> Markup:
    """An image inside the page as WebP, a tenth of a PNG's size; ``alt`` says what is seen."""
    shown = pixels.convert("RGBA" if "A" in pixels.getbands() else "RGB")
    shown.thumbnail((PICTURE_WIDTH, 10 * PICTURE_WIDTH))
    encoded = BytesIO()
    shown.save(encoded, "WEBP", quality=88)
    source = f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
    tag = '<img width="{}" height="{}" alt="{}" src="{}">'
    return Markup(tag).format(*shown.size, alt, source)


def document(path: Path) -> tuple[str, Markup]:
    """A Markdown file's title and the rest of it as HTML, to stand below a page's second heading.

    Its front matter goes, its pictures come into the page, HTML in it is shown as text, and the
    first cell of a table's row is the row's header.
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.S)
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    title = ""
    if tokens and tokens[0].tag == "h1":
        title, tokens = tokens[1].content, tokens[3:]
    row: list[Token] = []
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        row = [] if token.type == "tr_open" else [*row, token]
        cells = [cell for cell in row if cell.type in ("td_open", "td_close")]
        if token in cells and len(cells) <= 2:
            token.tag = "th"
            token.attrs |= {"scope": "row"} if token.type == "td_open" else {}
    reader.add_render_rule("image", lambda _, found, at, *others: _beside(path, found[at]))
    return title, Markup(reader.renderer.render(tokens, reader.options, {}))


def _beside(document: Path, token: Token) -> str:
    return _read(document.with_name(Path(str(token.attrs["src"])).name), token.content)


def _read(path: Path, alt: str) -> Markup:
    if not path.is_file():
        return Markup()
    try:
        return image(Image.open(path), alt)
    except OSError:
        message = f"{path} is no readable picture: run its stage again (dvc repro -f STAGE)"
        raise StageError(message) from None
