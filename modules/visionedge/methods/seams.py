"""What direct methods need of the module."""

from collections.abc import Mapping
from typing import Any, Protocol

from visionedge.pipeline import Asked
from visionedge.settings import Settings


class Operated(Protocol):
    """The app, as an operator can work it."""

    @property
    def settings(self) -> Settings:
        """Those in use."""

    def status(self) -> Mapping[str, Any]:
        """Small, and without secrets."""

    def diagnostics(self) -> Mapping[str, Any]:
        """What somebody far away needs to understand the module; without secrets."""

    def capture(self, camera_id: str) -> None:
        """Escalate the next frame of a camera, whatever is in it."""

    def pause(self, camera_id: str) -> None:
        """Let go of a camera."""

    def resume(self, camera_id: str) -> None:
        """Open it again."""

    def recent(self) -> list[Asked]:
        """The latest escalations, newest first."""

    def swap_model(self, name: str) -> str:
        """Try what is desired of a model again; returns what comes of it now."""

    def roll_back_model(self, name: str) -> str:
        """Put the bundle before into use; returns what came of it, empty where there is none."""
