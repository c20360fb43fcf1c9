import tracemalloc
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.card import InputCard
from visionedge.inference.image import InputWriter, read_image
from visionedge.inference.tensors import TensorSpec

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def picture(width: int = 90, height: int = 60) -> Image:
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image.flags.writeable = False
    return image


def spec(shape: tuple[int | None, ...], dtype: str = "float32") -> TensorSpec:
    return TensorSpec("images", shape, np.dtype(dtype))


def naively(image: Image, card: InputCard, size: int) -> NDArray[Any]:
    """The training scripts' way: letterbox, reorder, divide, normalise, transpose."""
    height, width = image.shape[:2]
    scale = min(size / width, size / height)
    inside = round(width * scale), round(height * scale)
    canvas = np.full((size, size, 3), card.pad, np.uint8)
    left, top = (size - inside[0]) // 2, (size - inside[1]) // 2
    canvas[top : top + inside[1], left : left + inside[0]] = cv2.resize(image, inside)
    pixels = canvas[..., ::-1] if card.color == "rgb" else canvas
    x: NDArray[Any] = pixels.astype(np.float32)
    if card.scale != 1:
        x = x / np.float32(255)
    if card.mean:
        x = (x - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)
    return x


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("planar", [True, False])
def test_the_tensor_equals_the_training_scripts_to_the_last_bit(
    color: str, normalised: bool, dtype: str, planar: bool
) -> None:
    extra = {"mean": MEAN, "std": STD} if normalised else {}
    card = InputCard.model_validate({"color": color, **extra})
    shape = (1, 3, 64, 64) if planar else (1, 64, 64, 3)
    writer = InputWriter(card, spec(shape, dtype))
    writer.write(picture())
    wanted = naively(picture(), card, 64).astype(dtype)
    found = writer.tensor[0].transpose(1, 2, 0) if planar else writer.tensor[0]
    assert writer.tensor.dtype == dtype
    assert writer.tensor.shape == shape
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 64, 64, 3), (3, 64, 64), (None, 3, 64, 64)])
def test_raw_pixels_are_written_as_they_are(shape: tuple[int | None, ...]) -> None:
    card = InputCard(scale=1.0, color="bgr")
    for dtype in ("float32", "uint8"):
        writer = InputWriter(card, spec(shape, dtype))
        writer.write(picture())
        chw = writer.tensor.reshape(writer.tensor.shape[-3:])
        hwc = chw if chw.shape[2] == 3 else chw.transpose(1, 2, 0)
        np.testing.assert_array_equal(hwc, naively(picture(), card, 64))


@pytest.mark.parametrize("shape", [(1, 1, 32, 48), (1, 32, 48, 1)])
def test_a_gray_model_gets_luma(shape: tuple[int, ...]) -> None:
    writer = InputWriter(InputCard(color="gray", fit="stretch"), spec(shape))
    writer.write(picture())
    gray = cv2.cvtColor(cv2.resize(picture(), (48, 32)), cv2.COLOR_BGR2GRAY) / np.float32(255)
    np.testing.assert_array_equal(writer.tensor.reshape(32, 48), gray)


def test_a_crop_is_the_middle_of_the_scaled_picture() -> None:
    writer = InputWriter(InputCard(fit="crop", scale=1.0, color="bgr"), spec((1, 3, 30, 30)))
    writer.write(picture(90, 60))
    wanted = cv2.resize(picture(90, 60)[:, 15:75], (30, 30))
    np.testing.assert_array_equal(writer.tensor[0].transpose(1, 2, 0), wanted)


def test_one_mean_serves_all_channels() -> None:
    card = InputCard(scale=1 / 127.5, mean=(1.0,), fit="stretch")
    writer = InputWriter(card, spec((1, 3, 8, 8)))
    writer.write(np.full((8, 8, 3), 255, np.uint8))
    np.testing.assert_allclose(writer.tensor, 1, atol=1e-6)


def test_the_same_memory_is_used_for_every_frame() -> None:
    writer = InputWriter(InputCard(), spec((1, 3, 64, 64)))
    writer.write(picture())
    before, tensor = writer.tensor.ctypes.data, writer.tensor
    writer.write(picture(50, 100))
    assert writer.tensor is tensor
    assert writer.tensor.ctypes.data == before


