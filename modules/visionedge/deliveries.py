"""A model that the twin names, from its address to the frame that it answers.

    waiting ─► fetching ─► checking ─► loaded ─► shadow ─► canary ─► guard ─► active
                  │ later      │                    │         │         │
                  └─► waiting  └────► refused ◄─────┴─────────┴─────────┘ the one before is back

Fetching, the signature, the trial load in a child process and the golden frames take their
time in a worker of their own; the line goes on meanwhile. What changes the line (shadow,
canary, guard, back again) is done by the control thread in `advance`, by one assignment
between two frames. What is active is written down only after the guard window: see
`delivery.slots`. A canary, where a share is set, is held for hours or days; how long it has
been is written down now and then, so that a restart does not begin it anew.

The reason of a refusal stays until the twin names another bundle, or `swapModel` asks for
another try; where it lies in how the bundle is named, until the twin says something else of it.
Everything works without a hub once a bundle has arrived.

Where the active bundle cannot be loaded, what is in use instead is said to be. If its file is
damaged it is active no more, and the twin's bundle is tried, or fetched, again.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from visionedge.candidates import SHOWN, Job, is_for_now, load_candidate, named, try_later
from visionedge.delivery.slots import SlotStore
from visionedge.errors import ModelError, ModelRefused, ModelUnavailable, SettingsError
from visionedge.in_effect import InEffect, Rewire
from visionedge.inference.rivals import Rivals
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.cores import leave_cores
from visionedge.runtime.redact import redact
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings, Settings
from visionedge.twin import OpenEnd
from visionedge.wire import TrialTelemetry

log: Final = logging.getLogger(__name__)
_POLL_S: Final = 5.0
_STUCK_AFTER_S: Final = 900.0
"""A trial load may take minutes; a download gives signs of life between."""
_NOT_LOADED: Final = "the active bundle cannot be loaded with these settings; the log has why"
_NOTE_EVERY_S: Final = 30.0
"""Between two notes of how long a canary has been held."""
OnResult = Callable[[str, str, str], None]
"""Gets the model's name, what became of the bundle, and why."""


