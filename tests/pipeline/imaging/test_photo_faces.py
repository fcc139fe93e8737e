"""Faces in ordinary photos: public-domain portraits, turned, cropped tightly, set in a big page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from models.errors import ModelError
from pipeline.core.errors import StageError
from pipeline.imaging import center_face, photo_faces
from pipeline.imaging.center_face import CenterFace
from pipeline.imaging.images import read_rgb
from pipeline.imaging.photo_faces import PhotoFace, PhotoFaces, QuickFaces

# Of the eye distance. CPUs differ by a hundredth, the quick look more than the other.
NEAR = 0.08
# Middles of the eyes between their corners and lids, by eye.
EYES = {
    "grace_hopper": np.array([(222.0, 189.3), (305.9, 186.8)]),
    "astronaut": np.array([(203.2, 101.2), (246.5, 103.1)]),
}


@pytest.fixture(scope="module", params=[PhotoFaces, QuickFaces])
def faces(request: pytest.FixtureRequest) -> PhotoFaces:
    try:
        return request.param(*photo_faces.weights())
    except ModelError as error:
        pytest.skip(str(error))


def portrait(name: str) -> np.ndarray:
    if name == "grace_hopper":
        path = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    elif spec := importlib.util.find_spec("skimage"):
        path = Path(str(spec.origin)).parent / "data/astronaut.png"
    else:
        pytest.skip("needs scikit-image")
    return read_rgb(path.read_bytes())


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def as_it_is(rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rgb, eyes


def turned(rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
    return cv2.warpAffine(rgb, matrix, (width, height)), moved(eyes, matrix)


def tight(rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square of 128 pixels that the face fills from the brows to the mouth and beyond."""
    side = 2.4 * np.linalg.norm(eyes[1] - eyes[0])
    corner = eyes.mean(axis=0) - (0.5 * side, 0.4 * side)
    scale = 128 / side
    matrix = np.column_stack([np.eye(2) * scale, -scale * corner])
    smooth = cv2.GaussianBlur(rgb, (0, 0), max(0.5 / scale, 0.3))
    return cv2.warpAffine(smooth, matrix, (128, 128)), moved(eyes, matrix)


def on_a_page(rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    page = np.full((2000, 3000, 3), 90, np.uint8)
    page[1300 : 1300 + rgb.shape[0], 150 : 150 + rgb.shape[1]] = rgb
    return page, eyes + (150, 1300)


def huge(rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """50 megapixels."""
    return cv2.resize(rgb, None, fx=13, fy=13), (eyes + 0.5) * 13 - 0.5


def away(face: PhotoFace, eyes: np.ndarray) -> float:
    """How far the eyes are from where they should be, in eye distances."""
    off = np.linalg.norm(face.eyes - eyes, axis=1).max()
    return float(off / np.linalg.norm(eyes[1] - eyes[0]))


@pytest.mark.parametrize("name", EYES)
@pytest.mark.parametrize("change", [as_it_is, turned, tight, on_a_page, huge])
def test_one_face_with_its_eyes(faces: PhotoFaces, name: str, change) -> None:
    """Each photo has another size: OpenCV's trap would show."""
    rgb, eyes = change(portrait(name), EYES[name])
    (face,) = faces.find(rgb)
    assert away(face, eyes) < NEAR
    assert face.likelihood >= 0.5 and face.mesh_likelihood >= 0.5
    left, right, nose, mouth_left, mouth_right = face.landmarks
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_a_photo_is_seen_the_same_whatever_came_before(faces: PhotoFaces) -> None:
    rgb = portrait("grace_hopper")
    fresh = type(faces)(*photo_faces.weights()).find(rgb)
    for other in (rgb[:100, :300], on_a_page(rgb, EYES["grace_hopper"])[0], rgb[:1, :1]):
        faces.find(other)
    (again,) = faces.find(rgb)
    np.testing.assert_array_equal(again.points, fresh[0].points)
    assert again.likelihood == fresh[0].likelihood


def test_all_faces_the_biggest_first(faces: PhotoFaces) -> None:
    rgb, eyes = portrait("grace_hopper"), EYES["grace_hopper"]
    page = np.full((800, 1500, 3), 90, np.uint8)
    page[500:800, 100:356] = cv2.resize(rgb, (256, 300), interpolation=cv2.INTER_AREA)
    page[100:700, 800:1312] = rgb
    big, small = faces.find(page)
    assert away(big, eyes + (800, 100)) < NEAR
    assert away(small, (eyes + 0.5) / 2 - 0.5 + (100, 500)) < 0.09  # half as sharp


def crowd(distance: float) -> np.ndarray:
    """A face of a third of the page's height, and one with eyes ``distance`` pixels apart."""
    rgb, eyes = portrait("grace_hopper"), EYES["grace_hopper"]
    page = np.full((900, 1200, 3), 90, np.uint8)
    page[100:700, 100:612] = rgb
    scale = distance / np.linalg.norm(eyes[1] - eyes[0])
    far = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page[300 : 300 + len(far), 900 : 900 + far.shape[1]] = far
    return page


@pytest.mark.parametrize(("distance", "looks"), [(45, 1), (20, 3)])
def test_the_quick_look_is_believed_where_no_face_is_small(
    faces: PhotoFaces, monkeypatch: pytest.MonkeyPatch, distance: float, looks: int
) -> None:
    """Where one may have been lost, the large squares are looked at, too."""
    look, asked = CenterFace._look, []
    monkeypatch.setattr(
        CenterFace, "_look", lambda self, *a: asked.append(self.look) or look(self, *a)
    )
    assert len(faces.find(crowd(distance))) == 2
    full = [center_face.LOOK] * 2
    quick = [photo_faces.QUICK, *full][:looks]
    assert asked == (quick if isinstance(faces, QuickFaces) else full)


def test_where_the_eyes_are_known_roughly_only_the_mesh_looks(faces: PhotoFaces) -> None:
    rgb, eyes = portrait("grace_hopper"), EYES["grace_hopper"]
    (face,) = faces.find(rgb, eyes=eyes + (6, -4))
    assert away(face, eyes) < NEAR and np.isnan(face.likelihood)
    elsewhere = np.array([(20.0, 20.0), (60.0, 20.0)])  # wrong: the face is looked for
    (face,) = faces.find(rgb, eyes=elsewhere)
    assert away(face, eyes) < NEAR and face.likelihood > 0.5


@pytest.mark.parametrize("size", [(300, 500), (64, 64), (1, 1), (1, 900), (2000, 3)])
def test_no_face_in_noise_and_in_nothing(faces: PhotoFaces, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    assert faces.find(noise) == [] and faces.find(np.full_like(noise, 200)) == []


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no network")
    for path in (tmp_path / "missing.onnx", tmp_path / "other.onnx"):
        with pytest.raises(StageError, match=f"{path.name} is no CenterFace"):
            CenterFace(path)


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(ModelError, match="center_face is not here: face2anime doctor --fetch"):
        photo_faces.weights()


def test_a_photo_lies_in_the_middle_of_the_square_with_a_margin() -> None:
    square, scale, corner = center_face._letterbox(np.zeros((1000, 500, 3), np.uint8), 0.15)
    black = np.argwhere((square == 0).all(axis=2))
    low, high = black.min(axis=0), black.max(axis=0) + 1
    assert low[::-1].tolist() == corner.tolist()
    np.testing.assert_allclose(high[0] - low[0], center_face.LOOK * 0.7, atol=1)
    np.testing.assert_allclose((low + high) / 2, center_face.LOOK / 2, atol=1)
    np.testing.assert_allclose(scale, 0.448, atol=0.002)
