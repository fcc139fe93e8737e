"""Every command on the page about using a model does what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from pipeline import cli
from pipeline.core import downloads
from pipeline.use import model
from tests.pipeline.use.pictures import picture, red_eyes, write, write_model
from tests.project import PATIENCE, ROOT

__all__ = ["red_eyes"]
PAGE = (ROOT / "docs/use.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^face2anime (translate .*?) *(?:#.*)?$", PAGE, re.M)
SERVED = re.findall(r"^face2anime (serve.*?) *(?:#.*)?$", PAGE, re.M)


@pytest.mark.usefixtures("red_eyes")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model, "PRETRAINED", tmp_path / "pretrained")
    for folder in ("pretrained", "checkpoints/xgan", "my/model"):
        write_model(tmp_path / folder)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/leaderboard.csv").write_text("rank,variant\n1,xgan\n")
    for name in ("portrait.jpg", "drawing.png", "holiday/1.png", "holiday/day two/2.png"):
        write(tmp_path / name, picture((60, 70, 40)))

    def fetch(url: str, path: Path, **_: object) -> None:
        write(path, picture((60, 70, 40)))

    monkeypatch.setattr(downloads, "fetch", fetch)
    words = shlex.split(command)
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    out = Path(words[words.index("--out") + 1])
    assert len(list(out.glob("*.png"))) >= 1
    assert ("--grid" in words) == (out / "grid.png").is_file()
    assert ("--paste" in words) == bool(list(out.glob("*-pasted.jpg")))
    assert ("--json" in words) == done.stdout.startswith("{")


@pytest.mark.parametrize("command", SERVED)
def test_a_page_is_served(command: str, tmp_path: Path) -> None:
    """As the page has it, but on a port that is free."""
    write_model(tmp_path / "my/model")
    words = [*shlex.split(command), "--port", "0"]  # of two the last counts
    script = "from pipeline.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address and "Ctrl-C ends it" in line
        shown = requests.get(address[0], timeout=PATIENCE).text
        models = re.findall(r'<option value="([^"]+)">', shown)
        assert ("my/model" in models) == ("my/model" in words)
    finally:
        process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", ["translate", "serve"])
def test_there_are_commands_and_all_options_are_told(name: str) -> None:
    assert len(COMMANDS) >= 10 and len(SERVED) >= 2
    shown = CliRunner().invoke(cli.app, [name, "--help"]).output
    options = set(re.findall(r"--[a-z]+", shown)) - {"--help"}
    assert options and options <= set(re.findall(r"--[a-z]+", PAGE))