class Deliveries:
    """All bundles on their way. All but `paths` and the worker is for the control thread.

    Args:
        store: the slots on disk.
        cache: where loaded models leave their proofs.
        metrics: results are counted.
        on_result: told when a bundle is active, refused or rolled back.
    """

    def __init__(
        self, store: SlotStore, cache: Path, metrics: Metrics, on_result: OnResult
    ) -> None:
        self._store = store
        self._cache = cache
        self._metrics = metrics
        self._on_result = on_result
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._settings: Settings | None = None
        self._in_its_place: dict[str, str] = {}
        """What is in use of models whose active bundle is good, and could not be loaded."""
        self.in_effect: Final = InEffect()
        self._wake = threading.Event()
        self.worker = Worker(
            "delivery",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    def paths(self, name: str, settings: ModelSettings) -> tuple[Path, ...]:
        """Where a model is to be loaded from, best first."""
        if not settings.uri:
            return (Path(settings.path),)
        job, slots = self._jobs.get(name), self._store.slots(name)
        guarded = job.sha256 if job and job.phase == "guard" else ""
        found = [
            self._store.path_of(name, sha256)
            for sha256 in (guarded, slots.active, slots.previous)
            if self._store.has(name, sha256)
        ]
        return (*found, Path(settings.path))

    def want(self, settings: Settings) -> list[str]:
        """Begin what the settings ask for, and end what they do not ask for any more.

        Returns:
            Models whose trial on live frames has ended by that: rewire without it.
        """
        ended: list[str] = []
        self._settings = settings
        with self._lock:
            for name, job in list(self._jobs.items()):
                now = settings.models.get(name)
                if now is None or not now.uri or now.sha256 != job.sha256:
                    ended += [name] if job.rivals else []
                    self._drop(job)
                else:
                    job.settings, job.rules = now, settings.delivery
                    if job.rivals:
                        job.rivals.rules = settings.delivery
            for name, model in settings.models.items():
                slots = self._store.slots(name)
                refused_as = slots.refused_as.get(model.sha256)
                if refused_as and refused_as != named(model, settings.delivery):
                    self._store.allow(name, model.sha256)
                    slots = self._store.slots(name)
                done = slots.active == model.sha256 and self._store.has(name, model.sha256)
                if model.uri and not done and model.sha256 not in slots.refused:
                    self._jobs.setdefault(name, Job(name, model, settings.delivery))
        self._wake.set()
        return ended

    def retry(self, settings: Settings, name: str) -> str:
        """Try a refused bundle again; returns its phase."""
        model = settings.models[name]
        with self._lock:
            if model.uri and model.sha256 in self._store.slots(name).refused:
                self._store.allow(name, model.sha256)
        self.want(settings)
        job = self._jobs.get(name)
        return job.phase if job else "active"

    def roll_back(self, name: str, lineup: Lineup, rewire: Rewire) -> str:
        """Leave the bundle on trial, or else the active one; empty where there is none."""
        job = self._jobs.get(name)
        reason = "rolled back by the method rollback"
        active = self._store.slots(name).active
        if job is not None and job.phase in ("shadow", "canary", "guard"):
            self._refuse(job, reason, lineup, rewire)
        elif active:
            self._store.refuse(name, active, reason)
            self._tell(name, "rolled_back", reason)
            self.in_effect.put(rewire)
        else:
            return ""
        is_late = self.in_effect.owes
        return "rolled back, but not in effect yet: see the log" if is_late else "rolled back"

    def advance(self, lineup: Lineup, rewire: Rewire) -> None:
        """Take what the next step of each bundle is.

        Args:
            lineup: who answers frames.
            rewire: puts a change of it into effect.
        """
        self._store.write_late()
        self.in_effect.again(rewire)
        self._find_lost(lineup, rewire)
        for job in list(self._jobs.values()):
            try:
                self._step(job, lineup, rewire)
            except (OSError, SettingsError) as error:
                job.reason = f"not now: {redact(str(error))}"
            else:
                if job.rivals is not None:
                    job.reason = ""

    def open_ends(self, settings: Settings) -> tuple[OpenEnd, ...]:
        """Models whose desired bundle does not answer frames yet, or will not."""
        ends: list[OpenEnd] = []
        for name, model in settings.models.items():
            refused = self._store.slots(name).refused.get(model.sha256) if model.uri else None
            if refused is not None:
                ends.append(OpenEnd("models", f"models.{name}: {refused}", failed=True))
            elif job := self._jobs.get(name):
                ends.append(OpenEnd("models", f"models.{name}: {job.phase} {job.reason}".strip()))
            elif name in self._in_its_place:
                ends.append(OpenEnd("models", f"models.{name}: {_NOT_LOADED}", failed=True))
        return tuple(sorted(ends, key=lambda end: end.failed))

    def report(self, settings: Settings, lineup: Lineup) -> dict[str, Any]:
        """`{desired, staged, active, previous, reason}` of each model with an address.

        Those on trial or refused first: of too many the twin leaves out the last.
        """
        told = {
            name: self._told(name, model)
            for name, model in settings.models.items()
            if model.uri or name in lineup.models
        }
        at_rest = {name: not (each["staged"] or each["reason"]) for name, each in told.items()}
        return {name: told[name] for name in sorted(told, key=at_rest.__getitem__)}

    def stop(self, timeout_s: float) -> None:
        """End; a trial that is under way is taken up at the next start."""
        self.worker.request_stop()
        # The control thread still takes bundles in and out.
        for job in list(self._jobs.values()):
            job.cancelled.set()
            try:
                if job.rivals and job.phase == "canary":
                    self._store.hold(job.name, job.sha256, job.rivals.held_s)
            except OSError as error:
                # Costs some time of the canary, and must not stop what comes after.
                log.error("the slots of the models cannot be written: %s", error)
            if job.phase in ("checking", "loaded", "shadow", "canary", "guard"):
                self._store.end(job.name)
        self._wake.set()
        self.worker.stop(timeout_s)

    def compared(self) -> dict[str, TrialTelemetry]:
        """Bundles on trial beside the active ones, by model. For any thread."""
        return {name: job.rivals.told() for name, job in list(self._jobs.items()) if job.rivals}

    def _told(self, name: str, model: ModelSettings) -> dict[str, Any]:
        slots, job = self._store.slots(name), self._jobs.get(name)
        told: dict[str, Any] = {
            "desired": model.sha256[:SHOWN] if model.uri else "",
            "staged": job.sha256[:SHOWN] if job else "",
            "state": "",
            "share": 0.0,
            "active": slots.active[:SHOWN] if model.uri and slots.active else redact(model.path),
            "previous": slots.previous[:SHOWN],
            "reason": slots.refused.get(model.sha256, "") if model.uri else "",
        }
        if in_use := self._in_its_place.get(name):
            told |= {"active": redact(in_use), "reason": _NOT_LOADED}
        if job:
            told["state"] = job.rivals.progress() if job.rivals else job.phase
            told["reason"] = job.reason
            told["share"] = job.rules.canary_share if job.phase == "canary" else 0.0
        return told

    def _step(self, job: Job, lineup: Lineup, rewire: Rewire) -> None:
        if job.phase == "loaded":
            self._begin_shadow(job, lineup, rewire)
        elif job.rivals is not None and job.name in lineup.models:
            # One that no camera uses any more is shown no frames, and waits until one does.
            self._follow(job, lineup, rewire)
            if fault := job.rivals.fault():
                self._refuse(job, fault, lineup, rewire)
            elif job.rivals.done and job.phase == "shadow" and job.rules.canary_share:
                self._begin_canary(job, job.rivals, 0.0)
            elif job.rivals.done and job.phase in ("shadow", "canary"):
                self._take_over(job, lineup, rewire)
            elif job.phase == "canary":
                self._note_canary(job, job.rivals)
            elif job.rivals.done:
                self._commit(job, lineup, rewire)

    def _begin_shadow(self, job: Job, lineup: Lineup, rewire: Rewire) -> None:
        former = lineup.models.get(job.name)
        if former is None or job.candidate is None:
            # Nobody uses it: what could be proven without frames is.
            self._commit(job, lineup, rewire)
            return
        if misfit := lineup.misfit(job.name, job.candidate):
            self._refuse(job, misfit, lineup, rewire)
            return
        job.candidate = job.candidate.with_second(former.second)
        if not lineup.is_shown_frames(job.name):
            # It sees the boxes of another model only, and takes over between two frames.
            lineup.use(job.name, job.candidate, self._store.path_of(job.name, job.sha256))
            self._commit(job, lineup, rewire)
            self.in_effect.put(rewire)
            return
        rivals = Rivals(job.candidate, former, job.rules)
        held_s = self._store.held_s(job.name, job.sha256)
        if held_s is not None and job.rules.canary_share:
            # Where it cannot be noted, nothing has begun, and all of this is tried again.
            self._begin_canary(job, rivals, held_s)
        else:
            job.phase = "shadow"
        job.rivals, job.former_path = rivals, lineup.path_of(job.name)
        lineup.trials[job.name] = job.rivals
        try:
            rewire()
        except SettingsError:
            # No frame is shown to it yet: begun anew.
            job.phase, job.rivals = "loaded", None
            del lineup.trials[job.name]
            raise
        log.info("model %s: %s looks at frames beside the active one", job.name, job.title)

    def _begin_canary(self, job: Job, rivals: Rivals, held_s: float) -> None:
        self._store.hold(job.name, job.sha256, held_s)
        job.phase, job.noted_s = "canary", held_s
        rivals.canary(held_s)
        share = f"{job.rules.canary_share:.0%}"
        log.info("model %s: %s answers %s of the frames", job.name, job.title, share)

    def _note_canary(self, job: Job, rivals: Rivals) -> None:
        if rivals.held_s - job.noted_s >= _NOTE_EVERY_S:
            self._store.hold(job.name, job.sha256, rivals.held_s)
            job.noted_s = rivals.held_s

    def _follow(self, job: Job, lineup: Lineup, rewire: Rewire) -> None:
        """Begin the phase anew where a setting has made another model of one of the two."""
        rivals, now = job.rivals, lineup.models.get(job.name)
        if rivals is None or now is None or now in (rivals.candidate, rivals.former):
            return
        guarding = job.phase == "guard"
        pair = (now, rivals.former) if guarding else (rivals.candidate, now)
        job.rivals = Rivals(*pair, job.rules)
        if guarding:
            job.rivals.guard()
        elif job.phase == "canary":
            job.rivals.canary(rivals.held_s)
        lineup.trials[job.name] = job.rivals
        self.in_effect.put(rewire)

    def _take_over(self, job: Job, lineup: Lineup, rewire: Rewire) -> None:
        if job.rivals is None:
            return
        before, former, path = job.phase, lineup.models[job.name], lineup.path_of(job.name)
        job.phase = "guard"
        lineup.use(job.name, job.rivals.candidate, self._store.path_of(job.name, job.sha256))
        try:
            rewire()
        except SettingsError:
            # The former goes on answering, and what it answers is no proof of the candidate.
            job.phase = before
            lineup.use(job.name, former, path)
            raise
        job.rivals.guard()
        log.info("model %s: %s answers frames, on trial", job.name, job.title)

    def _commit(self, job: Job, lineup: Lineup, rewire: Rewire) -> None:
        self._store.commit(job.name, job.sha256)
        self._jobs.pop(job.name, None)
        self._tell(job.name, "active", job.title)
        if lineup.trials.pop(job.name, None):
            self.in_effect.put(rewire)

    def _refuse(self, job: Job, reason: str, lineup: Lineup, rewire: Rewire) -> None:
        guarding, answered = job.phase == "guard", job.phase in ("canary", "guard")
        self._jobs.pop(job.name, None)
        lineup.trials.pop(job.name, None)
        if job.rivals and guarding and job.former_path and job.name in lineup.models:
            lineup.use(job.name, job.rivals.former, job.former_path)
        try:
            self._store.refuse(job.name, job.sha256, reason)
        finally:
            # Said before it is in effect: whatever keeps it from that, or from being kept, the
            # bundle is known to be bad.
            self._tell(job.name, "rolled_back" if answered else "refused", reason)
            self.in_effect.put(rewire)

    def _find_lost(self, lineup: Lineup, rewire: Rewire) -> None:
        """Bundles that are active by the slots, and that the line could not load."""
        if self._settings is None or self.in_effect.owes:
            return
        for name in self._in_its_place.keys() - lineup.models.keys():
            del self._in_its_place[name]
        for name in lineup.models.keys() - self._jobs.keys():
            model, active = self._settings.models.get(name), self._store.slots(name).active
            meant, in_use = self._store.path_of(name, active), lineup.path_of(name)
            if not (model and model.uri and active) or in_use == meant:
                self._in_its_place.pop(name, None)
            elif self._store.was_unread(name):
                # Nobody knew of it when the line was wired.
                self.in_effect.put(rewire)
            elif self._in_its_place.get(name) != str(in_use):
                log.error("model %s: %s is in use, not the active bundle", name, in_use)
                try:
                    is_whole = self._store.has_whole(name, active)
                except OSError as error:
                    log.error("model %s: its active bundle cannot be looked at: %s", name, error)
                    continue
                if is_whole:
                    self._in_its_place[name] = str(in_use)
                else:
                    self._store.lose(name, active)
                    self.want(self._settings)

    def _drop(self, job: Job) -> None:
        """Nobody wants it any more; `rewire` by the settings that said so puts the rest right."""
        job.cancelled.set()
        self._jobs.pop(job.name, None)
        self._store.end(job.name)

    def _tell(self, name: str, state: str, detail: str) -> None:
        level = logging.INFO if state == "active" else logging.ERROR
        log.log(level, "model %s: bundle is %s: %s", name, state, detail)
        self._metrics.model_deliveries.labels(state).inc()
        self._on_result(name, state, detail)

    def _run(self, worker: Worker) -> None:
        leave_cores()
        while not worker.stopping:
            worker.beat()
            self._wake.clear()
            now_s = time.monotonic()
            self._prepare_those_due(worker, now_s)
            self._wake.wait(_POLL_S)

    def _prepare_those_due(self, worker: Worker, now_s: float) -> None:
        # A function of its own, so that no job, and no model in it, is held while we wait.
        for job in list(self._jobs.values()):
            if job.phase == "waiting" and job.due_s <= now_s and not worker.stopping:
                worker.beat()
                self._prepare(job)

    def _prepare(self, job: Job) -> None:
        """All that needs no frame: fetch, check, load, golden frames."""
        # Said only where a crash leaves no other word: the next try is due all the same.
        later: Exception | None = ModelUnavailable("the module failed on it; its log has more")
        try:
            job.candidate = load_candidate(job, self._store, self._cache)
            job.phase, later = "loaded", None
        except (ModelUnavailable, SettingsError, OSError) as error:
            later = error
        except ModelError as error:
            later = error if is_for_now(error) else None
            if later is None:
                self._refuse_unseen(job, error)
        finally:
            if later is not None:
                if job.phase == "checking":
                    # It is the moment that was bad, and the process goes on.
                    self._store.end(job.name)
                try_later(job, later)

    def _refuse_unseen(self, job: Job, error: ModelError) -> None:
        reason = redact(str(error))
        with self._lock:
            if self._jobs.get(job.name) is not job:
                return
            refused_as = job.as_named if isinstance(error, ModelRefused) else ""
            self._store.refuse(job.name, job.sha256, reason, refused_as)
            self._jobs.pop(job.name)
        self._tell(job.name, "refused", reason)
