"""Open the MLflow UI where the trained models are: ``make ui``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from typing import Annotated

import typer

from pipeline.core import stage, store, view
from pipeline.core.errors import StageError

HOST = "127.0.0.1"
JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"  # of language models: two more processes
PATIENCE = 120  # seconds that a server may take to start until the browser is not opened


def check_free(port: int) -> None:
    """Raise StageError where something listens at ``port`` already."""
    with socket.socket() as probe:
        # As servers do: a port that one has just left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            raise StageError(
                f"port {port} is taken or not allowed: make ui PORT={port % 60000 + 1}"
            ) from None


def has_screen() -> bool:
    """Whether a browser can show itself here; one in the terminal would hide the link."""
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_when_up(address: str, link: str) -> None:
    """Open ``link`` in the browser once ``address`` answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5):
                webbrowser.open(link)
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)


def told(address: str, models: str) -> str:
    """The links to the experiment ``models``, each under what it shows."""
    pictures = view.link(address, models, pictures=True)
    return f"The trained models:\n{view.link(address, models)}\nTheir pictures:\n{pictures}"


def main(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Serve the runs at http://127.0.0.1:PORT until interrupted."""
    client = store.open_store()
    models, remote = store.experiment_id(client, view.MODELS), client.tracking_uri
    address = f"http://{HOST}:{port}"
    if remote.startswith("http"):  # a server that runs already
        print(told(remote, models))
        return
    check_free(port)
    link = view.link(address, models)
    print(f"{told(address, models)}\nCtrl-C ends it.", flush=True)
    if browser and has_screen():
        threading.Thread(target=open_when_up, args=(address, link), daemon=True).start()
    # One worker: more are ended, again and again, where their start takes over 5 s (uvicorn).
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", remote, "--workers", "1"]
    try:
        code = subprocess.call(command, env={**os.environ, JOBS: "false"})
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


if __name__ == "__main__":
    stage.run(main)
