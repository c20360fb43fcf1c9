"""The one home of ONNX Runtime: load a model, run it, and name what goes wrong.

A session is shared by all workers: runs are thread-safe, and one thread a run with as
many workers as cores gives more frames a second than any other division for most models
(measured; see `docs/explanation`). Threads of the runtime spin only where that was asked
for, because it costs a core even while the line stands still. Anything below full graph
optimisation costs half.

A model is loaded by its path and not as bytes, so that weights beside it are found and
the file is not twice in memory. Loading releases the GIL from onnxruntime 1.31 on.

What this does not promise: a deadline for a run. A graph that never ends parks its
thread, and the worker's watchdog says so.
"""

import logging
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelLoadError, ModelRunError
from visionedge.inference.onnx_file import OnnxFile, read_onnx
from visionedge.inference.optimised import Optimised
from visionedge.inference.proof import MARK
from visionedge.inference.tensors import Outputs, Signature, TensorSpec
from visionedge.runtime.file_names import is_text
from visionedge.settings.vendors import silence_onnxruntime

silence_onnxruntime()

import onnxruntime as ort  # noqa: E402 - it reads its environment when it is imported
from onnxruntime.capi import onnxruntime_pybind11_state as _native  # noqa: E402 - as above

log: Final = logging.getLogger(__name__)

VENDOR_ERRORS: Final[tuple[type[Exception], ...]] = (
    _native.DeviceReset,
    _native.EPFail,
    _native.EngineError,
    _native.Fail,
    _native.InvalidArgument,
    _native.InvalidGraph,
    _native.InvalidProtobuf,
    _native.ModelLoadCanceled,
    _native.ModelLoaded,
    _native.ModelRequiresCompilation,
    _native.NoModel,
    _native.NoSuchFile,
    _native.NotFound,
    _native.NotImplemented,
    _native.RuntimeException,
)
"""Everything the runtime raises; its classes have no common base. A test looks for new ones."""
_ANY_ERROR: Final[tuple[type[Exception], ...]] = (
    *VENDOR_ERRORS,
    # What its Python layer raises besides: wrong input names, types that do not convert.
    ValueError,
    TypeError,
    RuntimeError,
)
_NOT_REWRITTEN: Final[tuple[type[Exception], ...]] = (MemoryError, *_ANY_ERROR)
_LOAD_HINTS: Final[Mapping[type[Exception], str]] = {
    _native.InvalidProtobuf: "the file is damaged: download or export it again",
    _native.InvalidGraph: "the graph breaks the rules of its operator set: export it again, with "
    "opset 12 or later",
    _native.NotImplemented: "an operator or type has no implementation here: export with another "
    "opset, or choose another execution provider",
    _native.NoSuchFile: "weights beside the model are missing: copy all files of the export",
}
_DEFAULT_LOAD_HINT: Final = (
    f"export it for onnxruntime {ort.__version__} or older, and load it once where it was made"
)
_CPU: Final = "CPUExecutionProvider"
_OLDEST_OPSET: Final = 7
"""The oldest that ONNX Runtime promises to run (its compatibility page); some older ones do."""
_ERROR_ONLY: Final = 3
_SOURCE_LINE: Final = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])")
"""File, line and function of the vendor's own code, which would leave no room for the reason."""
_NO_OPERATOR: Final = ("No opset import for domain", "is not a registered function/op")
_NO_MEMORY: Final = "Failed to allocate memory"
_passed_over: Final[set[str]] = set()


