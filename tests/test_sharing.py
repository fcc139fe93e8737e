"""``docs/sharing.md`` as it is written, command by command, over a folder, SSH and S3.

The project here is a small one with the same outputs: what DVC moves, not what the stages make, is
what this is about.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core import yaml_files
from tests.project import ROOT, environment
from tests.ssh_server import SSHD, ssh_server

PAGE = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
# What a test has already, or has otherwise.
ENVIRONMENTS = ("make install", "source .venv/bin/activate", "python -m venv", "pip install")
ADDRESS, REMOTE = "https://host/you/face2anime", "ssh://you@host/srv/faces"
SPLITS = ("train", "val", "test")


def block(first: str) -> list[str]:
    """The commands of the block of the page that begins with ``first``."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    (found,) = [text for text in blocks if text.startswith(first)]
    return [re.split(r"\s+#", line)[0].strip() for line in found.splitlines() if line.strip()]


@dataclass
class Shell:
    """Runs commands of the page one after the other, as in a terminal."""

    folder: Path
    env: dict[str, str]
    instead: dict[str, str]  # text of the page → what stands for it here

    def run(self, commands: list[str]) -> str:
        said = ""
        for command in commands:
            for text, ours in self.instead.items():
                command = command.replace(text, ours)
            if command.startswith("cd "):
                self.folder /= command.removeprefix("cd ")
            elif command.startswith("export "):
                self.env |= dict(part.split("=", 1) for part in shlex.split(command)[1:])
            elif not command.startswith(ENVIRONMENTS):
                said += self.one(command)
        return said

    def one(self, command: str) -> str:
        words = shlex.split(command)
        words = [sys.executable, "-m", *words] if words[0] == "dvc" else words
        done = subprocess.run(
            words, cwd=self.folder, env=self.env, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout


def shell(folder: Path, env: dict[str, str], **instead: str) -> Shell:
    return Shell(folder, {**env}, instead)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with `data/splits` and another output, in git and with its origin beside it."""
    place = tmp_path_factory.mktemp("sharing")
    project = place / "template"
    (project / "data").mkdir(parents=True)
    write_splits(project / "data/splits", b"old")
    (project / "data/other.txt").write_text("other", encoding="utf-8")
    stage = {"cmd": "true", "outs": ["data/splits", "data/other.txt"]}
    (project / "dvc.yaml").write_text(yaml_files.dumps({"stages": {"split": stage}}), "utf-8")
    sh = shell(project, environment())
    sh.run(["git init -q -b main", "dvc init -q", "dvc commit -q -f"])
    sh.run(["git add -A", "git commit -qm start"])
    return project


def write_splits(folder: Path, content: bytes) -> None:
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
        (folder / split / "anime-00000.parquet").write_bytes(content + split.encode())
    (folder / "README.md").write_bytes(b"# card\n")


@pytest.fixture
def author(template: Path, tmp_path: Path) -> Path:
    """A copy of it whose origin is a bare repository, called as on the page's host."""
    origin, project = tmp_path / "host/face2anime", tmp_path / "author"
    shutil.copytree(template, project)
    sh = shell(project, environment())
    sh.run([f"git clone -q --bare . '{origin}'", f"git remote add origin '{origin}'"])
    sh.run(["git push -q -u origin main"])
    return project


@contextmanager
def remote(where: str, folder: Path) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """A remote's URL, the environment that reaches it, and what the page says instead of them."""
    if where == "folder":
        yield str(folder / "remote"), {}, {}
    elif where == "ssh":
        pytest.importorskip("dvc_ssh", reason="no dvc-ssh: pip install -e '.[dev]'")
        if not SSHD:
            pytest.skip("no SSH server: apt-get install openssh-server")
        with ssh_server(folder) as server:
            yield f"{server.address}{folder}/remote", {"HOME": str(server.home)}, {}
    else:
        pytest.importorskip("dvc_s3", reason="no dvc-s3: pip install -e '.[dev]'")
        pytest.importorskip("moto.server", reason="no moto: pip install -e '.[dev]'")
        from tests.s3_server import KEYS, s3_server

        with s3_server() as bucket:
            (folder / "aws").parent.mkdir(exist_ok=True)
            (folder / "aws").touch()  # and not what this user has at home
            own = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
            keys = KEYS | dict.fromkeys(own, str(folder / "aws"))
            said = {"s3://faces/team": bucket.url, "https://s3.host": bucket.endpoint}
            said |= {f"{name}=…": f"{name}={value}" for name, value in KEYS.items()}
            yield bucket.url, keys, said
            assert bucket.objects() >= len(SPLITS) + 2


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("where", ["folder", "ssh", "s3"])
def test_a_teammate_pulls_one_split_the_splits_and_all(
    author: Path, tmp_path: Path, where: str
) -> None:
    with remote(where, tmp_path / where) as (url, env, said):
        env, instead = environment(**env), {ADDRESS: str(tmp_path / "host/face2anime"), REMOTE: url}
        begin = "dvc remote add --default team " + ("s3://" if where == "s3" else "ssh://")
        shell(author, env, **instead, **said).run([*block(begin), "git push -q"])
        (tmp_path / "teammate").mkdir()
        theirs = shell(tmp_path / "teammate", env, **instead)
        commands = block("git clone")
        at = [
            commands.index(f"dvc pull{what}") for what in (" data/splits/val", " data/splits", "")
        ]
        theirs.run(commands[: at[0] + 1])
        got = theirs.folder / "data/splits"
        assert set(files(got)) == {"val/anime-00000.parquet"}
        theirs.run(commands[at[0] + 1 : at[1] + 1])
        assert files(got) == files(author / "data/splits") and len(files(got)) == 4
        assert not (theirs.folder / "data/other.txt").exists()
        theirs.run(commands[at[1] + 1 :])
        assert files(theirs.folder / "data") == files(author / "data")
        assert "up to date" in theirs.run(["dvc repro"])


def test_another_project_imports_updates_and_gets_one_split(author: Path, tmp_path: Path) -> None:
    origin = str(tmp_path / "host/face2anime")
    instead = {ADDRESS: Path(origin).as_uri(), REMOTE: str(tmp_path / "remote")}
    ours = shell(author, environment(), **instead)
    ours.run(block("dvc remote add --default team ssh://"))
    other = shell(tmp_path, environment(), **instead)
    commands = block("mkdir other")
    at = commands.index("dvc update faces.dvc")
    other.run(commands[:at])
    assert files(other.folder / "faces") == files(author / "data/splits")
    assert (other.folder / "faces/README.md").is_file()
    write_splits(author / "data/splits", b"new")
    ours.run(["dvc commit -q -f", "git commit -qam newer", "git push -q", "dvc push"])
    other.run(commands[at:])
    assert files(other.folder / "faces") == files(author / "data/splits")
    assert files(other.folder / "val") == files(author / "data/splits/val")
    noted = yaml_files.read(other.folder / "faces.dvc")["deps"][0]["repo"]
    assert noted["rev_lock"] == ours.one("git rev-parse HEAD").strip()


def test_growth_sends_the_shards_that_changed(author: Path, tmp_path: Path) -> None:
    instead = {REMOTE: str(tmp_path / "remote")}
    ours = shell(author, environment(), **instead)
    ours.run(block("dvc remote add --default team ssh://"))
    before = set(files(tmp_path / "remote"))
    (author / "data/splits/val/anime-00001.parquet").write_bytes(b"more")
    ours.run(["dvc commit -q -f", "dvc push"])
    sent = {name: data for name, data in files(tmp_path / "remote").items() if name not in before}
    assert len(sent) == 2 and b"more" in sent.values()  # the new shard, and the folder's listing


def test_keys_are_in_no_file_that_git_has(author: Path) -> None:
    """What the page says to give apart stays apart."""
    ours = shell(author, environment())
    ours.run(["dvc remote add --default team s3://faces/team"])
    (said,) = re.findall(r"`(dvc remote modify --local [^`…]*) …`", PAGE)
    ours.run([f"{said} canary"])
    ours.run(["git add -A", "git commit -qm all"])
    assert "canary" in (author / ".dvc/config.local").read_text(encoding="utf-8")
    assert "canary" not in ours.one("git show HEAD")
