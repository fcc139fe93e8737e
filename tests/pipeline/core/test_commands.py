"""Command lines: a mistake ends in one plain line, in whatever terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import cli
from pipeline.core.commands import command_line
from tests.project import ROOT, environment


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Error: Missing option '--name'."),
        (["--nam", "x"], "Error: No such option: --nam"),
        (["x"], "Error: Missing option '--name'."),
        (["--name", "x", "y"], "Error: Got unexpected extra argument"),
    ],
)
def test_a_wrong_use_is_the_last_line(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    app = command_line()

    @app.command()
    def stage(name: str = cli.typer.Option()) -> None: ...

    with pytest.raises(SystemExit) as ended:
        app(words)
    assert ended.value.code == 2
    assert last_line(capsys).startswith(message)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["profil"], 2, "Error: No such command 'profil'."),
        (["profile", "fulll"], 1, "face2anime: "),
        (["config", "xgann"], 1, "face2anime: "),
    ],
)
def test_so_in_face2anime(
    words: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["face2anime", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert last_line(capsys).startswith(message)


def test_and_in_a_stage() -> None:
    command = [sys.executable, "-m", "pipeline.train", "--variant", "xgann"]
    result = subprocess.run(
        command, cwd=ROOT, env=environment(FORCE_COLOR="1"), capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("train: ") and result.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["pipeline.cli", "pipeline.faces.__main__"])
def test_nobody_waits_for_what_is_not_asked(module: str) -> None:
    """A mistake is told at once: torch and MLflow, seconds each, are loaded when first used."""
    script = (
        f"import sys, {module}\n"
        "print([n for n in ('torch', 'mlflow.tracking', 'dvc.repo') if n in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"
