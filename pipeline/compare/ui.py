"""Open the MLflow UI on the store that the stages write to: ``make ui``."""

from __future__ import annotations

import subprocess
import sys

import typer

from pipeline.core import stage, tracking


def main(port: int = 5000) -> None:
    """Serve the runs at http://127.0.0.1:PORT until interrupted."""
    print(f"MLflow UI: http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    try:
        code = subprocess.call([*command, "--backend-store-uri", tracking.store_uri()])
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


if __name__ == "__main__":
    stage.run(main)
