"""HTML that needs no other file: one style for light and dark, pictures inside the page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

import cv2

from pipeline.core.errors import StageError

PICTURE_WIDTH = 1400  # pixels; a wider picture is scaled down for the page
STYLE = """
:root{color-scheme:light dark;--bg:#fbfaf8;--ink:#1d1c1a;--muted:#6b6862;--card:#fff;--line:#dcd8d0;
--accent:#0b6a4f}
@media(prefers-color-scheme:dark){:root{--bg:#161617;--ink:#e9e7e3;--muted:#a09c95;--card:#1f1f21;
--line:#3a3a3d;--accent:#5cc8a1}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,sans-serif}main{max-width:1080px;margin:0 auto;padding:2rem 1.2rem 4rem}
h1{font-size:2rem;margin:0}h2{font-size:1.3rem;margin:2.6rem 0 .6rem}
h3{font-size:1rem;margin:1rem 0 .3rem}
p{max-width:72ch}.lead{font-size:1.15rem}.note{color:var(--muted);font-size:.92rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;
margin:1rem 0;overflow-x:auto}img,svg{max-width:100%;height:auto}svg{color:var(--ink)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.35rem .9rem .35rem 0;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}
caption{text-align:left;color:var(--muted);padding-bottom:.4rem}
small{color:var(--muted);display:block;font-weight:400}.best{font-weight:600}.yes{color:var(--accent)}
.key{display:inline-block;width:1.6rem;height:.3rem;border-radius:2px;margin:0 .4rem .2rem 1rem}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600}code{font-size:.9em}
"""


def document(title: str, sections: Iterable[str]) -> str:
    """A whole HTML page of ``sections``; empty ones are left out."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        "<body><main>\n" + "\n".join(filter(None, sections)) + "\n</main></body></html>\n"
    )


def picture(path: Path, title: str) -> str:
    """The picture inside the page as WebP, a tenth of a PNG's size; nothing if it is absent."""
    if not path.is_file():
        return ""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise StageError(f"{path} is no readable picture: run its stage again (dvc repro -f STAGE)")
    if (scale := PICTURE_WIDTH / image.shape[1]) < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 88])[1].tobytes()
    encoded = base64.b64encode(data).decode("ascii")
    height, width = image.shape[:2]
    return (
        f'<figure class=card style="margin:1rem 0"><img width="{width}" height="{height}" '
        f'alt="{escape(title, quote=True)}" src="data:image/webp;base64,{encoded}"></figure>'
    )
