"""The page's server on a free port, in this process, so that tests can say what a face is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from aiohttp import web

from pipeline.use.model import choose
from pipeline.use.serve.app import Server
from tests.project import PATIENCE


@contextmanager
def served(*folders: Path) -> Iterator[str]:
    """The address of a server that offers the models in ``folders``, by their names."""
    models = {folder.name: choose(str(folder))[0] for folder in folders}
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def done(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    runner = web.AppRunner(Server(models).app(), access_log=None, handler_cancellation=True)
    done(runner.setup())
    try:
        done(web.TCPSite(runner, "127.0.0.1", 0).start())
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        done(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
