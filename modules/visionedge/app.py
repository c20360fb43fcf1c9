"""The composition root: everything is made here, started in order, and stopped in order.

Up: settings, models, pipeline, cameras, so that the first frame is decided before the link
is so much as imported; then telemetry, link, control and the page. Down the other way
round: cameras first, then frames in flight, then doubts into the spool, the last telemetry
window, and with what is left of the grace time the sender empties what it may. What was
not sent stays in the spool for the next start.

`wait` watches over all threads. One that is stuck in a native call cannot be helped from
inside: /healthz says so at once, and where it stays so the process ends with EXIT_STUCK, and
edgeAgent starts a new one; see `runtime.watch`.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from visionedge import settings as sources
from visionedge.cameras.feeds import Feed
from visionedge.deliveries import Deliveries
from visionedge.delivery.slots import SlotStore
from visionedge.diagnostics import diagnostics
from visionedge.entities import Frame
from visionedge.errors import EXIT_OK, EXIT_STUCK, SettingsError
from visionedge.escalation.baselines import NAME as BASELINES_NAME
from visionedge.escalation.baselines import Baselines
from visionedge.handover import restore_budgets
from visionedge.inference.ahead import Ahead
from visionedge.lineup import Lineup, Prepared
from visionedge.load import LoadWatch
from visionedge.metrics import Metrics, identity_of
from visionedge.news import News
from visionedge.pauses import NAME as PAUSES_NAME
from visionedge.pauses import Pauses, Rest
from visionedge.pipeline import Asked, Pipeline
from visionedge.reporting import Reporter
from visionedge.runtime import log as edge_log
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.heap import system_heap
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.watch import StuckWatch
from visionedge.settings import Settings
from visionedge.telemetry import Telemetry
from visionedge.twin import DesiredState, OpenEnd
from visionedge.undecided import UndecidedWatch
from visionedge.uplink.link import Link
from visionedge.uplink.spool import Spool

if TYPE_CHECKING:
    from visionedge.linkup import Linkup
    from visionedge.runtime.http import HttpServer

log: Final = logging.getLogger(__name__)
_FIRST_S: Final = 1.0
"""How long the link waits for the first decision; a camera that is away is not waited for."""
_CAMERA_STOP_S: Final = 1.5
_PIPELINE_SHARE: Final = 0.4
"""Of the grace time that is left once the cameras have stopped."""


class App:
    """The module, from `start` to `stop`.

    Args:
        layers: settings documents, later ones winning; the twin comes on top of them. Or what
            was made of them already.
        environment: of the process; IoT Edge's variables name the hub and label the metrics.
        clock: by which the threads are watched over.
        ahead: models that are being loaded already.

    Raises:
        SettingsError: the layers are not valid settings.
    """

    def __init__(
        self,
        layers: Iterable[sources.Document] | sources.Beginning,
        environment: Mapping[str, str],
        clock: Clock | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        begun = layers if isinstance(layers, sources.Beginning) else sources.begin(layers)
        self._layers = list(begun.layers)
        self._clock = clock or SystemClock()
        self._heap = system_heap()
        self._started_ns = self._clock.ns()
        self._fatal: int | None = None
        self._watch = StuckWatch(self._clock)
        self.settings = self.started_with = begun.settings
        folder, self._last_good = begun.folder, begun.last_good
        self._desired = DesiredState(begun.kept) if begun.kept else DesiredState()
        if begun.kept:
            log.info("begun with %s, as the hub last said", self._desired.title)
        self.revision = 1
        self.metrics = Metrics(identity_of(environment))
        # The reporter needs parts that have news already, and is made after them.
        self._news = News(lambda *told: self.reporter.health(*told), self.metrics)
        self.telemetry = Telemetry(self._clock.utc())
        self._slots = LatestSlots[Frame]()
        self._deliveries = Deliveries(
            SlotStore(folder / "delivered"), folder / "models", self.metrics, self._news.delivery
        )
        self._pauses = Pauses(folder / PAUSES_NAME)
        self.lineup = Lineup(
            self._slots,
            self.metrics,
            self._news.camera,
            self._deliveries.paths,
            self._news.picture,
            lambda: self.link.state == "offline",
            self._pauses,
            Baselines(folder / BASELINES_NAME),
            ahead,
            folder / "models",
        )
        self.link = Link(self.settings.uplink.answer_timeout_s)
        self._spool = self._make_spool()
        self.reporter = self._make_reporter()
        self._environment = environment
        self._linkup: Linkup | None = None
        self._load = LoadWatch(self.metrics, self._news.load)
        self._undecided = UndecidedWatch(self.metrics, self._news.undecided)
        self._pipeline: Pipeline | None = None
        self._page: HttpServer | None = None

    def start(self) -> None:
        """Bring everything up.

        Raises:
            SettingsError: a model cannot be used, the link lacks what it needs, or the page's
                port is taken.
        """
        edge_log.configure(self.settings.log.level)
        log.info("visionedge starts, cameras: %s", ", ".join(self.settings.cameras) or "none")
        prepared = self._first_lineup()
        self.metrics.settings_revision.set(self.revision)
        restore_budgets(prepared.wiring, self._spool, self._clock.ns())
        self._pipeline = Pipeline(
            prepared.wiring,
            self._slots,
            self._spool,
            self.telemetry,
            self.metrics,
            workers=self.settings.inference.workers or self.lineup.best_workers(prepared),
            queue=self.settings.escalation.queue,
        )
        self.lineup.busy = self._pipeline.busy
        self._pipeline.start()
        self.lineup.swap(prepared)
        self._await_first(self._pipeline)
        self._linkup = self._make_linkup()
        direct = {"direct": self._linkup.direct}
        self.started_with = self.started_with.model_copy(update=direct)
        self.reporter.worker.start()
        self._deliveries.worker.start()
        self._deliveries.want(self.settings)
        self._pace()
        self._linkup.start()
        # Brings a web server.
        from visionedge.page import open_page

        without = sources.resolve(self._layers).http
        self._page, where = open_page(self, self.started_with.http, without)
        self.started_with = self.started_with.model_copy(update={"http": where})
        if self._page:
            self._page.start()

    def wait(
        self,
        stop: threading.Event,
        *,
        seconds: float | None = None,
        every_s: float = 1.0,
        tick: Callable[[], None] | None = None,
    ) -> int:
        """Watch over the threads until told to stop, or for `seconds`.

        Args:
            stop: set by a signal.
            seconds: None for ever.
            every_s: between two looks, and two calls of `tick`.

        Returns:
            The exit code: EXIT_OK, or EXIT_STUCK where only a new process helps.
        """
        while not stop.wait(every_s):
            if tick:
                tick()
            if seconds is not None and self.uptime_s >= seconds:
                return EXIT_OK
            if self._fatal is not None:
                return self._fatal
            if lost := self._watch.look(self.stuck_parts()):
                log.critical("stuck, the process ends to be restarted: %s", ", ".join(lost))
                return EXIT_STUCK
        return EXIT_OK

    def apply(self, settings: Settings) -> None:
        """Use `settings` from now on, whole.

        Raises:
            SettingsError: they cannot be used; those in use stay.
        """
        if self._linkup:
            self._linkup.check(settings)
        prepared = self.lineup.prepare(settings, self.revision + 1)
        self.revision += 1
        self.settings = settings
        if self._pipeline:
            self._pipeline.rewire(prepared.wiring)
        self.lineup.swap(prepared)
        for name in self._deliveries.want(settings):
            self.lineup.trials.pop(name, None)
            self._deliveries.in_effect.put(self._rewire)
        self._spool.limit(max_bytes=settings.spool.max_bytes, max_age_s=settings.spool.max_age_s)
        self._pace()
        self.reporter.interval_s = settings.telemetry.interval_s
        edge_log.configure(settings.log.level)
        self.metrics.settings_revision.set(self.revision)
        log.info("settings revision %d is in use", self.revision)

    def stop(self, grace_s: float) -> None:
        """Bring everything down within `grace_s`; what is late is left to daemon threads."""
        deadline_ns = self._clock.ns() + round(grace_s * 1e9)

        def left_s() -> float:
            return max(0.0, (deadline_ns - self._clock.ns()) / 1e9)

        log.info("visionedge stops")
        self.lineup.stop(min(_CAMERA_STOP_S, left_s()))
        if self._pipeline:
            self._pipeline.stop(left_s() * _PIPELINE_SHARE)
        self._deliveries.stop(0.5)
        self.reporter.stop(1.0)
        if self._linkup:
            self._linkup.stop(left_s())
        self._spool.close()
        if self._page:
            self._page.stop(1.0)

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The cameras that there are now, by name."""
        return self.lineup.feeds

    @property
    def uptime_s(self) -> float:
        """Seconds since this object was made."""
        return (self._clock.ns() - self._started_ns) / 1e9

    def stuck_parts(self) -> dict[str, str]:
        """Threads that give no sign of life, and cameras beyond help, with what is wrong."""
        workers = [self.reporter.worker, self._deliveries.worker]
        if self._linkup:
            workers += self._linkup.workers
        if self._pipeline:
            workers += self._pipeline.workers
        if self._page:
            workers.append(self._page.worker)
        parts = {worker.name: worker.stuck for worker in workers}
        parts |= {f"camera {name}": feed.stuck for name, feed in self.lineup.feeds.items()}
        return {part: reason for part, reason in parts.items() if reason}

    def status(self) -> dict[str, Any]:
        """What `status` and /healthz tell: small, and without secrets."""
        spool, outage = self.reporter.spool_stats(), self.reporter.outage()
        return {
            "uptime_s": round(self.uptime_s, 1),
            "settings_revision": self.revision,
            "link": self.link.state,
            "escalations_paused_until": self._paused_until(),
            "cameras": self._undecided.shown(self.lineup.camera_states()),
            "models": {
                name: {"name": model.card.name, "version": model.card.version}
                for name, model in self.lineup.models.items()
            },
            "spool": spool.model_dump() | {"fault": self._spool.fault},
            "outage": outage.model_dump(mode="json", exclude_none=True) if outage else None,
            "load": self._load.state,
            "stuck": self._watch.told(self.stuck_parts()),
        }

    def open_ends(self) -> tuple[OpenEnd, ...]:
        """Sections of the settings in use of which some does not act yet."""
        waiting = sources.waits_for_start(self.started_with, self.settings)
        ends = [
            OpenEnd(path.partition(".")[0], f"{path} takes effect at the next start")
            for path in waiting
        ]
        if (rest := self._rest()) and rest.until < rest.asked:
            taken = f"{rest.until:%Y-%m-%dT%H:%M:%SZ}, the most that max_pause_s allows"
            ends.append(OpenEnd("escalation", f"escalation.pausedUntil is taken as {taken}"))
        return (*ends, *self._deliveries.open_ends(self.settings))

    def advance(self) -> None:
        """Take the next step of what takes time; called by the control thread."""
        self._deliveries.advance(self.lineup, self._rewire)
        if self._pipeline:
            self._pipeline.let_go()
        self._heap.relieve()
        self._load.look()
        self._undecided.look()
        self._pace()

    def facts(self) -> sources.Document:
        """What the twin reports beside the answers: little, and nothing that always changes."""
        cameras = self.settings.cameras
        facts: sources.Document = {
            "module": {
                "version": version("visionedge"),
                "settings_revision": self.revision,
                "load": self._load.state,
                "spool_fault": self._spool.fault,
            },
            "connectivity": {
                "state": self.link.state,
                "outage": self._outage_fact(),
                "escalations_paused_until": self._paused_until(),
            },
            "camera": {
                "states": self._undecided.shown(self.lineup.camera_states()),
                "drift": self.reporter.drift,
            },
            "model": {
                "bundles": self._deliveries.report(self.settings, self.lineup),
                "runs": self.lineup.runs(self._pipeline.loops if self._pipeline else 0),
            },
            "privacy": {"masked_cameras": sum(bool(camera.masks) for camera in cameras.values())},
        }
        # The mark of a component in the convention of IoT Plug and Play.
        return {name: {"__t": "c", **told} for name, told in facts.items()}

    def diagnostics(self) -> dict[str, Any]:
        """What somebody far away needs to understand the module: below 64 KiB, no passwords."""
        return diagnostics(self.status(), self.facts(), self.settings, self.metrics)

    def swap_model(self, name: str) -> str:
        """Try what is desired of a model again; returns what comes of it now."""
        return self._deliveries.retry(self.settings, name)

    def roll_back_model(self, name: str) -> str:
        """Put the bundle before into use; empty where there is none."""
        return self._deliveries.roll_back(name, self.lineup, self._rewire)

    def capture(self, camera_id: str) -> None:
        """Escalate the next frame of a camera, whatever is in it."""
        if self._pipeline:
            self._pipeline.request(camera_id)

    def pause(self, camera_id: str) -> None:
        """Let go of a camera until `resume`, over restarts."""
        self.lineup.pause(camera_id)

    def resume(self, camera_id: str) -> None:
        """Open a camera again."""
        self.lineup.resume(camera_id)

    def recent(self) -> list[Asked]:
        """The latest escalations, newest first."""
        return list(reversed(self._pipeline.recent)) if self._pipeline else []

    def give_up(self, reason: str) -> None:
        """End the process: something cannot be mended from inside. Safe for all threads."""
        log.critical("the process ends to be restarted: %s", reason)
        self._fatal = EXIT_STUCK

    def _make_spool(self) -> Spool:
        spool = self.settings.spool
        return Spool(
            Path(spool.path),
            max_bytes=spool.max_bytes,
            max_age_s=spool.max_age_s,
            metrics=self.metrics,
            on_corrupt=self._news.corrupt,
        )

    def _make_reporter(self) -> Reporter:
        return Reporter(
            self.telemetry,
            self.metrics,
            self._spool,
            self.link,
            cameras=lambda: self.settings.cameras,
            revision=lambda: self.revision,
            interval_s=self.settings.telemetry.interval_s,
            trials=self._deliveries.compared,
            drift=self.lineup.drift,
        )

    def _await_first(self, pipeline: Pipeline) -> None:
        """Let the first frame have the interpreter to itself, where one is on its way."""
        if any(camera.kind != "input" for camera in self.settings.cameras.values()):
            pipeline.decided.wait(_FIRST_S)

    def _make_linkup(self) -> "Linkup":
        # Imported so late because it takes as long as all that comes before a decision.
        from visionedge.linkup import Linkup

        return Linkup(
            self, self._layers, self._spool, self._desired, self._last_good, self._environment
        )

    def _rest(self) -> Rest | None:
        escalation = self.settings.escalation
        return self._pauses.rest(escalation.paused_until, escalation.max_pause_s)

    def _pace(self) -> None:
        """Let the link keep to the window, and to a pause while there is one."""
        rest = self._rest()
        self.metrics.escalations_paused.set(bool(self._paused_until()))
        if self._linkup:
            self._linkup.pace(self.settings.uplink, rest.until if rest else None)

    def _paused_until(self) -> str:
        """For people and the twin; empty where escalations are sent."""
        rest = self._rest()
        resting = rest is not None and self._clock.utc() < rest.until
        return f"{rest.until:%Y-%m-%dT%H:%M:%SZ}" if rest and resting else ""

    def _outage_fact(self) -> sources.Document | None:
        """What the twin tells of the last outage: when it lasts its beginning, then its sums."""
        outage = self.reporter.outage()
        if outage is None:
            return None
        told: sources.Document = outage.model_dump(mode="json", exclude_none=True)
        return told if outage.ended_at else {key: told[key] for key in ("number", "began_at")}

    def _rewire(self) -> None:
        """Put a change of models into effect, between two frames."""
        prepared = self.lineup.prepare(self.settings, self.revision)
        if self._pipeline:
            self._pipeline.rewire(prepared.wiring)
        self.lineup.swap(prepared)

    def _first_lineup(self) -> Prepared:
        """Of the last good settings; of those without the twin where they cannot be used."""
        try:
            return self.lineup.prepare(self.settings, self.revision)
        except SettingsError as error:
            without = sources.resolve(self._layers)
            if without == self.settings:
                raise
            log.error("the last good settings cannot be used: %s", error)
            # The spool is where the twin has it: it was made before.
            self.started_with = without.model_copy(update={"spool": self.started_with.spool})
            self.settings = without
            return self.lineup.prepare(self.settings, self.revision)
