"""The faces of a picture, translated: for `translate`, `serve`, Python and the registered model."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.imaging.align import align_face, surroundings
from pipeline.imaging.animeface_process import EndlessError
from pipeline.imaging.images import central_square
from pipeline.use import faces
from pipeline.use.faces import Face, Finder
from pipeline.use.model import BACK, DIRECTION, Model, source_of

if TYPE_CHECKING:  # torch takes seconds: it is imported when the first face is to be translated
    from models.checkpoint import Translator

FINE = 4  # see `cut`


@dataclass(frozen=True)
class Cut:
    """What can be translated of a picture."""

    faces: list[Face]  # large enough, from left to right
    small: list[float]  # pixels between the eyes of the others
    crops: np.ndarray  # uint8 [N, S, S, 3], of the faces, on the model's template


@dataclass(frozen=True)
class Drawn:
    """The translated faces of a picture."""

    cut: Cut
    plain: np.ndarray  # uint8 [N, S, S, 3], as the model draws them
    pictures: np.ndarray  # uint8 [N, size, size, 3], enlarged


class Network:
    """A model's translator, loaded once for all who share it."""

    def __init__(self, model: Model, device: str = "auto", threads: int = 0) -> None:
        """``device``: as torch names it. ``threads``: of torch in this process; 0: as they are."""
        self.model, self.device, self.threads = model, device, threads
        self._lock = Lock()
        self._loading: Future[Translator] | None = None

    def begin(self) -> None:
        """Load it in a thread of its own, so that it is there when the first face is found."""
        with self._lock:
            if self._loading is None:
                pool = ThreadPoolExecutor(1)
                self._loading = pool.submit(self._load)
                pool.shutdown(wait=False)

    def translator(self) -> Translator:
        """Wait for it. Raises ModelError where the model's files are broken."""
        self.begin()
        assert self._loading
        return self._loading.result()

    def draw(self, crops: np.ndarray, to: str) -> np.ndarray:
        """uint8 [N, S, S, 3] → uint8 [N, S, S, 3], translated; N > 0."""
        translator = self.translator()
        import torch  # loaded with the translator, and seconds before

        from models.data.augment import channels_last

        if self.threads:
            torch.set_num_threads(self.threads)  # it holds for the thread that asks
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        return channels_last(translator.translate(images, DIRECTION[to]))

    def enlarge(self, pictures: np.ndarray, size: int, to: str) -> np.ndarray:
        """uint8 [N, S, S, 3] → uint8 [N, size, size, 3], as suits what they became."""
        from pipeline.imaging.enlarge import enlarge  # torch: seconds

        return enlarge(
            pictures, size, kind="drawing" if to == "anime" else "photo", device=self.device
        )

    def _load(self) -> Translator:
        return self.model.load(self.device)


class Drawer:
    """A model with what finds faces for it, each loaded when it is first needed.

    Several threads may ask it; it does one picture after the other.
    """

    def __init__(
        self,
        model: Model,
        networks: tuple[Path, Path] | None = None,
        network: Network | None = None,
    ) -> None:
        """``networks``: the files that find faces in photos; None: those of this machine.
        ``network``: the model's, where it is shared."""
        self.model = model
        self.network = network or Network(model)
        self._networks = networks
        self._lock = Lock()
        self._finders: dict[str, Finder] = {}

    def draw(self, rgb: np.ndarray, to: str, size: int) -> Drawn:
        """All faces of a picture, translated; or its middle, by a model of whole pictures.

        Args:
            rgb: uint8 [H, W, 3].
            to: "anime", of a photo, or "photo", of a drawing.
            size: pixels of a translated face's side.

        Raises:
            ModelError: the model's files are broken, or public weights are missing.
            StageError: faces cannot be looked for.
        """
        with self._lock:
            self.network.begin()
            found = self._cut(rgb, to)
            plain = found.crops
            if not found.faces:
                return Drawn(found, plain, np.empty((0, size, size, 3), np.uint8))
            plain = self.network.draw(found.crops, to)
            return Drawn(found, plain, self.network.enlarge(plain, size, to))

    def back(self, drawn: Drawn, to: str) -> np.ndarray:
        """What was made ``to``, translated back: uint8 [N, size, size, 3]."""
        size = drawn.pictures.shape[1]
        if not len(drawn.plain):
            return np.empty((0, size, size, 3), np.uint8)
        with self._lock:
            plain = self.network.draw(drawn.plain, BACK[to])
            return self.network.enlarge(plain, size, BACK[to])

    def prepare(self, to: str) -> None:
        """Load what finds faces now: what is wrong with a picture is then told apart from that.

        Raises ModelError and StageError as `draw`.
        """
        with self._lock:
            if not self.model.takes_whole(to):
                self._finder(to)

    def _cut(self, rgb: np.ndarray, to: str) -> Cut:
        if self.model.takes_whole(to):
            return cut_middle(rgb, self.model.template(to))
        return cut_faces(rgb, self._finder(to), self.model.template(to))

    def _finder(self, to: str) -> Finder:
        domain = source_of(to)
        if domain not in self._finders:
            self._finders[domain] = faces.finder(domain, self._networks)
        return self._finders[domain]


def cut_middle(rgb: np.ndarray, align: Align) -> Cut:
    """The largest square in the middle of a picture, as the data sets have it."""
    middle = faces.middle(rgb.shape, align)
    return Cut([middle], [], central_square(rgb, align.size)[None])


def cut_faces(rgb: np.ndarray, find: Finder, align: Align) -> Cut:
    """The faces of a picture that are large enough, cut out.

    Raises StageError when the search does not come to an end.
    """
    try:
        found = find(rgb)
    except EndlessError as error:
        raise StageError(str(error)) from None
    kept = [face for face in found if face.eye_distance >= faces.LEAST]
    small = [face.eye_distance for face in found if face.eye_distance < faces.LEAST]
    return Cut(kept, small, cut(rgb, [face.eyes for face in kept], align))


def cut(rgb: np.ndarray, eyes: list[np.ndarray], align: Align) -> np.ndarray:
    """The faces with these eyes on the template: uint8 [N, S, S, 3].

    What `align_face` blurs grows with the square of how fine a picture is, and takes 10 s for 50
    megapixels: so it is given the surroundings of a face, at most `FINE` times as fine as needed.
    """
    reach = 1.5 / align.eye_distance  # from the eyes to the farthest corner, and beyond
    most = FINE * align.eye_distance * align.size
    crops = np.empty((len(eyes), align.size, align.size, 3), np.uint8)
    for place, pair in enumerate(eyes):
        part, corner, scale = surroundings(rgb, pair, reach, most)
        crops[place] = align_face(part, (pair - corner + 0.5) * scale - 0.5, align)[0]
    return crops


def small_face(distance: float) -> str:
    """What is told of a face that is left out."""
    return f"a face with its eyes {round(distance, 1):g} pixels apart, {faces.LEAST:g} are needed"
