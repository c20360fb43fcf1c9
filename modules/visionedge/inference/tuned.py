"""How a model runs best on this device, as `visionedge tune` measured it, kept for the module.

How many threads a run takes, whether they spin, and how many workers run at once depends on
the processor, the model and the version of ONNX Runtime: two threads that spin are the best
for one model and the worst for the next (docs/explanation/performance.md). So it is measured
where it runs, and kept in the module's cache beside the spool, under all that it depends on.
What the settings leave open, as they do by default, is taken from here.

What this does not promise: that it is still the best. Another model, runtime or processor is
another key; a machine that got other work beside is not.
"""

import json
import logging
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from visionedge.inference.proof import processor
from visionedge.runtime.whole_file import replace_file
from visionedge.settings import ModelSettings

log: Final = logging.getLogger(__name__)
_NAME: Final = "tuned.json"
_MAX_BYTES: Final = 256 * 1024
_MOST: Final = 64
_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """What was best for one model.

    Attributes:
        workers: runs at once.
        intra_op_threads: threads of one run.
        spin: whether they wait busily.
        goal: what it is the best for: throughput, latency or cpu.
        measured_at: UTC, ISO 8601.
    """

    workers: int
    intra_op_threads: int
    spin: bool
    goal: str
    measured_at: str


class Tuned:
    """The choices of this device.

    Args:
        cache: the module's folder for what it found out, beside the spool.
    """

    def __init__(self, cache: Path) -> None:
        self._path = cache / _NAME

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def choice(self, model_sha256: str) -> Choice | None:
        """What was measured for a model, or None."""
        raw = self._read().get(_key(model_sha256))
        return None if raw is None else _choice(raw)

    def keep(self, model_sha256: str, choice: Choice) -> None:
        """Remember a choice in place of an older one.

        Raises:
            OSError: the file cannot be written.
        """
        kept = self._read()
        kept.pop(_key(model_sha256), None)
        kept[_key(model_sha256)] = asdict(choice)
        newest = dict(list(kept.items())[-_KEPT:])
        content = json.dumps({"schema": "tuned/1", "choices": newest}).encode()
        # `visionedge tune` may be run by another user than the module that reads it.
        replace_file(self._path, content, 0o644)

    def applied(self, settings: ModelSettings, model_sha256: str) -> ModelSettings:
        """Settings in which nothing is left open: by what was measured, else one thread."""
        if settings.intra_op_threads:
            return settings
        found = self.choice(model_sha256)
        if found is None:
            return settings.model_copy(update={"intra_op_threads": 1})
        return settings.model_copy(
            update={"intra_op_threads": found.intra_op_threads, "spin": found.spin}
        )

    def _read(self) -> dict[str, Any]:
        try:
            with self._path.open("rb") as file:
                choices = json.loads(file.read(_MAX_BYTES))["choices"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s cannot be used, the defaults are: %r", self._path, error)
            return {}
        return choices if isinstance(choices, dict) else {}


def _key(model_sha256: str) -> str:
    parts = (model_sha256, version("onnxruntime"), *processor())
    return sha256("\0".join(parts).encode()).hexdigest()


def _choice(raw: object) -> Choice | None:
    """A choice from the file, if it is one that can be run."""
    if not isinstance(raw, dict) or raw.keys() != set(Choice.__slots__):
        return None
    found = Choice(**raw)
    numbers = (found.workers, found.intra_op_threads)
    is_sane = all(type(number) is int and 1 <= number <= _MOST for number in numbers)
    return found if is_sane and type(found.spin) is bool else None
