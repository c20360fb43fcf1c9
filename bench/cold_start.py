"""From the start of the process to the first decision, over the least program that could look.

    bare             python, OpenCV and ONNX Runtime, one session, one picture, one run
    one BLAS thread  the same, because OpenBLAS spins in as many as there are cores, for nothing
    and pydantic     that, and pydantic is imported
    and checked      that, and our settings and the card are checked by our own classes
    ours             `visionedge run`, one camera, until its log says that it decided
    ours, hub        the same, told to connect to IoT Edge by the device SDK meanwhile
    ours, new        the same as ours with an empty folder, as on a new device: the model is
                     tried in a process of its own first, and its golden frames are run

What `and checked` takes more than `one BLAS thread` is the price of settings that are checked; what
ours takes more than `and checked` is that of all the rest. Files are in the page cache, and
bytecode is compiled.
"""

import compileall
import json
import shutil
from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

import cv2

import visionedge
from bench.child import Child
from bench.context import Context
from bench.floor import NOTHING
from bench.harness import Sample, compare, in_rounds
from bench.ratios import COLUMNS
from bench.report import Report, Table
from bench.subjects import Subject
from visionedge.inference.model import LoadedModel

_BASE: Final = "bare program"
_QUIET: Final = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""As the module sets it for itself."""
_WORD: Final = "first decision"
_IOTEDGE: Final = {
    "IOTEDGE_MODULEID": "visionedge",
    "IOTEDGE_DEVICEID": "bench",
    "IOTEDGE_IOTHUBHOSTNAME": "bench.invalid",
    "IOTEDGE_GATEWAYHOSTNAME": "bench.invalid",
    "IOTEDGE_AUTHSCHEME": "sasToken",
    "IOTEDGE_MODULEGENERATIONID": "1",
    "IOTEDGE_WORKLOADURI": "unix:///nonexistent/workload.sock",
    "IOTEDGE_APIVERSION": "2019-01-30",
}
"""Of a hub that is not there: the SDK is imported and set up, and finds nobody."""


def run(context: Context) -> Report:
    """Measure every subject."""
    for folder in (Path(visionedge.__file__).parent, Path(__file__).parent):
        compileall.compile_dir(folder, quiet=1)
    return context.report("cold_start", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    folder = context.folder / f"cold-{subject.role}"
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    picture = pictures / "frame.jpg"
    cv2.imwrite(str(picture), subject.frames[0])
    warm, fresh = folder / "warm", folder / "fresh"
    configs = {place: write_config(place, subject.model, pictures) for place in (warm, fresh)}
    bundle = folder / "bundle"
    floor = ["-m", "bench.floor", str(bundle / "model.onnx"), str(picture)]
    checked = [*floor, str(configs[warm]), str(bundle / "model.json")]
    turns = {
        _BASE: partial(_turn, floor, "looked"),
        "one BLAS thread": partial(_turn, floor, "looked", environment=_QUIET),
        "and pydantic": partial(_turn, [*floor, NOTHING, NOTHING], "looked", environment=_QUIET),
        "and checked": partial(_turn, checked, "looked", environment=_QUIET),
        "ours": partial(_start, configs[warm], {}),
        "ours, hub": partial(_start, configs[warm], _IOTEDGE),
        "ours, new device": partial(_start_anew, fresh, configs[fresh]),
    }
    with context.progress(f"cold_start {subject.role}", context.blocks) as tick:
        rounds = in_rounds(
            turns, context.blocks, warm_up=1, patience_s=context.patience_s, tick=tick
        )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.blocks} rounds",
        rows=compare(rounds, _BASE),
        columns=[each for each in COLUMNS if each.heading != "frames/s"],
        notes=(f"one 1080p JPEG ({subject.pictures}), files cached", rounds.disturbance),
        bar=attrgetter("ratio"),
    )


def write_config(place: Path, model: LoadedModel, pictures: Path) -> Path:
    """Settings of a module that looks at `pictures` and keeps everything in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    bundle = write_bundle(place.parent / "bundle", model)
    path = place.with_suffix(".json")
    settings = {
        "cameras": {"line": {"kind": "file", "path": str(pictures)}},
        "models": {"default": {"path": str(bundle)}},
        "http": {"port": 0},
        "spool": {"path": str(place / "spool.db")},
        "egress": {"path": str(place / "egress.jsonl")},
        "uplink": {"local_path": str(place / "outbox")},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def write_bundle(bundle: Path, model: LoadedModel) -> Path:
    """The subject as a bundle with a card, because benchmarks tell some by hand how to be read."""
    if not bundle.is_dir():
        bundle.mkdir(parents=True)
        shutil.copy(model.bundle.model, bundle / "model.onnx")
        card = model.card.model_dump(mode="json")
        (bundle / "model.json").write_text(json.dumps(card), encoding="utf-8")
        if model.bundle.golden is not None:
            shutil.copytree(model.bundle.golden, bundle / "golden")
    return bundle


def _start_anew(place: Path, config: Path, number: int) -> Sample:
    shutil.rmtree(place)
    return _start(config, {}, number)


def _start(config: Path, environment: Mapping[str, str], number: int) -> Sample:
    arguments = ["-m", "visionedge", "run", "--config", str(config), "--grace", "1"]
    return _turn(arguments, _WORD, number, environment)


def _turn(
    arguments: list[str], word: str, _: int, environment: Mapping[str, str] | None = None
) -> Sample:
    with Child(arguments, environment) as child:
        used = child.until(word)
    return Sample(used.wall_s, used.cpu_s)
