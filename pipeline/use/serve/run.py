"""Start the page's server and keep it until it is interrupted."""

from __future__ import annotations

import socket
import sys

from aiohttp import web

from pipeline.core.errors import StageError
from pipeline.use.compute import settled
from pipeline.use.model import choose, known
from pipeline.use.serve.app import Server

HOST = "127.0.0.1"  # nobody else's machine can reach it
PATIENCE = 2.0  # seconds for answers that are on their way when it is interrupted


def serve(port: int, model_name: str) -> None:
    """Serve the page at http://127.0.0.1:PORT; it offers ``model_name`` first.

    Raises:
        StageError: there is no such model, or the port is taken.
        ModelError: the model's files are broken.
    """
    model, instead = choose(model_name)
    if instead:
        print(f"serve: {instead}", file=sys.stderr, flush=True)
    name = model.name if instead else model_name
    compute = settled()
    server = Server({name: model, **known()}, compute.device, compute.threads)
    with _listening(port) as sock:
        server.drawers[name].network.translator()
        address = f"http://{HOST}:{sock.getsockname()[1]}"

        def ready(_: str) -> None:
            print(f"face2anime: {address} (Ctrl-C ends it)", flush=True)

        web.run_app(
            server.app(),
            sock=sock,
            print=ready,
            access_log=None,
            handler_cancellation=True,  # what a page no longer waits for is not begun
            shutdown_timeout=PATIENCE,
        )


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StageError(f"port {port} cannot be had ({why}): change --port") from None
