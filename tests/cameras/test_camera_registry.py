"""Every kind of camera that can be set can be made."""

import threading
from typing import get_args

import pytest
from pydantic import BaseModel

from visionedge.cameras.feed import CameraFeed
from visionedge.cameras.feeds import make_feed
from visionedge.cameras.input_feed import InputFeed
from visionedge.cameras.registry import CAMERAS, make_source
from visionedge.entities import Frame
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import (
    CameraSettings,
    FileCamera,
    InputCamera,
    PatternCamera,
    StreamCamera,
    UsbCamera,
)

_SETTINGS = (
    PatternCamera(),
    FileCamera(kind="file", path="none"),
    StreamCamera(kind="stream", url="rtsp://camera/line"),
    UsbCamera(kind="usb"),
)


def _kinds() -> tuple[type[BaseModel], ...]:
    union, _ = get_args(CameraSettings)
    return get_args(union)


def test_every_kind_of_the_settings_has_a_builder() -> None:
    kinds = [get_args(kind.model_fields["kind"].annotation) for kind in _kinds()]
    # Another module opens no source: it has a feed of its own.
    assert {kind for (kind,) in kinds} == {*CAMERAS, "input"}
    assert {settings.kind for settings in _SETTINGS} == set(CAMERAS)


@pytest.mark.parametrize(
    ("settings", "feed"), [(PatternCamera(), CameraFeed), (InputCamera(kind="input"), InputFeed)]
)
def test_each_kind_gets_its_feed(settings: CameraSettings, feed: type[object]) -> None:
    assert type(make_feed("line", settings, LatestSlots[Frame](), Metrics())) is feed


def test_every_line_that_can_be_set_can_be_built() -> None:
    for field in ("width_px", "height_px", "fps", "seed", "defect_rate"):
        bounds = PatternCamera.model_fields[field].metadata
        for end in [getattr(bound, "ge", getattr(bound, "le", None)) for bound in bounds]:
            make_source(PatternCamera.model_validate({field: end}))


@pytest.mark.parametrize("settings", _SETTINGS, ids=lambda settings: settings.kind)
def test_making_a_source_touches_nothing(settings: CameraSettings) -> None:
    make_source(settings).close()


def test_a_halt_lets_a_paced_source_go_on_at_once() -> None:
    halt = threading.Event()
    source = make_source(PatternCamera(width_px=160, height_px=120, fps=0.1), halt)
    source.open()
    halt.set()
    for _ in range(3):
        source.grab()
    source.close()
