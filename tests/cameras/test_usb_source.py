"""USB cameras, as far as they show without one: refusals, and what is asked of a driver."""

import os
from pathlib import Path

import cv2
import pytest

from visionedge.cameras.usb import UsbSource, wishes
from visionedge.errors import CameraUnavailable
from visionedge.settings import UsbCamera


def usb(device: Path | str) -> UsbSource:
    return UsbSource(UsbCamera(kind="usb", device=str(device)))


def test_a_device_that_is_not_there_is_refused_by_its_name() -> None:
    with pytest.raises(CameraUnavailable, match="/dev/video250 does not exist") as caught:
        usb("/dev/video250").open()
    assert "HostConfig.Devices" in caught.value.hint


def test_a_file_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"")
    with pytest.raises(CameraUnavailable, match="is no device"):
        usb(tmp_path / "video0").open()


def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(CameraUnavailable, match="/dev/null gives no video") as caught:
        usb("/dev/null").open()
    assert "another program" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every device")
def test_a_device_that_may_not_be_opened_is_refused() -> None:
    with pytest.raises(CameraUnavailable, match="may not be opened"):
        usb("/dev/mem").open()


def test_a_source_that_did_not_open_gives_nothing_and_closes() -> None:
    source = usb("/dev/video250")
    with pytest.raises(CameraUnavailable, match="gives no more frames"):
        source.grab()
    with pytest.raises(CameraUnavailable):
        source.retrieve()
    source.close()
    source.close()


def test_the_format_is_asked_for_before_the_size_and_the_rate() -> None:
    settings = UsbCamera(kind="usb", width_px=1920, height_px=1080, fps=15)
    motion_jpeg = int.from_bytes(b"MJPG", "little")
    assert wishes(settings) == (
        (cv2.CAP_PROP_FOURCC, motion_jpeg),
        (cv2.CAP_PROP_FRAME_WIDTH, 1920),
        (cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        (cv2.CAP_PROP_FPS, 15),
    )


@pytest.mark.parametrize(("asked_s", "promised_s"), [(1, 5), (30, 30)])
def test_a_read_may_take_as_long_as_v4l2_waits(asked_s: float, promised_s: float) -> None:
    source = UsbSource(UsbCamera(kind="usb", read_timeout_s=asked_s))
    assert source.traits.read_timeout_s == promised_s
    assert source.traits.live
