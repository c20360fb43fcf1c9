"""What was proven of a model on this device, kept so that it is proven once and not at each start.

A proof counts for the same file, the same card and hints, the same weights beside it, the
same execution providers, the same rules to rewrite it by, the same version of ONNX Runtime and
the same processor: with all of them equal the runtime picks the same kernels and gives the same
numbers. Anything else is proven again. A failure leaves no proof and is tried again every time.

It takes 20 ms to look up, most of it to hash the files.

What this does not promise: a defence. Whoever can write the cache can write the model.
"""

import hashlib
import json
import logging
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from visionedge.inference.bundle import Bundle, checked_sha256
from visionedge.inference.card import Document
from visionedge.inference.onnx_file import read_onnx
from visionedge.settings import ModelSettings, merge

log: Final = logging.getLogger(__name__)
Claim = Literal["loads", "golden"]
"""That it loads and answers a frame; that it says what its golden frames expect."""
MARK: Final = "visionedge.rewritten"
"""Key in the metadata of a model that was rewritten before the runtime did."""
RULES: Final = ("focus", "hard swish", "weights as inputs")
"""What is rewritten then; see `rewritten.py`, which a start with a kept copy does not import."""
_VERSION_OF_RULES: Final = "3"
"""To be raised with each change of a rule, so that what an older one left is not used."""
_FOLDER: Final = "proofs"
_KEPT: Final = 128
_PROCESSOR: Final = ("model name", "flags", "Features", "CPU implementer", "CPU part")
"""Lines of /proc/cpuinfo that tell which kernels the runtime picks."""


class Proof:
    """One claim about one bundle, as it would be run.

    Args:
        claim: what is to be proven.
        bundle: the files.
        settings: how it is run.
        hints: fields of a card that win over the bundle's.
        cache: a folder that lasts.
    """

    def __init__(
        self, claim: Claim, bundle: Bundle, settings: ModelSettings, hints: Document, cache: Path
    ) -> None:
        self._model = bundle.model
        self._path = cache / _FOLDER / _key(claim, bundle, settings, hints)

    def holds(self) -> bool:
        """True if it was kept."""
        return self._path.is_file()

    def keep(self) -> None:
        """Remember it, and forget the oldest ones. Where nothing can be written, only say so."""
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(f"{self._model}\n", encoding="utf-8")
            # Half a file on a full disk would count as one.
            fresh.replace(self._path)
            kept = sorted(folder.iterdir(), key=lambda path: -path.stat().st_mtime)
            for old in kept[_KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            log.info("no proof of %s is kept, so each start tries it: %s", self._model, error)


def rules(settings: ModelSettings) -> tuple[str, ...]:
    """By which a model may be rewritten that is run so."""
    return (*RULES, _VERSION_OF_RULES) if settings.rewrite else ()


def processor() -> list[str]:
    """What this processor is, as far as kernels depend on it."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return []
    return [line for line in first.splitlines() if line.startswith(_PROCESSOR)]


def _key(claim: Claim, bundle: Bundle, settings: ModelSettings, hints: Document) -> str:
    beside = [bundle.model.parent / name for name in read_onnx(bundle.model).external]
    if claim == "golden" and bundle.golden is not None:
        beside += sorted(path for path in bundle.golden.iterdir() if path.is_file())
    parts = [
        claim,
        *(checked_sha256(path, None) for path in (bundle.model, *beside)),
        json.dumps(merge(bundle.document(), hints), sort_keys=True),
        *settings.providers,
        *rules(settings),
        version("onnxruntime"),
        platform.machine(),
        *processor(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
