"""The models that benchmarks run: one a role, the best that is at hand.

A role is a size and a kind of work. For the COCO detectors the trained weights are taken
where they lie beside the project (they are test data and not ours to ship), else the same
network with random weights, which takes about the same time. Their boxes differ, so a
result always names which of the two it was.
"""

from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from bench import frames
from bench.graphs.mobilenet_v2 import save_mobilenet_v2
from bench.graphs.yolox_nano import CLASSES, STRIDES, save_yolox_nano
from bench.report import Unavailable
from visionedge.entities import Image
from visionedge.inference.image import InputWriter
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.session import Session
from visionedge.settings import ModelSettings

ROOT: Final = Path(__file__).parents[1]
SHARED: Final = ROOT.parent / "shared" / "conformance"
_CELLS_WANTED: Final = 40
"""Candidates a frame of a random detector, so that its decode has something to do."""
_YOLOX: Final[dict[str, Any]] = {
    "head": "yolox",
    "name": "yolox-nano",
    "labels": [f"class {number}" for number in range(CLASSES)],
    "input": {"fit": "letterbox_top_left", "color": "bgr", "scale": 1.0, "pad": 114},
}
_MOBILENET: Final[dict[str, Any]] = {
    "head": "classifier",
    "name": "mobilenet-v2",
    "input": {
        "fit": "stretch",
        "color": "rgb",
        "scale": 1 / 255,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
    "output": {"activation": "softmax"},
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One model with pictures for it.

    Attributes:
        role: its key in `SUBJECTS`.
        title: which network, with whose weights.
        model: loaded and warm.
        frames: 1080p.
        pictures: what they show.
    """

    role: str
    title: str
    model: LoadedModel
    frames: list[Image] = field(repr=False)
    pictures: str


def prepare(role: str, folder: Path, shared: Path = SHARED) -> Subject:
    """Find or make the model of a role, and load it.

    Args:
        role: a key of `SUBJECTS`.
        folder: where what is made may lie.
        shared: where trained weights and photos may be found.

    Raises:
        Unavailable: it can be neither found nor made.
    """
    return SUBJECTS[role](role, folder, shared)


def as_it_is(model: LoadedModel) -> LoadedModel:
    """The model with its file run as it is; itself where nothing of it is rewritten."""
    if not model.session.rewritten:
        return model
    session = Session(
        model.bundle.model,
        model.session.providers,
        release_early=model.session.release_early,
        rewrite=False,
    )
    return LoadedModel(
        session, model.card, origins=model.origins, bundle=model.bundle, limits=model.limits
    )


def _pcb_defects(role: str, _: Path, __: Path) -> Subject:
    path = ROOT / "models" / "pcb-defects"
    return Subject(role, "pcb-defects, our bundle", _loaded(path), frames.boards(), "boards")


def _yolox(side_px: int) -> "Build":
    def build(role: str, folder: Path, shared: Path) -> Subject:
        path = folder / f"{role}.onnx"
        source = shared / "models" / "yolox_nano" / "model.onnx"
        pictures, shown = _pictures(shared)
        if source.is_file():
            _resized(source, path, side_px)
            title = "YOLOX-nano, trained on COCO"
        else:
            _random_yolox(path, side_px, pictures)
            title = "YOLOX-nano, random weights"
        return Subject(role, title, _loaded(path, _YOLOX), pictures, shown)

    return build


def _mobilenet(role: str, folder: Path, shared: Path) -> Subject:
    path = folder / f"{role}.onnx"
    save_mobilenet_v2(path, 224)
    pictures, shown = _pictures(shared)
    return Subject(role, "MobileNetV2, random weights", _loaded(path, _MOBILENET), pictures, shown)


def _yolov8n(role: str, _: Path, shared: Path) -> Subject:
    path = shared / "models" / "yolov8n_int8"
    if not path.is_dir():
        raise Unavailable("its weights are not beside the project, and cannot be made")
    pictures, shown = _pictures(shared)
    return Subject(role, "YOLOv8n INT8, trained on COCO", _loaded(path), pictures, shown)


def _exported_yolov8n(role: str, folder: Path, shared: Path) -> Subject:
    """The network as ultralytics itself exports it; it is under the AGPL, so only where it is."""
    try:
        import ultralytics
        from ultralytics import YOLO
    except ImportError:
        raise Unavailable("ultralytics, which exports it, is not installed") from None
    # It writes where one is, and reads the size of the network off the name of the recipe.
    recipe = folder / "yolov8n.yaml"
    recipes = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8"
    recipe.write_bytes((recipes / "yolov8.yaml").read_bytes())
    with chdir(folder):
        YOLO(str(recipe)).export(format="onnx", imgsz=320, simplify=False, verbose=False)
    pictures, shown = _pictures(shared)
    model = _loaded(recipe.with_suffix(".onnx"))
    return Subject(role, "YOLOv8n, random weights", model, pictures, shown)


def _pictures(shared: Path) -> tuple[list[Image], str]:
    folder = shared / "images" / "coco_val"
    return (frames.photos(folder), "photos") if folder.is_dir() else (frames.boards(), "boards")


def _loaded(path: Path, card: Mapping[str, Any] | None = None) -> LoadedModel:
    return load_model(path, ModelSettings(path=str(path)), dict(card) if card else None)


def _resized(source: Path, path: Path, side_px: int) -> None:
    """A network without fixed sizes inside, for another size of input."""
    model = onnx.load(source)
    # Sizes that the exporter worked out for its own input would only be warned of.
    del model.graph.value_info[:]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[2].dim_value = sizes[3].dim_value = side_px
    cells = sum((side_px // stride) ** 2 for stride in STRIDES)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = cells
    onnx.save(model, path)


def _random_yolox(path: Path, side_px: int, pictures: list[Image]) -> None:
    """A network with random weights that sees about `_CELLS_WANTED` things in a frame."""
    save_yolox_nano(path, side_px, objectness_bias=0.0)
    model = _loaded(path, _YOLOX)
    tables = [_raw(model, picture) for picture in pictures]
    joined = np.concatenate(tables)
    floor = model.limits.floor
    save_yolox_nano(path, side_px, _bias(joined, floor, _CELLS_WANTED * len(pictures)))


def _raw(model: LoadedModel, picture: Image) -> NDArray[np.float32]:
    spec = model.session.signature.inputs[0]
    writer = InputWriter(model.card.input, spec)
    writer.write(picture)
    return np.asarray(model.session.run({spec.name: writer.tensor})[0][0], np.float32)


def _bias(table: NDArray[np.float32], floor: float, wanted: int) -> float:
    """The shift of the objectness with which `wanted` rows reach the floor."""
    objectness, score = table[:, 4].astype(np.float64), table[:, 5:].max(axis=1)
    # A row reaches the floor where its objectness does so divided by its class score.
    needed = np.clip(floor / score, 1e-6, 1 - 1e-6)
    short = np.log(needed / (1 - needed)) - np.log(objectness / (1 - objectness))
    return float(np.partition(short, wanted)[wanted])


Build = Callable[[str, Path, Path], Subject]
"""From role, scratch folder and shared folder."""

SUBJECTS: Final[Mapping[str, Build]] = {
    "detector-640": _yolox(640),
    "detector-320": _yolox(320),
    "classifier-224": _mobilenet,
    "pcb-defects": _pcb_defects,
    "yolov8n-640": _yolov8n,
    "yolov8n-320": _exported_yolov8n,
}
DEFAULT_SUBJECTS: Final = ("detector-640", "detector-320", "classifier-224", "pcb-defects")
