"""Models that are loaded while the rest of the module is still imported.

A start imports in one thread, whatever the number of cores, and holds the interpreter while it
does. Loading a model and running it once is native work that does not: so it begins as soon
as the settings are known, and is nearly over when somebody asks for it. Whoever asks for a model
that was not begun, or asks a second time, gets none and loads it as ever.

What this does not promise: that it helps. On one core both take as long as one after the
other.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from visionedge.errors import ModelError
from visionedge.inference.model import LoadedModel
from visionedge.inference.proven import load_proven
from visionedge.inference.sessions import Sessions
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings

_Wanted = tuple[Path, ModelSettings]


class Ahead:
    """Loads models one after the other in a thread of its own.

    Attributes:
        sessions: those that were opened, to be shared with models that are loaded later.
    """

    def __init__(self) -> None:
        self.sessions: Final = Sessions()
        self._done: Final[dict[_Wanted, LoadedModel | ModelError]] = {}
        self._worker: Worker | None = None

    def begin(self, wanted: Iterable[_Wanted], cache: Path) -> "Ahead":
        """Begin to load; returns itself. To be called once at most.

        Args:
            wanted: where each model lies, and how it is run.
            cache: a folder that lasts; see `load_proven`.
        """
        waiting = list(dict.fromkeys(wanted))

        def load(_: Worker) -> None:
            # A bug takes one model with it: the worker comes back for the others, and whoever
            # asks for that one loads it again and meets the bug.
            while waiting:
                path, settings = key = waiting.pop(0)
                try:
                    self._done[key] = load_proven(path, settings, cache, self.sessions)
                except ModelError as error:
                    self._done[key] = error

        self._worker = Worker("ahead", load).start()
        return self

    def take(self, path: Path, settings: ModelSettings, timeout_s: float) -> LoadedModel | None:
        """The model, as soon as all are loaded; None where this one was not begun.

        Raises:
            ModelError: as `load_proven` says.
        """
        if self._worker is not None:
            self._worker.join(timeout_s)
        found = self._done.pop((path, settings), None)
        if isinstance(found, ModelError):
            raise found
        return found
