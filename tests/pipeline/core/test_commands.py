"""Command lines: a mistake ends in one plain line, in whatever terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project import ROOT, environment


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["pipeline.train", "xgan"], "Error: Missing option '--variant'."),
        (["pipeline.faces", "--fast"], "Error: No such option: --fast"),
        (["pipeline.cli", "profil"], "Error: No such command 'profil'."),
        (["pipeline.cli", "profile", "fulll"], "face2anime: "),
        (["pipeline.train", "--variant", "xgann"], "train: "),
    ],
)
def test_a_mistake_is_the_last_line(command: list[str], message: str) -> None:
    module, *words = command
    program = "from pipeline.cli import main; main()" if module == "pipeline.cli" else None
    start = ["-c", program] if program else ["-m", module]
    result = subprocess.run(
        [sys.executable, *start, *words],
        cwd=ROOT,
        env=environment(FORCE_COLOR="1", TERM="xterm-256color"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0 and "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith(message)
