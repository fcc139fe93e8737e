"""PostgreSQL and MLflow's server on it, both asking for a password, on free ports of loopback."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.core import yaml_files
from tests.project import PATIENCE, ROOT, environment

COMPOSE = ROOT / "docs/server/compose.yaml"


def programs() -> Path | None:
    """Where PostgreSQL's programs lie; None where it is not installed."""
    here = [Path(shutil.which("initdb") or "/nowhere").resolve().parent]
    found = [*here, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return next((folder for folder in found if (folder / "postgres").exists()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(kw_only=True)
class Started:
    """A server that a test starts, in a folder of its own, with a password."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    process: subprocess.Popen[bytes] | None = None


@dataclass(kw_only=True)
class Postgres(Started):
    """A database server whose one user has a password."""

    bin: Path

    @property
    def uri(self) -> str:
        return f"postgresql+psycopg2://mlflow:{self.password}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        self.folder.chmod(0o755)
        if os.geteuid() == 0:  # it refuses to be run by root
            for path in (self.folder, secret):
                shutil.chown(path, "postgres", "postgres")
        options = ["-U", "mlflow", "--auth", "scram-sha-256", "--pwfile", str(secret), "-N"]
        self._run([str(self.bin / "initdb"), "-D", str(self.folder / "data"), *options]).wait()

    def start(self) -> None:
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), "-F"]
        self.process = self._run(
            [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options]
        )
        ask = [str(self.bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: subprocess.run(ask, capture_output=True).returncode == 0, self.process)

    def stop(self) -> None:
        """At once, as by a power cut."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        who = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        out = subprocess.DEVNULL
        return subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out, **who)


@dataclass(kw_only=True)
class Server(Started):
    """MLflow's server as `docs/server/compose.yaml` starts it, but on this machine."""

    store: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> dict[str, str]:
        """What a user of it has in the environment."""
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }

    def start(self) -> None:
        service = yaml_files.read(COMPOSE)["services"]["mlflow"]
        script = service["command"][-1].partition("&& exec ")[2]
        script = script.replace("--host 0.0.0.0 --port 5000", f"--port {self.port}")
        script = script.replace("/artifacts", str(self.folder / "artifacts"))
        accounts = (
            (ROOT / "docs/server/auth.ini").read_text().replace("/accounts/", f"{self.folder}/")
        )
        (self.folder / "auth.ini").write_text(accounts)
        known = {
            "MLFLOW_BACKEND_STORE_URI": self.store,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "any",
        }
        rest = {k: v for k, v in service["environment"].items() if not re.search(r"\$|/server", v)}
        assert {*known, *rest} == set(service["environment"])
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *script.split()], cwd=self.folder, stdout=said, stderr=said,
                env=environment(**known, **rest), start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: answers(f"{self.address}/health"), self.process)

    def kill(self) -> None:
        """With the workers that it started."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5):
        return True
    return False


def wait_until(true, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None and time.monotonic() < end, f"{process.args} did not start"
        time.sleep(0.2)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh one; the test is skipped where PostgreSQL is not installed."""
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    # Its user may not enter the folders of a test.
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    made = Postgres(folder=folder, bin=found)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def tracking_server(folder: Path, store: str) -> Iterator[Server]:
    """MLflow's server on ``store``, killed at the end of the block."""
    server = Server(folder=folder, store=store)
    try:
        server.start()
        yield server
    finally:
        server.kill()
