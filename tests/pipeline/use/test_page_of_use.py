"""Every command on the page about using a model does what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.core import downloads
from pipeline.use import model
from tests.pipeline.use.pictures import picture, red_eyes, write, write_model
from tests.project import ROOT

__all__ = ["red_eyes"]
PAGE = (ROOT / "docs/use.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^face2anime (translate .*?) *(?:#.*)?$", PAGE, re.M)


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


def test_there_are_commands_and_all_options_are_told() -> None:
    assert len(COMMANDS) >= 10
    shown = CliRunner().invoke(cli.app, ["translate", "--help"]).output
    options = set(re.findall(r"--[a-z]+", shown)) - {"--help"}
    assert options and options <= set(re.findall(r"--[a-z]+", PAGE))
