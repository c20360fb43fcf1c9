"""A model that nobody has seen load here is loaded by a child process first.

A runtime that parses a stranger's graph can crash, eat all memory or never come back, and
no exception tells of it. So the first load happens in a process of its own, with limits on
address space and time, at a lower priority, and first in line for the kernel's memory
killer. Whatever becomes of it, it becomes an error with a name here, and the module that
asked keeps the model it has.

The golden frames are run there too: a run that crashes or never ends is as bad as such a load,
and what the child takes of the cores it does not take from the interpreter that frames need.

It costs an interpreter and one more load: 0.8 s for our bundle on two cores. So it is done
once a model and device: what has loaded and answered its frames leaves a proof in the cache.

What this does not promise: a sandbox. The child may read what the module may read; a model
is run with the rights of whoever deployed it. And a graph that is slow on some frames only
is found by the watchdog, not here.
"""

import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from visionedge.errors import (
    ModelCardError,
    ModelError,
    ModelLoadError,
    ModelRunError,
    ModelUntried,
)
from visionedge.inference.bundle import find_bundle
from visionedge.inference.card import Document
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.proof import Claim, Proof
from visionedge.inference.sessions import Sessions
from visionedge.settings import ModelSettings

log: Final = logging.getLogger(__name__)
DEADLINE_S: Final = 120.0
"""A large model on a slow device takes seconds to load and to be probed."""
ADDRESS_SPACE_BYTES: Final = 4 * 1024**3
"""Our bundle takes half a gigabyte of addresses, most of it the libraries'."""
_NICENESS: Final = 15
_FIRST_TO_KILL: Final = "1000"
_ERRORS: Final[Mapping[str, type[ModelError]]] = {
    error.__name__: error for error in (ModelCardError, ModelLoadError, ModelRunError)
}


def load_tried(
    path: Path,
    settings: ModelSettings,
    cache: Path,
    hints: Document | None = None,
    *,
    golden: bool = False,
    sessions: Sessions | None = None,
    deadline_s: float = DEADLINE_S,
) -> LoadedModel:
    """`load_model`, after a trial where there is no proof that it goes well.

    Args:
        path: bundle folder, ONNX file, or zip of an export.
        settings: how to run it.
        cache: where proofs are kept.
        hints: fields of a card that win over the bundle's.
        golden: hold it to the golden frames of its bundle, where it has them.
        sessions: those that are open, to be shared.
        deadline_s: how long the trial may take.

    Raises:
        ModelUntried: the trial was killed, took too long or told nothing, which may be the moment.
        ModelError: as `load_model` says; and `ModelLoadError` where golden frames differ, or
            the trial crashed or took too much memory.
    """
    bundle = find_bundle(path, cache)
    claims: list[Claim] = ["loads", "golden"] if golden and bundle.golden else ["loads"]
    proofs = [Proof(claim, bundle, settings, hints or {}, cache) for claim in claims]
    if not all(proof.holds() for proof in proofs):
        asked = {
            "path": str(path),
            "cache": str(cache),
            "settings": settings.model_dump(mode="json"),
            "hints": hints or {},
            "golden": golden,
            "deadline_s": deadline_s,
        }
        _try(path, asked, deadline_s)
        for proof in proofs:
            proof.keep()
    return load_model(path, settings, hints, cache, sessions)


def _try(path: Path, asked: dict[str, Any], deadline_s: float) -> None:
    # Only now, because most starts find the proof.
    import subprocess

    with subprocess.Popen(
        [sys.executable, "-m", "visionedge.inference.trial"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Spared by a Ctrl-C that is meant for us. Not a session of its own: some kernels give that
        # half of the processor beside this one, however low its priority (sched(7), autogroup).
        process_group=0,
    ) as child:
        try:
            answer, _ = child.communicate(json.dumps(asked).encode(), deadline_s)
        except subprocess.TimeoutExpired:
            child.kill()
            raise _too_slow(path, deadline_s) from None
    _raise_for(path, child.returncode, answer, deadline_s)


def _raise_for(path: Path, code: int, answer: bytes, deadline_s: float) -> None:
    """Turn how the child ended into an error, unless it ended well."""
    if code == -signal.SIGXCPU:
        raise _too_slow(path, deadline_s)
    if code == -signal.SIGKILL:
        # It offers itself to the kernel's memory killer, whoever has taken the memory.
        raise ModelUntried(
            f"{path} was killed (SIGKILL) when it was tried",
            hint="the device had no memory left, most likely: see the kernel's log, and make it "
            "some, or deploy a smaller model",
        )
    if code < 0:
        raise ModelLoadError(
            f"{path} crashed the runtime ({signal.Signals(-code).name}) when it was tried",
            hint="it is damaged, made to do harm, or met a fault of ONNX Runtime "
            f"{version('onnxruntime')}: export it again, and do not deploy it until it loads",
        )
    try:
        told: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise ModelUntried(
            f"{path}: its trial ended with {code} and no answer",
            hint="run `visionedge predict` with it by hand to see why",
        ) from None
    if name := told.get("error"):
        raise _ERRORS[name](told["message"], hint=told["hint"])


def _too_slow(path: Path, deadline_s: float) -> ModelUntried:
    return ModelUntried(
        f"{path} did not load and answer its frames within {deadline_s:g} s",
        hint="its graph runs for ever, it is too large for this device, or the device has no time "
        "for it",
    )


def _limit(deadline_s: float) -> None:
    """Bound this process, before anything of the model is read."""
    for kind, wanted in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        # So that it ends even if whoever asked has ended.
        (resource.RLIMIT_CPU, round(deadline_s) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (bound, hard))
    # As it was started beside a line (`runtime.cores`), or lower than what starts with it.
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    try:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL, encoding="ascii")
    except OSError as error:
        log.debug("the kernel's memory killer was told nothing: %s", error)


def _child() -> None:
    """The trial itself: read from stdin what is asked, write to stdout how it went."""
    asked = json.load(sys.stdin)
    _limit(asked["deadline_s"])
    answer: dict[str, str] = {}
    try:
        settings = ModelSettings.model_validate(asked["settings"])
        model = load_model(Path(asked["path"]), settings, asked["hints"], Path(asked["cache"]))
        if asked["golden"]:
            # Only here: the parent imports this file at each start.
            from visionedge.inference.golden import hold_to_golden

            hold_to_golden(model, asked["path"])
    except ModelError as error:
        message = Exception.__str__(error)
        answer = {"error": type(error).__name__, "message": message, "hint": error.hint}
    except MemoryError:
        answer = {
            "error": ModelLoadError.__name__,
            "message": f"{asked['path']} wants more than {ADDRESS_SPACE_BYTES >> 30} GiB of memory",
            "hint": "its shapes are wrong, or it is not meant for a device: export it again",
        }
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    _child()
