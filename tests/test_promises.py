"""What a page, a message, a comment or a document names is there: knobs, commands, files.

Everything is resolved here, in this process, and nothing is run.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from dvc.cli.parser import get_main_parser

import models.train
from models.variants import LOSSES, Variant
from pipeline import cli
from pipeline.core import params, yaml_files
from tests.project import ROOT

PACKAGES = ("crawl", "face2anime", "models", "pipeline")
# What `make bench` and `make ablation` write; a clone may lack it or have that of another day.
WRITTEN = {"reports/benchmarks.md", "reports/ablation.md"}
SUFFIXES = {"py", "yaml", "yml", "csv", "json", "md", "jpg", "png", "html", "parquet", "dvc", "txt"}
SUFFIXES |= {"sqlite", "safetensors", "lock"}
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
DVC = get_main_parser()
DEFINED = {
    name
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    for name in re.findall(r"^(?:def|class) (\w+)", path.read_text(encoding="utf-8"), re.M)
}


def documents() -> list[str]:
    """The Markdown that git has, or else lies here, but what is for developers of the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    found = listed or [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")]
    return [name for name in found if not name.startswith("tests/") and name not in WRITTEN]


def literals(path: Path) -> Iterator[str]:
    """Every string of a module, docstrings as well; what an f-string puts in is ``…``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
             for part in ast.walk(node) if part is not node}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(getattr(node, "value", None), str) and id(node) not in inner:
            yield node.value


def texts() -> dict[str, str]:
    """Where it is said → all that people read there."""
    said = {
        path.relative_to(ROOT).as_posix(): "\n".join(literals(path))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    plain = [*documents(), "Makefile", "dvc.yaml", "params.yaml"]
    plain += [path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipeline/**/*.html")]
    plain += [f"profiles/{path.name}" for path in (ROOT / "profiles").glob("*.yaml")]
    return said | {name: (ROOT / name).read_text(encoding="utf-8") for name in plain}


TEXTS = texts()
SECTIONS = "|".join(params.SECTIONS)
KEY = re.compile(rf"(?<![\w./-])({SECTIONS})\.([a-z_]\w*)(?![\w/(])")
SET = re.compile(r"(?:-S|--set-param) ?['\"]?([a-z_]+)\.([\w.]+)=")
ROW = re.compile(r"(?<![\w./-])variants\.([a-z]\w*)\.(\w+)(?:\.(\w+))?")
COMMAND = re.compile(
    r"(?:(?<=[`>$])|^ *|(?<=[:;&] )|(?<=\bor )|(?<=-m ))"
    r"((?:make(?! it| one)|dvc|face2anime|python -m|torchrun) [^\n`<#;|)]*)", re.M
)  # fmt: skip
PROSE = re.compile(r" && | = |[,.:]? (?:and|or|for|to|is|in|says|again|first|goes|then) ")
PATH = re.compile(r"(?<![\w/.-])((?:crawl|models|pipeline|tests|profiles|reports|docs)/[\w./-]*\w)")


def key_is_known(section: str, key: str) -> bool:
    """Whether it is a knob, or a module or file that is called as a section is."""
    room = ROOT / section / key  # of the crawler, or below of a stage
    return (
        key in params.SECTIONS[section].model_fields
        or key in SUFFIXES
        or key in DEFINED
        or room.is_dir()
        or room.with_suffix(".py").is_file()
        or (ROOT / "pipeline" / section / f"{key}.py").is_file()
    )


@pytest.mark.parametrize("where", TEXTS)
def test_every_knob_is_there(where: str) -> None:
    keys = [match.groups() for match in KEY.finditer(TEXTS[where])]
    assert [f"{s}.{k}" for s, k in keys if not key_is_known(s, k)] == []
    known = {f.name for f in fields(Variant)}
    for name, key, loss in (match.groups() for match in ROW.finditer(TEXTS[where])):
        assert key in known and (not loss or loss in LOSSES), f"variants.{name}.{key}.{loss}"
    for section, key in (match.groups() for match in SET.finditer(TEXTS[where])):
        assert section == params.VARIANTS or key in params.SECTIONS[section].model_fields, key


def commands(text: str) -> list[list[str]]:
    """The words of every command in a text; a line begins one in a block of code alone."""
    blocks = text.split("```")
    blocks[::2] = [block.replace("\n", "\n·") for block in blocks[::2]]
    text, found = "```".join(blocks), []
    for match in COMMAND.finditer(text):
        line = re.split(
            r" && | = |[,.:]? (?:and|or|for|to|is|in|says|again|first|goes) ", match[1]
        )[0]
        found.append([word.strip("'\".,") for word in line.partition(" # ")[0].split()])
    return found


def argparse_problem(parser: ArgumentParser, words: list[str]) -> str:
    """What of ``words`` the parser does not know: a subcommand or an option."""
    while subs := [a for a in parser._actions if isinstance(a, _SubParsersAction)]:
        if not words:
            return ""  # `dvc metrics`: what it has, in general
        if words[0] not in subs[0].choices:
            return f"no command {words[0]}"
        parser, words = subs[0].choices[words[0]], words[1:]
    return unknown_option(words, set(parser._option_string_actions))


def click_problem(command: Any, words: list[str]) -> str:
    """As `argparse_problem`, of a command line made by typer."""
    if words and "…" in words[0]:
        return ""
    if hasattr(command, "commands"):  # a group; typer has its own copy of click
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        return click_problem(command.commands[words[0]], words[1:])
    known = {option for parameter in command.params for option in parameter.opts}
    return unknown_option(words, known | {o for p in command.params for o in p.secondary_opts})


def unknown_option(words: list[str], known: set[str]) -> str:
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    missing = [option for option in options if option not in known | {"--help", "-h"}]
    return f"no option {missing}" if missing else ""


def module_problem(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """As `argparse_problem`, of ``python -m NAME``."""
    folder = ROOT / Path(*name.split("."))
    if name.split(".")[0] not in PACKAGES:
        return "" if folder.is_dir() or importlib.util.find_spec(name) else f"no module {name}"
    file = folder / "__main__.py" if folder.is_dir() else folder.with_suffix(".py")
    if not file.is_file() or "__main__" not in file.read_text(encoding="utf-8"):
        return f"{name} is no command"
    if name == "models.train":
        with pytest.raises(SystemExit):
            models.train.parse(["--help"])
        return unknown_option(words, set(re.findall(r"--?[\w-]+", capsys.readouterr().out)))
    app = typer.Typer(add_completion=False)
    module = importlib.import_module(f"{name}.__main__" if folder.is_dir() else name)
    app.command()(module.main)
    return click_problem(typer.main.get_command(app), words)


def problem(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Why a command cannot be given; empty when it can."""
    if words[0] == "make":
        bad = [word for word in words[1:2] if word not in TARGETS and not set("=$") & set(word)]
        return f"no target {bad}" if bad else ""
    if words[0] == "face2anime":
        return click_problem(typer.main.get_command(cli.app), words[1:])
    if words[0] == "dvc":
        return argparse_problem(DVC, words[1:])
    if "-m" not in words or "…" in (name := words[words.index("-m") + 1]):
        return ""
    at = words.index("-m")
    return module_problem(name, words[at + 2 :], capsys)


@pytest.mark.parametrize("where", TEXTS)
def test_every_command_can_be_given(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = commands(TEXTS[where])
    problems = {" ".join(words): problem(words, capsys) for words in given if len(words) > 1}
    assert {command: why for command, why in problems.items() if why} == {}


def outputs() -> set[str]:
    """What the stages write, up to the name of a variant."""
    stages = yaml_files.read(ROOT / "dvc.yaml")["stages"].values()
    listed = [out for stage in stages for out in [*stage["outs"], *stage.get("metrics", [])]]
    paths = {next(iter(out)) if isinstance(out, dict) else out for out in listed}
    return {path.partition("/${")[0] for path in paths} | WRITTEN | {"reports/summary.json"}


@pytest.mark.parametrize("where", TEXTS)
def test_every_file_is_there(where: str) -> None:
    text = TEXTS[where] if where.endswith(".md") else (ROOT / where).read_text(encoding="utf-8")
    written = outputs()
    named = {
        match[1] for match in PATH.finditer(text) if not re.search(r"[A-Z]", Path(match[1]).stem)
    }
    missing = [
        name
        for name in sorted(named)
        if not (ROOT / name).exists()
        and not any(name.startswith(out) or out.startswith(f"{name}/") for out in written)
    ]
    assert missing == []


def test_a_broken_promise_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """The test's own test: a wrong knob, target, verb, option, module and subcommand."""
    assert not key_is_known("train", "budget_imagse") and key_is_known("train", "budget_images")
    text = "`make damo` `dvc exp ron` `dvc exp run --quee` `python -m pipeline.nothing` "
    text += "`python -m models.train --imges 3` `face2anime configure x`"
    told = [problem(words, capsys) for words in commands(text)]
    assert len(told) == 6 and all(told), told


TESTS = re.compile(r"`((?:tests/[\w/]+\.py)?)(?:::(\w+))?`")


@pytest.mark.parametrize("page", ["docs/faults.md", "docs/threats.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    """As `tests/FILE.py::NAME`; a `::NAME` alone is of the file before it."""
    file, named = "", 0
    for path, name in TESTS.findall((ROOT / page).read_text(encoding="utf-8")):
        file = path or file
        if path or name:
            named += 1
            assert f"\ndef {name}(" in (ROOT / file).read_text("utf-8") or not name, (file, name)
    assert named > 10
