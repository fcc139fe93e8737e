"""The house keeps its shape: who may import whom, and that params, profiles and lock file agree."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from models.public.table import TABLE
from models.runtime.files import CONFIG, PRETRAINED, WEIGHTS
from pipeline.core import params, yaml_files

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "crawl": {"crawl"},
    "models": {"models"},
    "pipeline": {"pipeline", "crawl", "models"},
    "face2anime": {"face2anime", "pipeline", "models"},  # the public interface
}
# MLflow's store, what it is written by (for the types), and the model that MLflow runs.
MLFLOW = {"pipeline/core/store.py", "pipeline/use/registered.py"}
MLFLOW |= {f"pipeline/core/{name}.py" for name in ("backlog", "killed", "tracking")}  # its types
DVC_YAML = yaml_files.read(ROOT / "dvc.yaml")
STAGES = list(DVC_YAML["stages"])


def imported_packages(module: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def modules() -> list[Path]:
    return [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_follow_the_arrows(module: Path) -> None:
    package = module.relative_to(ROOT).parts[0]
    ours = imported_packages(module) & set(ALLOWED)
    assert ours <= ALLOWED[package], f"{package} may not import {ours - ALLOWED[package]}"


def test_only_the_store_imports_mlflow_and_models_stays_bare() -> None:
    for module in modules():
        packages = imported_packages(module)
        name = module.relative_to(ROOT).as_posix()
        assert "mlflow" not in packages or name in MLFLOW, name
        if name.startswith("models/"):
            assert not packages & {"dvc", "mlflow", "pydantic", "cv2", "animeface"}, name


def sections_of(stage: str) -> set[str]:
    """The sections of params.yaml that a stage's main module loads."""
    sections = {model.__name__: name for name, model in params.SECTIONS.items()}
    module = ROOT / "pipeline" / stage / "__main__.py"
    return {
        sections[node.args[0].attr]
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "params.load"
        and isinstance(node.args[0], ast.Attribute)
    }


@pytest.mark.parametrize("name", STAGES)
def test_stages_declare_the_sections_they_load(name: str) -> None:
    declared = {entry.split(".")[0] for entry in DVC_YAML["stages"][name]["params"]}
    assert sections_of(name) - {"compute"} == declared - {params.VARIANTS}


# Plumbing carries data, names errors and draws pictures but decides no number; watching it would
# train all variants anew for a caption. `compare` makes a page: it watches what draws. What answers
# whether an image is excluded decides who is in the tables: every stage that asks watches it.
PLUMBING = {"pipeline/core", "pipeline/figures", "crawl/errors.py", "models/errors.py"}
PLUMBING |= {"models/failures.py"}
DRAWS = {"compare"}
CRAWLS = {"discover", "crawl"}
EXCLUDES = "pipeline/core/exclude.py"


def room_of(module: str) -> str:
    """The room that a module of ours lies in: the folder below its package, or a file there."""
    package, *rest = module.split(".")
    folder = ROOT / package / rest[0]
    return f"{package}/{rest[0]}" if folder.is_dir() else f"{package}/{rest[0]}.py"


def nodes_of(module: str) -> Iterator[ast.AST]:
    """The syntax tree of a module or package of ours, node by node."""
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports_of(module: str) -> set[str]:
    """The modules of ours that ``module`` imports, wherever in it."""
    found: set[str] = set()
    for node in nodes_of(module):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if "." in name and is_module(name)}


def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return name.split(".")[0] in ALLOWED and (path.is_dir() or path.with_suffix(".py").is_file())


