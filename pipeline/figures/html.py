"""HTML pages that need no other file: templates by Jinja, pictures inside the page.

Whatever a template prints is escaped; what is HTML already says so by being `Markup`.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline.core.errors import StageError

PICTURE_WIDTH = 1400  # pixels; a wider picture is scaled down for the page


def render(template: Path, **values: Any) -> str:
    """The page that ``template`` makes of ``values``; it may extend ``base.html`` beside us.

    Templates can use `picture` and the filters `number` and ``arrow`` (of a direction's name).
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "arrow": lambda name: name.replace("2", " → ")}
    environment.globals["picture"] = picture
    return environment.get_template(template.name).render(values)


def number(value: Any) -> str:
    """A number for people: whole ones with separators, others with three digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def picture(path: Path, title: str) -> Markup:
    """The picture inside the page as WebP, a tenth of a PNG's size; nothing if it is absent."""
    if not path.is_file():
        return Markup()
    try:
        image = Image.open(path).convert("RGB")
    except OSError:
        message = f"{path} is no readable picture: run its stage again (dvc repro -f STAGE)"
        raise StageError(message) from None
    image.thumbnail((PICTURE_WIDTH, 10 * PICTURE_WIDTH))
    encoded = BytesIO()
    image.save(encoded, "WEBP", quality=88)
    source = f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
    tag = '<figure class="card"><img width="{}" height="{}" alt="{}" src="{}"></figure>'
    return Markup(tag).format(*image.size, title, source)