class Session:
    """One loaded model. `run` may be called by any number of threads at once.

    Args:
        path: the ONNX file.
        providers: execution providers, best first; those not installed are passed over.
        intra_op_threads: threads of one run.
        spin: whether they wait busily for each other.
        optimised: where the model as rewritten for this processor is kept; None keeps none.
        release_early: whether memory between layers is freed as soon as it was read.
        rewrite: whether it may be run in fewer steps, where that gives the same answers.

    Attributes:
        path: the ONNX file.
        signature: inputs and outputs.
        metadata: the exporter's own keys and values.
        header: what the file says of itself.
        providers: those in use, best first.
        intra_op_threads: threads of one run.
        spin: whether they wait busily for each other.
        release_early: whether memory between layers is freed as soon as it was read.
        rewritten: what is run in fewer steps than the file says; empty for nothing.

    Raises:
        ModelLoadError: the file is not a model that runs here; the hint says what to do.
    """

    def __init__(
        self,
        path: Path,
        providers: tuple[str, ...],
        intra_op_threads: int = 1,
        *,
        spin: bool = False,
        optimised: Optimised | None = None,
        release_early: bool = False,
        rewrite: bool = True,
    ) -> None:
        self.path: Final = path
        self.intra_op_threads: Final = intra_op_threads
        self.spin: Final = spin
        self.release_early: Final = release_early
        self.header: Final[OnnxFile] = read_onnx(path)
        wanted = _installed(providers)
        try:
            self._session = self._opened(wanted, optimised, rewrite=rewrite)
        except _ANY_ERROR as error:
            if not is_text(path):
                raise ModelLoadError(
                    f"cannot load {path}: its name is no UTF-8",
                    hint="rename the file, or its folder",
                ) from error
            raise ModelLoadError(
                f"cannot load {path}: {_reason(error)}",
                hint=_load_hint(error, self.header),
            ) from error
        self._session.disable_fallback()
        self.providers: Final = tuple(self._session.get_providers())
        if self.providers[0] != wanted[0]:
            log.warning("%s runs on %s, because %s failed", path, self.providers[0], wanted[0])
        self.signature: Final = _signature(self._session)
        metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.rewritten: Final = metadata.pop(MARK, "")
        self.metadata: Final[Mapping[str, str]] = metadata

    def _opened(
        self, providers: list[str], optimised: Optimised | None, *, rewrite: bool
    ) -> ort.InferenceSession:
        """The session of the copy that was kept, or of the original, which leaves one behind."""
        first = self._in_fewer_steps if rewrite else self._from
        if self.header.external or providers != [_CPU]:
            return self._from(self.path, providers)
        if optimised is None or optimised.unfit:
            return first(self.path, providers)
        if optimised.sound():
            try:
                return self._from(optimised.path, providers, optimise=False)
            except _ANY_ERROR as error:
                log.warning("%s is not used: %s", optimised.path, _reason(error))
                optimised.drop()
        try:
            session = optimised.written(lambda copy: first(self.path, providers, copy=copy))
            copied = self._from(optimised.path, providers, optimise=False)
            # Old exports list weights as inputs, and the copy then lacks what it asks for.
            if _signature(copied) != _signature(session):
                optimised.give_up()
                return session
            # It was not run, and holds no file in memory.
            return copied
        except OSError as error:
            log.info("no copy of %s is kept, so each start rewrites it: %s", self.path, error)
        except _ANY_ERROR as error:
            # Whatever is wrong with the model itself, the original tells again below.
            log.debug("no optimised copy of %s is kept: %s", self.path, error)
        return first(self.path, providers)

    def _in_fewer_steps(
        self, path: Path, providers: list[str], *, copy: Path | None = None
    ) -> ort.InferenceSession:
        """The session of a model rewritten; of the file itself where that says anything else."""
        # A start with a copy that was kept has no need of it.
        from visionedge.inference.rewritten import alike, answers, rewritten

        model = rewritten(path)
        # One after the other, so that the memory of two is not needed at once.
        signature, said = self._said(path, providers) if model else (None, None)
        if model is None or said is None:
            return self._from(path, providers, copy=copy)
        try:
            fewer = self._from(model, providers, copy=copy)
            if _signature(fewer) == signature and alike(
                answers(signature, partial(fewer.run, None)), said
            ):
                return fewer
            log.warning("%s is run as it is: in fewer steps it gives other answers, or none", path)
        except _NOT_REWRITTEN as error:
            log.debug("%s is run as it is: %s", path, _reason(error))
        return self._from(path, providers, copy=copy)

    def _said(self, path: Path, providers: list[str]) -> tuple[Signature, list[Outputs] | None]:
        """What the file says to noise; None where it cannot run on that."""
        from visionedge.inference.rewritten import answers

        original = self._from(path, providers)
        signature = _signature(original)
        try:
            return signature, answers(signature, partial(original.run, None))
        except _NOT_REWRITTEN as error:
            log.debug("%s does not run on noise: %s", path, _reason(error))
            return signature, None

    def _from(
        self,
        model: Path | bytes,
        providers: list[str],
        *,
        optimise: bool = True,
        copy: Path | None = None,
    ) -> ort.InferenceSession:
        options = _options(self.intra_op_threads, self.spin, release_early=self.release_early)
        if not optimise:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if copy is not None:
            options.optimized_model_filepath = str(copy)
        return ort.InferenceSession(model, options, providers)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        """Run the model once.

        Args:
            inputs: a tensor for each input, by name; not changed.

        Returns:
            A fresh array for each output, in the order of the signature.

        Raises:
            ModelRunError: the runtime failed on this input.
        """
        try:
            outputs: Outputs = self._session.run(None, inputs)
        except _ANY_ERROR as error:
            raise ModelRunError(
                f"{self.path} failed: {_reason(error)}",
                hint=_run_hint(str(error)),
            ) from error
        return outputs


