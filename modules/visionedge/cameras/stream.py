"""A network camera: RTSP, or MJPEG and video over HTTP, through FFmpeg.

RTSP goes over TCP, and over UDP where the camera refuses TCP (FFmpeg's `prefer_tcp`).
OpenCV 5.0 takes FFmpeg options from the environment of the process only, so there is no
setting a camera for it; a device whose cameras all need UDP sets
`OPENCV_FFMPEG_CAPTURE_OPTIONS=rtsp_transport;udp` in its deployment.

An address cannot lead to a file of the device. Its scheme is one of four, FFmpeg's HTTP
follows redirects to HTTP only, and what a stream may open in turn (a playlist its parts)
is held to network protocols by the `default_whitelist` of FFmpeg's protocols.

Not promised: that a wrong password and a wrong path can be told apart. FFmpeg keeps the
status that the camera answered to itself.
"""

import socket
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import cv2

from visionedge.cameras.capture import ONE_THREAD, Capture
from visionedge.cameras.source import Traits
from visionedge.entities import Image
from visionedge.errors import CameraUnavailable, SettingsError
from visionedge.runtime.redact import redact
from visionedge.settings import StreamCamera, reveal

_PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_PROBE_TIMEOUT_S: Final = 2.0


class StreamSource:
    """A `CameraSource` of the network."""

    def __init__(self, settings: StreamCamera) -> None:
        self._settings = settings
        self.traits = Traits(
            open_timeout_s=settings.open_timeout_s + _PROBE_TIMEOUT_S,
            read_timeout_s=settings.read_timeout_s,
            live=True,
        )
        self._capture = Capture()
        self._name = redact(settings.url)

    def open(self) -> None:
        """Connect and find the video.

        Raises:
            CameraUnavailable: with the likeliest reason, as far as it shows from here.
        """
        url = _revealed(self._settings.url)
        address = _address(url, self._name)
        params = (
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(self._settings.open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._settings.read_timeout_s * 1000),
            *ONE_THREAD,
        )  # fmt: skip
        started_s = time.monotonic()
        if not self._capture.open(url, cv2.CAP_FFMPEG, params):
            raise self._refusal(address, time.monotonic() - started_s)

    def grab(self) -> None:
        """Wait for the next frame and decode it.

        Raises:
            CameraUnavailable: none came in time, or the stream ended; reopen.
        """
        started_s = time.monotonic()
        if self._capture.grab():
            return
        if time.monotonic() - started_s >= self._settings.read_timeout_s:
            raise CameraUnavailable(
                f"{self._name} sent no frame for {self._settings.read_timeout_s:g} s",
                hint="check the camera and the network between",
            )
        raise CameraUnavailable(
            f"{self._name} ended its stream", hint="check the camera; it may be restarting"
        )

    def retrieve(self) -> tuple[Image, None]:
        """Convert the frame to BGR."""
        return self._capture.retrieve(), None

    def close(self) -> None:
        """End the session."""
        self._capture.close()

    def _refusal(self, address: "_Address", took_s: float) -> CameraUnavailable:
        """Why it would not open: FFmpeg does not say, so the address is tried once."""
        try:
            socket.create_connection((address.host, address.port), _PROBE_TIMEOUT_S).close()
        except OSError as error:
            return _unreachable(address.shown, error)
        if took_s >= self._settings.open_timeout_s:
            return CameraUnavailable(
                f"{self._name} took the connection and gave no video within "
                f"{self._settings.open_timeout_s:g} s",
                hint="check that it is a camera's address; restart the camera",
            )
        return CameraUnavailable(
            f"{self._name} answers, but gives no video",
            hint="check user, password and path; try it with `ffplay`",
        )


def _revealed(url: str) -> str:
    """The address with its secrets, as they are now."""
    try:
        return reveal(url)
    except SettingsError as error:
        raise CameraUnavailable(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a camera is, and how people are told."""

    host: str
    port: int
    shown: str


def _address(url: str, name: str) -> _Address:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme.lower()]
    except (ValueError, KeyError):
        port = 0
    # A password with one of `/?#` in it ends the host too early: what is left of it would be looked
    # up as the host, and told to everybody.
    behind = url.partition("://")[2].removeprefix(parts.netloc) if port else ""
    if not port or not parts.hostname or ("@" in parts.netloc and "@" in behind):
        raise CameraUnavailable(
            f"{name} is no address of a camera",
            hint="write it as rtsp://user:password@host:port/path, or with rtsps, http, https; in "
            "user and password %40 for @, %2F for /, %3A for :, %3F for ?, %23 for #",
        )
    shown = name if "@" in behind else f"{parts.hostname}:{port}"
    return _Address(parts.hostname, port, shown)


def _unreachable(where: str, error: OSError) -> CameraUnavailable:
    if isinstance(error, socket.gaierror):
        return CameraUnavailable(
            f"the name in {where} does not resolve", hint="check the name and the device's DNS"
        )
    if isinstance(error, ConnectionRefusedError):
        return CameraUnavailable(
            f"{where} refuses connections", hint="check the port; the camera may be starting"
        )
    if isinstance(error, TimeoutError):
        return CameraUnavailable(
            f"{where} does not answer", hint="check that the camera has power and network"
        )
    return CameraUnavailable(
        f"{where} cannot be reached: {error.strerror}", hint="check the device's network"
    )
