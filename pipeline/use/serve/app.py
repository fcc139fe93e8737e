"""What the page's server answers: the page itself, and the faces of a picture as JSON.

Only a page from this server may ask: another site's script, or a name that was made to point at
127.0.0.1, is refused. A client names models and directions of ours, never a path.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from yarl import URL

from models.errors import ModelError
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.figures import html
from pipeline.imaging.images import read_rgb
from pipeline.use.drawing import Drawer, Network, cut, small_face
from pipeline.use.model import BACK, Model

MOST_BYTES = 25_000_000  # of an uploaded picture
SIZE = 512  # pixels of a face's side
OURS = {"127.0.0.1", "localhost"}
HERE = Path(__file__).parent
FILES = {"/page.css": "text/css", "/page.js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-store",
    # Nothing from elsewhere. The page's base has its styles in a <style> element.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The handlers, over the models that can be picked."""

    def __init__(self, models: Mapping[str, Model], device: str = "auto", threads: int = 0) -> None:
        """``device``, ``threads``: see `pipeline.use.drawing.Network`."""
        self.drawers = {
            name: Drawer(model, network=Network(model, device, threads))
            for name, model in models.items()
        }
        # One picture at a time, in one thread: what finds drawn faces has a process per thread.
        self._worker = ThreadPoolExecutor(1)

    def app(self) -> web.Application:
        """What `aiohttp.web` runs."""
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[_only_ours])
        app.router.add_get("/", self._page)
        app.router.add_post("/faces", self._faces)
        app.router.add_get("/favicon.ico", _no_icon)
        for name in FILES:
            app.router.add_get(name, _file)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, app: web.Application) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _page(self, request: web.Request) -> web.Response:
        names = {name: _label(name, each.model) for name, each in self.drawers.items()}
        page = html.render(HERE / "page.html", title="face2anime", models=names, most=MOST_BYTES)
        return web.Response(text=page, content_type="text/html")

    async def _faces(self, request: web.Request) -> web.Response:
        """The picture is the whole body; ``?model=NAME&to=anime`` says what is to be done."""
        drawer, to = self.drawers.get(request.query.get("model", "")), request.query.get("to", "")
        if drawer is None or to not in BACK:
            return _refusal(400, "there is no such model or direction here: load the page again")
        try:
            data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            most = f"{MOST_BYTES // 1_000_000} MB"
            return _refusal(413, f"the picture has more than {most}: save it smaller")
        try:
            loop = asyncio.get_running_loop()
            told = await loop.run_in_executor(self._worker, answer, drawer, data, to)
        except (StageError, ModelError) as error:
            return _refusal(422, str(error))
        return web.json_response(told)


def answer(drawer: Drawer, data: bytes, to: str) -> dict[str, Any]:
    """What the page shows of a picture.

    Returns:
        ``faces``: from left to right, base64 PNGs of 512 pixels: each ``before``, ``drawn`` and
        ``back``, and its ``eyes`` in pixels of the picture, or null where a model of whole pictures
        took the middle. ``notes``: lines to tell.

    Raises:
        StageError: it is no picture, or faces cannot be looked for.
        ModelError: the model's files are broken, or public weights are missing.
    """
    rgb = read_rgb(data)
    drawn = drawer.draw(rgb, to, SIZE)
    found = drawn.cut.faces
    eyes = [face.eyes for face in found]
    before = cut(rgb, eyes, drawer.model.template(to).model_copy(update={"size": SIZE}))
    pictures = zip(found, before, drawn.pictures, drawer.back(drawn, to), strict=True)
    faces = [
        {"eyes": face.told_eyes, "before": _png(a), "drawn": _png(b), "back": _png(c)}
        for face, a, b, c in pictures
    ]
    notes = [small_face(distance) for distance in drawn.cut.small]
    if not faces and not notes:
        kind = "photographed" if to == "anime" else "drawn"
        notes.append(f"no {kind} face found: try a picture in which one looks at you, or larger")
    notes += filter(None, (drawer.model.way(to), drawer.model.warning(to)))
    return {"faces": faces, "notes": notes}


@web.middleware
async def _only_ours(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not _is_ours(request):
        return _refusal(403, "only the page that this server shows may ask it")
    response = await handler(request)
    response.headers.update(HEADERS)
    return response


def _is_ours(request: web.Request) -> bool:
    """Whether it was sent to this machine by name, and by no page of another server."""
    origin = request.headers.get("Origin", f"http://{request.host}")
    try:
        return URL(f"http://{request.host}").host in OURS and origin == f"http://{request.host}"
    except ValueError:  # such a host is none
        return False


async def _file(request: web.Request) -> web.Response:
    text = (HERE / request.path.removeprefix("/")).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=FILES[request.path])


async def _no_icon(request: web.Request) -> web.Response:
    return web.Response(status=204)


def _label(name: str, model: Model) -> str:
    """`champion` says which one that is."""
    same = name.endswith(model.name)
    return name if same else f"{name} ({model.name})"


def _refusal(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def _png(rgb: np.ndarray) -> str:
    return base64.b64encode(tables.encode_png(rgb)).decode("ascii")
