"""A model, loaded, proven on one frame, and ready to be run by any number of workers.

Loading happens on the control thread and may take seconds; the model in use goes on
meanwhile, and is replaced by the new one only when that has answered a first frame. The
session is shared; a `Runner` is for one thread at a time, who borrows it for one frame: so
there are as many, each with a tensor and a canvas of its own, as have ever run at once.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.bundle import Bundle, checked_sha256, find_bundle
from visionedge.inference.card import Document, ModelCard
from visionedge.inference.cascade import Cascade, Rules
from visionedge.inference.describe import describe
from visionedge.inference.image import use_one_thread
from visionedge.inference.runner import Runner
from visionedge.inference.session import Session
from visionedge.inference.sessions import Sessions
from visionedge.settings import ModelSettings, merge
from visionedge.wire import ClassifierBody, ModelBody

log: Final = logging.getLogger(__name__)
_FIRST_FRAME: Final = (480, 640)
_GRAY: Final = 114


class LoadedModel:
    """One model in memory. Compared by identity: a reload is another model.

    Attributes:
        card: all that is known of it.
        origins: where each field is from that the bundle's own card left open.
        bundle: its files.
        session: the runtime's side of it.
        limits: which boxes are kept, unless a runner is told otherwise.
        second: what names its boxes, where it is the first of a cascade.
    """

    def __init__(
        self,
        session: Session,
        card: ModelCard,
        *,
        origins: Mapping[str, str],
        bundle: Bundle,
        limits: Limits,
        second: "Second | None" = None,
    ) -> None:
        self.session: Final = session
        self.card: Final = card
        self.origins: Final = origins
        self.bundle: Final = bundle
        self.limits: Final = limits
        self.second: Final = second
        self._ready: Final[deque[Runner]] = deque()

    @property
    def body(self) -> ModelBody:
        """What a message says of it."""
        named_by = None
        if self.second is not None:
            other = self.second.model.card
            named_by = ClassifierBody(name=other.name, version=other.version, sha256=other.sha256)
        card = self.card
        return ModelBody(
            name=card.name, version=card.version, sha256=card.sha256, named_by=named_by
        )

    def runner(self, limits: Limits | None = None) -> Runner:
        """A runner for one thread, warm where one is ready; `limits` if others than its."""
        if limits is None:
            with suppress(IndexError):
                return self._ready.pop()
        return self.cold_runner(limits)

    def keep_ready(self, runners: Iterable[Runner]) -> None:
        """Have these taken over first, the latest before the others; safe on any thread."""
        self._ready.extend(runners)

    def cold_runner(self, limits: Limits | None = None) -> Runner:
        """A runner that has not run."""
        then = None
        if self.second is not None:
            then = Cascade(self.second.model.runner(), self.card.labels, self.second.rules)
        return Runner(self.session, self.card, limits or self.limits, then)

    def with_limits(self, limits: Limits) -> "LoadedModel":
        """The same model with other limits; itself if they are the same."""
        return self if limits == self.limits else self._changed(limits, self.second)

    def with_second(self, second: "Second | None") -> "LoadedModel":
        """The same model as the first of a cascade, or of none; itself if it is that already."""
        return self if second == self.second else self._changed(self.limits, second)

    def _changed(self, limits: Limits, second: "Second | None") -> "LoadedModel":
        return LoadedModel(
            self.session,
            self.card,
            origins=self.origins,
            bundle=self.bundle,
            limits=limits,
            second=second,
        )


class Borrowed:
    """Runners for one frame and one thread: taken as they are asked for, given back at the end."""

    __slots__ = ("_runners",)

    def __init__(self) -> None:
        self._runners: Final[dict[LoadedModel, Runner]] = {}

    def __call__(self, model: LoadedModel) -> Runner:
        """That of `model`; the same one each time."""
        runner = self._runners.get(model)
        if runner is None:
            runner = self._runners[model] = model.runner()
        return runner

    def __enter__(self) -> Self:
        """Nothing is taken before it is asked for."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give all back; but none that a crash may have left half-way to another picture."""
        if kind is not None and not issubclass(kind, ModelRunError):
            self._runners.clear()
        while self._runners:
            model, runner = self._runners.popitem()
            model.keep_ready([runner])


@dataclass(frozen=True, slots=True)
class Second:
    """The classifier of a cascade, and how it is shown the boxes."""

    model: LoadedModel
    rules: Rules


def limits_of(settings: ModelSettings) -> Limits:
    """The part of the settings that a change of needs no reload."""
    return Limits(settings.floor, settings.nms_iou, settings.max_detections)


def load_model(
    path: Path,
    settings: ModelSettings,
    hints: Document | None = None,
    cache: Path | None = None,
    sessions: Sessions | None = None,
) -> LoadedModel:
    """Load a model and run it once.

    Args:
        path: bundle folder, ONNX file, or zip of an export.
        settings: how to run it; its own `path` is not looked at.
        hints: fields of a card that win over the bundle's, as `--card` gives them.
        cache: a folder that lasts, for what needs to be found out once a model; None is one
            among the temporary files.
        sessions: those that are open, to be shared; None opens one of its own.

    Raises:
        ModelLoadError: it is no model that runs here.
        ModelCardError: its card is wrong, or it has none and cannot be read without.
        ModelRunError: it failed on the first frame.
    """
    use_one_thread()
    bundle = find_bundle(path, cache)
    given = merge(bundle.document(), hints or {})
    sha256 = checked_sha256(bundle.model, given.get("sha256"))
    session = (sessions or Sessions()).open(
        bundle.model,
        sha256,
        settings,
        cache,
        # As written: whether the card is right is told once the model is there to compare it with.
        release_early=given.get("release_early") is True,
    )
    with _named(bundle.model):
        described = describe(session, given, str(bundle.card or bundle.model))
        model = LoadedModel(
            session,
            described.card.model_copy(update={"sha256": sha256}),
            origins=described.origins,
            bundle=bundle,
            limits=limits_of(settings),
        )
        # The first run of a session takes its memory, and shows shapes that were free until now.
        model.cold_runner().infer(np.full((*_FIRST_FRAME, 3), _GRAY, np.uint8))
    for field, origin in described.origins.items():
        log.debug("%s: %s is %s", bundle.model, field, origin)
    log.info(
        "%s is ready: head %s on %s%s",
        bundle.model, model.card.head, session.providers[0],
        f", rewritten: {session.rewritten}" if session.rewritten else "",
    )  # fmt: skip
    return model


@contextmanager
def _named(model: Path) -> Iterator[None]:
    """Let errors name the file: a head knows shapes, and not where they came from."""
    try:
        yield
    except (ModelCardError, ModelRunError) as error:
        message = str(error.args[0])
        if str(model.parent) in message:
            raise
        raise type(error)(f"{model}: {message}", hint=error.hint) from error