def test_a_frame_allocates_no_picture() -> None:
    writer = InputWriter(InputCard(mean=MEAN, std=STD), spec((1, 3, 320, 320)))
    frame = picture(1280, 720)
    writer.write(frame)
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            writer.write(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 320 * 180


def test_a_frame_of_another_size_leaves_nothing_of_the_one_before() -> None:
    writer = InputWriter(InputCard(), spec((1, 3, 64, 64)))
    for size in [(90, 60), (60, 90), (64, 64), (200, 20), (90, 60)]:
        writer.write(picture(*size))
        wanted = naively(picture(*size), InputCard(), 64)
        np.testing.assert_array_equal(writer.tensor[0].transpose(1, 2, 0), wanted)


@pytest.mark.parametrize("fit", ["letterbox", "letterbox_top_left", "crop", "stretch"])
@pytest.mark.parametrize("size", [(192, 192), (90, 61), (57, 200), (64, 64), (640, 360)])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area", "cubic"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_a_mirror_image_is_written_as_a_copy_of_it_would_be(
    fit: str, size: tuple[int, int], interpolation: str, axes: tuple[int, ...]
) -> None:
    card = InputCard.model_validate(
        {"fit": fit, "scale": 1.0, "color": "bgr", "interpolation": interpolation}
    )
    turned = np.flip(picture(*size), axes)
    view, copy = (InputWriter(card, spec((1, 3, 64, 64))) for _ in range(2))
    assert view.write(turned) == copy.write(turned.copy())
    # One level, because OpenCV rounds the weights of the samples one by one.
    np.testing.assert_allclose(view.tensor, copy.tensor, atol=1)


def test_a_mirror_image_is_not_copied_whole() -> None:
    writer, frame = InputWriter(InputCard(), spec((1, 3, 64, 64))), picture(1280, 720)
    writer.write(frame)
    tracemalloc.start()
    try:
        writer.write(np.flip(frame, (0, 1)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < frame.nbytes / 10


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
def test_slivers_fit_too(size: tuple[int, int]) -> None:
    writer = InputWriter(InputCard(), spec((1, 3, 64, 64)))
    geometry = writer.write(picture(*size))
    assert (geometry.width, geometry.height) == size
    assert np.isfinite(writer.tensor).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(bad: NDArray[Any]) -> None:
    writer = InputWriter(InputCard(), spec((1, 3, 64, 64)))
    with pytest.raises(ModelRunError, match=r"\(H, W, 3\) uint8"):
        writer.write(bad)


def test_a_frame_that_changes_its_type_is_refused_too() -> None:
    writer = InputWriter(InputCard(), spec((1, 3, 64, 64)))
    writer.write(picture())
    with pytest.raises(ModelRunError):
        writer.write(cast("Image", picture().astype(np.float32)))


@pytest.mark.parametrize(
    ("shape", "dtype", "card", "named"),
    [
        ((1, 3), "float32", {}, "3 or 4 dimensions"),
        ((4, 3, 64, 64), "float32", {}, "batch"),
        ((1, 5, 64, 64), "float32", {}, "input.layout"),
        ((1, 5, 64, 64), "float32", {"layout": "nchw"}, "input.color"),
        ((1, 3, 64, 64), "float32", {"color": "gray"}, "input.color"),
        ((1, 1, 64, 64), "float32", {}, "input.color"),
        ((1, 3, None, None), "float32", {}, "input.width_px"),
        ((1, 3, 64, 64), "float32", {"width_px": 32}, "width_px"),
        ((1, 3, 64, 64), "int64", {}, "float32"),
        ((1, 3, 64, 64), "uint8", {}, "input.scale"),
    ],
)
def test_a_card_that_does_not_fit_the_input_is_refused_by_field(
    shape: tuple[int | None, ...], dtype: str, card: dict[str, Any], named: str
) -> None:
    with pytest.raises(ModelCardError) as caught:
        InputWriter(InputCard.model_validate(card), spec(shape, dtype))
    assert named in str(caught.value)


def test_a_free_size_is_the_cards() -> None:
    writer = InputWriter(InputCard(width_px=96, height_px=64), spec((None, 3, None, None)))
    assert writer.tensor.shape == (1, 3, 64, 96)


def test_only_pictures_are_read(tmp_path: Path) -> None:
    good, text, empty = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    cv2.imwrite(str(good), picture())
    text.write_text("no picture")
    empty.touch()
    read = read_image(good)
    assert read is not None
    np.testing.assert_array_equal(read, picture())
    others = (text, empty, tmp_path / "missing.png", tmp_path, tmp_path / "a\0.png")
    assert [read_image(other) for other in others] == [None] * 5