def _options(intra_op_threads: int, spin: bool, *, release_early: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    # Its plan is one more block of all activations for each run at once, beside those of the first
    # run: 12 to 18 MB for a small detector, without a gain (docs/explanation/performance.md).
    options.enable_mem_pattern = False
    # Its plan keeps what an early layer wrote for a late one of the same shape.
    options.enable_mem_reuse = not release_early
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    # Old exports list their weights as inputs, and it warns of each of them.
    options.log_severity_level = _ERROR_ONLY
    return options


def installed_providers() -> tuple[str, ...]:
    """Execution providers that this build of the runtime has, best first."""
    return tuple(ort.get_available_providers())


def _installed(providers: tuple[str, ...]) -> list[str]:
    available = installed_providers()
    for name in providers:
        if name not in available and name not in _passed_over:
            _passed_over.add(name)
            log.info("execution provider %s is not installed and passed over", name)
    wanted = [name for name in providers if name in available]
    if not wanted:
        raise ModelLoadError(
            f"none of the execution providers {', '.join(providers)} is installed",
            hint=f"installed are {', '.join(available)}; set `providers` of the model",
        )
    return wanted


def _signature(session: ort.InferenceSession) -> Signature:
    return Signature(
        tuple(_spec(node) for node in session.get_inputs()),
        tuple(_spec(node) for node in session.get_outputs()),
    )


def _spec(node: Any) -> TensorSpec:  # noqa: ANN401 - onnxruntime.NodeArg has no type of its own
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorSpec(node.name, shape, _DTYPES.get(node.type))


_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    f"tensor({onnx})": np.dtype(numpy)
    for onnx, numpy in {
        "float": "float32",
        "float16": "float16",
        "double": "float64",
        "bool": "bool",
        **{name: name for name in ("uint8", "int8", "uint16", "int16", "int32", "int64")},
    }.items()
}


def _load_hint(error: Exception, header: OnnxFile) -> str:
    if 0 < header.opset < _OLDEST_OPSET:
        return (
            f"it uses operator set {header.opset}, and the oldest that surely runs is "
            f"{_OLDEST_OPSET}: export it again with opset 12 or later"
        )
    if any(words in str(error) for words in _NO_OPERATOR):
        return "it needs operators that are not ONNX's own: export it without them"
    return _LOAD_HINTS.get(type(error), _DEFAULT_LOAD_HINT)


def _run_hint(reason: str) -> str:
    if _NO_MEMORY in reason:
        return (
            "a tensor within it is too large for this device: its shapes are wrong, or it was "
            "exported for larger pictures"
        )
    return (
        "check the card's input against the model's: `visionedge predict` on one picture shows it"
    )


def _reason(error: Exception) -> str:
    """The vendor's message on one line, without its prefix and the path that we name ourselves."""
    text = " ".join(str(error).split())
    text = text.rpartition("failed:")[2] or text
    return _SOURCE_LINE.sub("", text)[:300]
