"""`--source` is one camera, of the kind that the word looks like."""

import pytest

from visionedge.errors import SettingsError
from visionedge.settings import resolve
from visionedge.settings.shorthand import camera_document


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("rtsp://camera.local/1", "stream", "stream"),
        ("HTTPS://camera.local/a.mjpg", "stream", "stream"),
        ("/dev/video0", "video0", "usb"),
        ("belt 2.mp4", "belt-2", "file"),
        ("C:/belt.mp4", "belt", "file"),
    ],
)
def test_a_source_is_a_camera_named_after_it(source: str, name: str, kind: str) -> None:
    (camera,) = camera_document(source).items()
    assert (camera[0], camera[1]["kind"]) == (name, kind)


def test_an_address_that_no_camera_has_is_refused_and_not_looked_for_as_a_file() -> None:
    with pytest.raises(SettingsError, match=r"cameras\.stream\.url") as refused:
        resolve([{"cameras": camera_document("ftp://camera.local/belt.mp4")}])
    assert "cameras.stream.url" in refused.value.fields