@pytest.mark.parametrize("package", ALLOWED)
def test_no_circle_of_rooms(package: str) -> None:
    """Within a package every room can be read after those it imports."""
    rooms: dict[str, set[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.parent == ROOT / package and path.name == "__init__.py":
            continue
        ours = {room_of(name) for name in imports_of(module) if name.split(".")[0] == package}
        rooms.setdefault(room_of(module), set()).update(ours - {room_of(module)})
    TopologicalSorter(rooms).prepare()  # raises CycleError, naming the circle


# What trains. Its report alone measures, on held-out images, and no gradient comes of that.
TRAINING = ("models/losses", "models/networks", "models/recognizer", "models/training")
REPORT = "models.training.report"


def reached(starts: set[str], wall: str = "") -> set[str]:
    """The modules that ``starts`` import, directly or not, and they; ``wall`` is not entered."""
    todo, seen = [*starts], set()
    while todo:
        if (module := todo.pop()) not in seen | {wall}:
            seen.add(module)
            todo += imports_of(module)
    return seen


def words(module: str) -> set[object]:
    """Every string of a module, and other constants."""
    return {node.value for node in nodes_of(module) if isinstance(node, ast.Constant)}


def test_no_loss_asks_what_evaluates() -> None:
    """What trains reaches no metric, and names no public network that is not for training."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules()]
    starts = {name for name in names if room_of(name) in TRAINING}
    seen = reached(starts, wall=REPORT)
    assert not [name for name in seen if name.startswith("models.metrics")]
    barred = {name for name, row in TABLE.items() if "training" not in row.uses} | {"evaluation"}
    asking = {name: words(name) & barred for name in seen if room_of(name) != "models/public"}
    assert not {name: found for name, found in asking.items() if found}
    # The test's own test: without the wall, what measures is found.
    assert "models.metrics.held_out" in reached(starts)


def test_nobody_imports_a_main() -> None:
    """What others need of a stage has a name of its own in the stage's room."""
    for path in modules():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert not [name for name in imports_of(module) if name.endswith(".__main__")], module


# What stages share; a stage's own room is for itself and for what runs stages or tells of them.
SHARED = {"core", "demo", "duplicates", "figures", "imaging"}
OVER_STAGES = {"cli.py", "provenance", "use"}


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_stages_meet_in_shared_rooms_only(module: Path) -> None:
    package, *parts = module.relative_to(ROOT).with_suffix("").parts
    if package != "pipeline" or len(parts) == 1:
        return
    imported = {room_of(name) for name in imports_of(".".join([package, *parts]))}
    rooms = {room.split("/")[1] for room in imported if room.startswith("pipeline/")}
    if parts[0] not in OVER_STAGES:
        assert rooms <= SHARED | {parts[0]}, f"pipeline/{parts[0]} imports another stage's room"


def stage_code(name: str) -> set[str]:
    """The rooms that DVC must watch for a stage: of all that it imports, less the plumbing."""
    todo, seen = [f"pipeline.{name}.__main__"], set()
    while todo:
        module = todo.pop()
        if module not in seen and room_of(module) not in PLUMBING:
            todo += imports_of(module)
        seen.add(module)
    rooms = {room_of(module) for module in seen}
    rooms -= PLUMBING - ({"pipeline/figures"} if name in DRAWS else set())
    if "exclude" in sections_of(name):
        rooms.add(EXCLUDES)
    # The crawler's modules run together: who crawls watches the whole package. To the others it
    # brings bytes as they are.
    rooms = {room for room in rooms if not room.startswith("crawl/")}
    return rooms | ({"crawl"} if name in CRAWLS else set())


@pytest.mark.parametrize("name", STAGES)
def test_stages_watch_the_rooms_they_run_and_no_other(name: str) -> None:
    deps = {dep for dep in DVC_YAML["stages"][name]["deps"] if dep.split("/")[0] in ALLOWED}
    folder = PRETRAINED.relative_to(ROOT)
    shipped = {(folder / file).as_posix() for file in (CONFIG, WEIGHTS)}
    # A variant with `init: shipped` begins from other weights once another model comes along.
    assert deps == stage_code(name) | (shipped if name == "train" else set())


def test_only_what_crawls_watches_the_crawler() -> None:
    watching = {
        name
        for name, stage in DVC_YAML["stages"].items()
        if any(dep.split("/")[0] == "crawl" for dep in stage["deps"])
    }
    assert watching == CRAWLS
    (asking,) = [path for path in modules() if path.name == "exclude.py"]
    assert asking == ROOT / EXCLUDES


def test_lock_file_is_fresh() -> None:
    """``dvc.lock`` was made by this code and these params: else run ``make demo`` and commit it."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository: DVC cannot tell without initialising")
    # As `dvc status --json`, but with this interpreter, whatever is on PATH.
    script = "import json; from dvc.repo import Repo; print(json.dumps(Repo().status()))"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    stale: list[str] = []
    for name, changes in yaml_files.loads(result.stdout.splitlines()[-1]).items():
        for change in changes:
            if change == "changed command":
                stale.append(f"{name}: command")
                continue
            # What other stages make may be absent, or from another commit: `dvc checkout`.
            stale += [
                f"{name}: {item}"
                for item in change.get("changed deps", {})
                if not item.startswith(("data", "checkpoints", "reports"))
            ]
    assert not stale, f"dvc.lock is stale, run `make demo` and commit it: {stale}"
