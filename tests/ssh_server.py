"""OpenSSH's server on loopback for one test, run by whoever runs the test.

It has its own host key, lets in one key of its own, and offers SFTP only.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.project import PATIENCE

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
SSHD, KEYGEN = shutil.which("sshd", path=PATH), shutil.which("ssh-keygen", path=PATH)
SEPARATION = Path("/run/sshd")  # sshd started by root wants it; Debian's service makes it too


@dataclass(frozen=True)
class Server:
    """What a client needs: the address, and a home directory with its key and the server's."""

    address: str  # ssh://user@127.0.0.1:port
    home: Path


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Run sshd until the end of the block, its files in ``folder``.

    Raises RuntimeError with the server's own words when it does not come up.
    """
    home, host, user = folder / "home", folder / "host", folder / "home/.ssh/id_ed25519"
    user.parent.mkdir(parents=True)
    for key in (host, user):
        subprocess.run([str(KEYGEN), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = f"[127.0.0.1]:{port} {host.with_suffix('.pub').read_text(encoding='utf-8')}"
    (user.parent / "known_hosts").write_text(known, encoding="utf-8")
    config = f"""ListenAddress 127.0.0.1:{port}
HostKey "{host}"
AuthorizedKeysFile "{user}.pub"
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
"""
    (folder / "config").write_text(config, encoding="utf-8")
    if os.geteuid() == 0:
        SEPARATION.mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", folder / "config"], stderr=log)
    try:
        _wait_until_up(server, port, folder / "log")
        yield Server(f"ssh://{getpass.getuser()}@127.0.0.1:{port}", home)
    finally:
        server.terminate()
        server.wait()


def _wait_until_up(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"sshd did not come up: {log.read_text(encoding='utf-8')}")
