"""Cameras, models and decisions of one revision of the settings, built beside the old ones.

`prepare` does all that can fail and changes nothing: models are tried in a child process
where they are new to this device, loaded, proven on their golden frames, and warmed for as
many as run at once, all on the cores that the line leaves; the decider and the snapshots are
built. `swap` then cannot fail: one assignment for the pipeline, and
only those cameras are stopped and started whose settings changed. Models and sessions that
did not change are taken over as they are, and models of one file share its session.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from visionedge.cameras.feed import CameraState, OnState
from visionedge.cameras.feeds import Feed, make_feed, stop_feeds
from visionedge.entities import Frame
from visionedge.errors import ModelError, ModelLoadError, SettingsError
from visionedge.escalation.baselines import Baselines
from visionedge.escalation.decide import Decider, OnFault
from visionedge.escalation.drift import Baseline, DriftState
from visionedge.escalation.snapshot import Snapshots
from visionedge.escalation.trace import Trace, TracedDecider
from visionedge.handover import make_ready
from visionedge.inference.ahead import Ahead
from visionedge.inference.cascade import misfit, rules_of
from visionedge.inference.model import LoadedModel, Second, limits_of
from visionedge.inference.proven import load_proven
from visionedge.inference.tuned import Tuned
from visionedge.inference.view import View, view_of
from visionedge.metrics import Metrics
from visionedge.pauses import Pauses
from visionedge.pipeline import Wiring
from visionedge.runtime.cores import cores, leave_cores
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Caller, beat
from visionedge.second_look import second_models, seconds_of
from visionedge.settings import (
    CameraSettings,
    ModelSettings,
    Settings,
    StreamCamera,
    missing_secrets,
)
from visionedge.settings.cameras import is_same_source

if TYPE_CHECKING:
    from visionedge.busy import Busy
    from visionedge.inference.rivals import Rivals

log: Final = logging.getLogger(__name__)
_FEED_STOP_S: Final = 2.0
_LOAD_S: Final = 280.0
"""More than a trial may take, and less than makes the control thread look stuck. Each begins with
a sign of life of that: a line may have several models."""
_SAME_SESSION: Final = {
    *("floor", "nms_iou", "max_detections", "then"),
    *("path", "uri", "sha256", "size_bytes", "signature"),
}
"""Settings of a model that need no reload as long as it lies where it lay."""
Paths = Callable[[str, ModelSettings], Sequence[Path]]
"""Where a model is to be loaded from, best first."""


@dataclass(frozen=True, slots=True)
class Held:
    """A model in memory, and what it was made of."""

    model: LoadedModel
    settings: ModelSettings
    path: Path


@dataclass(frozen=True, slots=True)
class Prepared:
    """A lineup that is ready to take over."""

    settings: Settings
    held: Mapping[str, Held]
    """By name in the settings."""
    wiring: Wiring


class Lineup:
    """What runs now, and how it becomes what runs next. For the control thread.

    Args:
        slots: where the feeds put frames.
        metrics: for the feeds.
        on_state: told of each change of a camera's state.
        paths: where models lie; by default where the settings say.
        on_fault: told of cameras whose picture has become bad, or good again.
        away: whether the cloud is measured to be away.
        pauses: which cameras rest; None keeps them for this process only.
        baselines: of drift; likewise.
        ahead: models that are being loaded already.
        cache: what is found out of models; by default beside the spool of the settings.
    """

    def __init__(
        self,
        slots: LatestSlots[Frame],
        metrics: Metrics,
        on_state: OnState,
        paths: Paths = lambda _, settings: (Path(settings.path),),
        on_fault: OnFault | None = None,
        away: Callable[[], bool] = lambda: False,
        pauses: Pauses | None = None,
        baselines: Baselines | None = None,
        ahead: Ahead | None = None,
        cache: Path | None = None,
    ) -> None:
        self._cache = cache
        self._baselines = baselines or Baselines()
        self._on_fault = on_fault
        self._away = away
        self._slots = slots
        self._metrics = metrics
        self._on_state = on_state
        self._paths = paths
        self._now: Prepared | None = None
        self._trace: Trace | None = None
        self._held: dict[str, Held] = {}
        self._ahead = ahead or Ahead()
        self._sessions = self._ahead.sessions
        self._pauses = pauses or Pauses()
        self._loader = Caller("loading")
        self.busy: Busy | None = None
        """Tells how busy the line is, once it runs: a new model is made ready beside it."""
        self.trials: dict[str, Rivals] = {}
        """Bundles on trial, by name of the model; in effect from the next `swap` on."""
        self.feeds: dict[str, Feed] = {}
        """By camera; replaced whole, so other threads may iterate over it."""

    @property
    def models(self) -> Mapping[str, LoadedModel]:
        """Those in use, by name."""
        return {name: held.model for name, held in self._held.items()}

    def camera_states(self) -> dict[str, str]:
        """Those that do not run first: of too many the twin leaves out the last."""
        states = {name: str(feed.state or "starting") for name, feed in self.feeds.items()}
        return dict(sorted(states.items(), key=lambda each: each[1] == CameraState.RUNNING))

    def is_shown_frames(self, name: str) -> bool:
        """False for a model that only follows another one in a cascade, or is not in use."""
        cameras = self._now.settings.cameras.values() if self._now else ()
        return any(camera.model == name for camera in cameras)

    def misfit(self, name: str, candidate: LoadedModel) -> str:
        """Why a model cannot stand for a name in the cascades it is part of; empty if it can."""
        for first, held in self._held.items():
            second, then = held.model.second, held.settings.then
            if second is None or then is None:
                continue
            one = candidate if first == name else held.model
            other = candidate if then.model == name else second.model
            if fault := misfit(one.card, other.card, second.rules):
                return f"models.{first}.then.{fault.field}: {fault.reason}"
        return ""

    def best_workers(self, prepared: Prepared) -> int:
        """As many as were measured to be best for the model of most cameras, else one a core."""
        used = Counter(camera.model for camera in prepared.settings.cameras.values())
        for name, _ in used.most_common(1):
            sha256 = str(prepared.held[name].model.card.sha256)
            choice = Tuned(self._cache_of(prepared.settings)).choice(sha256)
            return choice.workers if choice else cores()
        return cores()

    def runs(self, workers: int) -> dict[str, str]:
        """How each model is run, in words for the twin."""
        now = self._now
        return (
            {}
            if now is None
            else {
                name: _run_in_words(held, workers, Tuned(self._cache_of(now.settings)))
                for name, held in now.held.items()
            }
        )

    def path_of(self, name: str) -> Path:
        """Where the model in use lies."""
        return self._held[name].path

    def use(self, name: str, model: LoadedModel, path: Path) -> None:
        """Let a model that was loaded elsewhere stand for a name from the next `prepare` on."""
        self._held[name] = Held(model, self._held[name].settings, path)

    def prepare(self, settings: Settings, revision: int) -> Prepared:
        """Build what `settings` ask for.

        Raises:
            SettingsError: a model cannot be used, or a secret is missing; `fields` names it.
                Nothing has changed.
        """
        if self._now is None or settings is not self._now.settings:
            # A secret that went away since must not keep a bad model in use.
            _check_secrets(settings)
        used = {camera.model for camera in settings.cameras.values()} | second_models(settings)
        cache = self._cache_of(settings)
        held = {
            name: self._hold(name, settings.models[name], cache)
            for name in sorted(used | _seconds(settings, used))
        }
        # Those that follow first: one that was followed itself until now is so no more.
        held |= {name: _joined(name, held) for name in _seconds(settings, used)}
        held |= {name: _joined(name, held) for name in sorted(used)}
        models = {name: each.model for name, each in held.items()}
        before = self._now.wiring.decider if self._now else None
        views = _views(settings, models)
        wiring = Wiring(
            revision=revision,
            models={name: models[camera.model] for name, camera in settings.cameras.items()},
            decider=self._decider(settings, revision, before),
            snapshots=Snapshots(settings),
            views=views,
            seconds=seconds_of(settings, models, views),
            trials={
                name: self.trials[camera.model]
                for name, camera in settings.cameras.items()
                if camera.model in self.trials
            },
            sizes=self._sizes(settings),
        )
        if self._now is not None and self.busy is not None:
            make_ready(wiring, self._now.wiring, self.busy)
        return Prepared(settings, held, wiring)

    def _cache_of(self, settings: Settings) -> Path:
        """Beside the spool, because that is what lasts from one container to the next."""
        return self._cache or Path(settings.spool.path).parent / "models"

    def _sizes(self, settings: Settings) -> dict[str, tuple[int, int]]:
        known = self._now.wiring.sizes if self._now else {}
        return {name: size for name, size in known.items() if name in settings.cameras}

    def _decider(self, settings: Settings, revision: int, before: Decider | None) -> Decider:
        if self._now is None and settings.log.trace:
            self._trace = Trace(Path(settings.log.trace))
        if self._trace is None:
            return Decider(settings, revision, before, self._on_fault, self._away)
        decider = TracedDecider(settings, revision, before, self._on_fault, self._away)
        decider.trace = self._trace
        return decider

    def swap(self, prepared: Prepared) -> None:
        """Let `prepared` take over the cameras; the pipeline is rewired by its owner first."""
        before = self._now.settings.cameras if self._now else {}
        after = prepared.settings.cameras
        self._now = prepared
        self._watch_drift(prepared)
        self._held = dict(prepared.held)
        self._slots.weigh({name: camera.priority for name, camera in after.items()})
        kept = {name: feed for name, feed in self.feeds.items() if after.get(name) == before[name]}
        gone = {name: feed for name, feed in self.feeds.items() if name not in kept}
        stop_feeds(gone.values(), _FEED_STOP_S)
        for name in gone:
            self._slots.discard(name)
        fresh = {name: self._feed(name, prepared) for name in after if name not in kept}
        self.feeds = {**kept, **fresh}
        self._change_of_cameras(before, after, prepared.wiring.decider)
        for name, feed in fresh.items():
            if name in self._pauses.cameras:
                feed.pause()
            feed.start()

    def _change_of_cameras(
        self,
        before: Mapping[str, CameraSettings],
        after: Mapping[str, CameraSettings],
        decider: Decider,
    ) -> None:
        """Let go of what was known of cameras that are gone, or are others by the same name."""
        gone = before.keys() - after.keys()
        self._pauses.resume(gone)
        for name in gone:
            decider.forget(name)
            self._metrics.forget_camera(name)
        for name in before.keys() & after.keys():
            if not is_same_source(before[name], after[name]):
                decider.look_anew(name)

    def drift(self) -> dict[str, DriftState]:
        """How far each camera has drifted; keeps what was learned meanwhile."""
        # Asked by the reporter's thread: the next wiring may come meanwhile, without a camera.
        now = self._now
        if now is None:
            return {}
        found = now.wiring.decider.drift()
        learned = {
            _drift_key(name, now.wiring.models[name]): baseline
            for name, (_, baseline) in found.items()
            if baseline is not None
        }
        self._baselines.keep(learned)
        return {name: state for name, (state, _) in found.items()}

    def _watch_drift(self, prepared: Prepared) -> None:
        watched = {}
        for name, model in prepared.wiring.models.items():
            key, card = _drift_key(name, model), model.card.baseline
            said = Baseline(card.frames, card.classes, card.confidence) if card else None
            watched[name] = (key, said, self._baselines.get(key))
        prepared.wiring.decider.watch_drift(watched)

    def pause(self, camera_id: str) -> None:
        """Let go of a camera until `resume`, also over changes of its settings and restarts."""
        self._pauses.pause(camera_id)
        self.feeds[camera_id].pause()

    def resume(self, camera_id: str) -> None:
        """Open a camera again after `pause`."""
        self._pauses.resume({camera_id})
        self.feeds[camera_id].resume()

    def stop(self, timeout_s: float) -> None:
        """Let go of all cameras."""
        stop_feeds(self.feeds.values(), timeout_s)
        if self._trace is not None:
            self._trace.close()

    def _feed(self, name: str, prepared: Prepared) -> Feed:
        camera = prepared.settings.cameras[name]
        return make_feed(name, camera, self._slots, self._metrics, self._on_state)

    def _hold(self, name: str, settings: ModelSettings, cache: Path) -> Held:
        """The model in use, if these settings mean the same one; else a new one, proven."""
        paths, held = self._paths(name, settings), self._held.get(name)
        if held is not None and held.path == paths[0] and _same_session(settings, held.settings):
            return Held(held.model.with_limits(limits_of(settings)), settings, held.path)
        for path in paths[:-1]:
            try:
                return Held(self._load(path, settings, cache), settings, path)
            except ModelError as error:
                log.error("model %s: the bundle that was active cannot be used: %s", name, error)
        try:
            model = self._load(paths[-1], settings, cache)
        except ModelError as error:
            raise SettingsError(
                f"model `{name}`: {error}", fields={f"models.{name}": str(error)}
            ) from error
        return Held(model, settings, paths[-1])

    def _load(self, path: Path, settings: ModelSettings, cache: Path) -> LoadedModel:
        """Load beside the line, where one runs."""

        def load() -> LoadedModel:
            if self.busy is not None:
                leave_cores()
            loaded = self._ahead.take(path, settings, _LOAD_S)
            return loaded or load_proven(path, settings, cache, self._sessions)

        beat()
        try:
            return self._loader.call(load, _LOAD_S)
        except TimeoutError as error:
            raise ModelLoadError(
                f"{path} was not loaded within {_LOAD_S:.0f} s",
                hint="it is too large for this device, or its disk is too slow",
            ) from error
        finally:
            # Ends that thread: it could not take back its niceness for a start.
            self._loader.close()


def _seconds(settings: Settings, used: Iterable[str]) -> set[str]:
    """Models that follow one of those in a cascade."""
    return {then.model for name in used if (then := settings.models[name].then)}


def _joined(name: str, held: Mapping[str, Held]) -> Held:
    """A model with what follows it, where something does.

    Raises:
        SettingsError: it cannot be followed by that.
    """
    one, second = held[name], None
    if then := one.settings.then:
        second = Second(held[then.model].model, rules_of(then))
        if fault := misfit(one.model.card, second.model.card, second.rules):
            path = f"models.{name}.then.{fault.field}"
            raise SettingsError(f"{path}: {fault.reason}", fields={path: fault.reason})
    return replace(one, model=one.model.with_second(second))


def _same_session(one: ModelSettings, other: ModelSettings) -> bool:
    return one.model_dump(exclude=_SAME_SESSION) == other.model_dump(exclude=_SAME_SESSION)


def _run_in_words(held: Held, workers: int, tuned: Tuned) -> str:
    session = held.model.session
    is_tuned = not held.settings.intra_op_threads and tuned.choice(str(held.model.card.sha256))
    return (
        f"{workers} workers x {session.intra_op_threads} threads"
        f"{', spinning' * session.spin}{', tuned' * bool(is_tuned)}"
        f"{', rewritten: ' * bool(session.rewritten)}{session.rewritten}"
    )


def _drift_key(camera_id: str, model: LoadedModel) -> str:
    return f"{camera_id} {model.card.sha256}"


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


def _views(settings: Settings, models: Mapping[str, LoadedModel]) -> Mapping[str, View]:
    for name, camera in settings.cameras.items():
        if camera.tiles is not None and models[camera.model].card.task != "detection":
            reason = f"model `{camera.model}` is a classifier, and only detectors look at tiles"
            raise SettingsError(
                f"cameras.{name}.tiles: {reason}", fields={f"cameras.{name}.tiles": reason}
            )
    return {n: view_of(camera.region, camera.tiles) for n, camera in settings.cameras.items()}
