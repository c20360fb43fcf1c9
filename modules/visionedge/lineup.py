"""Cameras, models and decisions of one revision of the settings, built beside the old ones.

`prepare` does all that can fail and changes nothing: models are tried in a child process
where they are new to this device, loaded, and proven on their golden frames; the decider
and the snapshots are built. `swap` then cannot fail: one assignment for the pipeline, and
only those cameras are stopped and started whose settings changed. Models and sessions that
did not change are taken over as they are.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visionedge.cameras.feed import CameraFeed, OnState
from visionedge.entities import Frame
from visionedge.errors import ModelError, ModelLoadError, SettingsError
from visionedge.escalation.decide import Decider
from visionedge.escalation.snapshot import Snapshots
from visionedge.inference.golden import verify_golden
from visionedge.inference.model import LoadedModel, limits_of
from visionedge.inference.trial import load_tried
from visionedge.metrics import Metrics
from visionedge.pipeline import Wiring
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import ModelSettings, Settings, StreamCamera, missing_secrets

log: Final = logging.getLogger(__name__)
_FEED_STOP_S: Final = 2.0
_LIMITS: Final = {"floor", "nms_iou", "max_detections"}
"""Settings of a model that need no reload."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A lineup that is ready to take over."""

    settings: Settings
    models: Mapping[str, LoadedModel]
    """By name in the settings."""
    wiring: Wiring


class Lineup:
    """What runs now, and how it becomes what runs next. For the control thread.

    Args:
        slots: where the feeds put frames.
        metrics: for the feeds.
        on_state: told of each change of a camera's state.
    """

    def __init__(self, slots: LatestSlots[Frame], metrics: Metrics, on_state: OnState) -> None:
        self._slots = slots
        self._metrics = metrics
        self._on_state = on_state
        self._now: Prepared | None = None
        self._paused: set[str] = set()
        self.feeds: dict[str, CameraFeed] = {}
        """By camera; replaced whole, so other threads may iterate over it."""

    @property
    def models(self) -> Mapping[str, LoadedModel]:
        """Those in use, by name."""
        return self._now.models if self._now else {}

    def prepare(self, settings: Settings, revision: int) -> Prepared:
        """Build what `settings` ask for.

        Raises:
            SettingsError: a model cannot be used, or a secret is missing; `fields` names it.
                Nothing has changed.
        """
        _check_secrets(settings)
        used = {camera.model for camera in settings.cameras.values()}
        # Beside the spool, because that is what lasts from one container to the next.
        cache = Path(settings.spool.path).parent / "models"
        models = {name: self._model(name, settings.models[name], cache) for name in sorted(used)}
        before = self._now.wiring.decider if self._now else None
        wiring = Wiring(
            revision=revision,
            models={name: models[camera.model] for name, camera in settings.cameras.items()},
            decider=Decider(settings, revision, before),
            snapshots=Snapshots(settings),
        )
        return Prepared(settings, models, wiring)

    def swap(self, prepared: Prepared) -> None:
        """Let `prepared` take over the cameras; the pipeline is rewired by its owner first."""
        before = self._now.settings.cameras if self._now else {}
        after = prepared.settings.cameras
        self._now = prepared
        kept = {name: feed for name, feed in self.feeds.items() if after.get(name) == before[name]}
        for name, feed in self.feeds.items():
            if name not in kept:
                feed.stop(_FEED_STOP_S)
                self._slots.discard(name)
        fresh = {name: self._feed(name, prepared) for name in after if name not in kept}
        self.feeds = {**kept, **fresh}
        self._paused &= after.keys()
        for name, feed in fresh.items():
            if name in self._paused:
                feed.pause()
            feed.start()

    def pause(self, camera_id: str) -> None:
        """Let go of a camera until `resume`, also over changes of its settings."""
        self._paused.add(camera_id)
        self.feeds[camera_id].pause()

    def resume(self, camera_id: str) -> None:
        """Open a camera again after `pause`."""
        self._paused.discard(camera_id)
        self.feeds[camera_id].resume()

    def stop(self, timeout_s: float) -> None:
        """Let go of all cameras."""
        for feed in self.feeds.values():
            feed.stop(timeout_s)

    def _feed(self, name: str, prepared: Prepared) -> CameraFeed:
        return CameraFeed(
            name,
            prepared.settings.cameras[name],
            self._slots,
            self._metrics,
            on_state=self._on_state,
        )

    def _model(self, name: str, settings: ModelSettings, cache: Path) -> LoadedModel:
        """The model in use, if these settings mean the same one; else a new one, proven."""
        if self._now is not None and name in self._now.models:
            model, before = self._now.models[name], self._now.settings.models[name]
            if settings == before:
                return model
            if settings.model_dump(exclude=_LIMITS) == before.model_dump(exclude=_LIMITS):
                return _with_limits(model, settings)
        try:
            return _proven(settings, cache)
        except ModelError as error:
            raise SettingsError(
                f"model `{name}`: {error}", fields={f"models.{name}": str(error)}
            ) from error


def _check_secrets(settings: Settings) -> None:
    missing = missing_secrets(
        {
            f"cameras.{name}.url": camera.url
            for name, camera in settings.cameras.items()
            if isinstance(camera, StreamCamera)
        }
    )
    if missing:
        listed = "; ".join(f"{path}: {reason}" for path, reason in missing.items())
        raise SettingsError(listed, fields=missing)


def _with_limits(model: LoadedModel, settings: ModelSettings) -> LoadedModel:
    return LoadedModel(
        model.session,
        model.card,
        origins=model.origins,
        bundle=model.bundle,
        limits=limits_of(settings),
    )


def _proven(settings: ModelSettings, cache: Path) -> LoadedModel:
    model = load_tried(Path(settings.path), settings, cache)
    mismatches = verify_golden(model)
    if mismatches:
        raise ModelLoadError(
            f"{settings.path} fails {len(mismatches)} of its golden frames: {mismatches[0]}",
            hint="the file, the card or the runtime is not the one the bundle was made with",
        )
    return model
