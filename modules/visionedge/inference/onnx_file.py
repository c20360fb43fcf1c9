"""What an ONNX file says of itself, read from its protobuf without loading the model.

Two questions need it. Why a file is refused: the runtime says "protobuf parsing failed"
for a web page, a half download and a Git LFS pointer alike, and names no opset. And what
the runtime does not tell: the order of the labels in a ZipMap. Only field headers are
walked; weights are skipped by their length, so a large file costs nothing.

What this does not promise: a check of the graph. That is the runtime's.
Source: onnx/onnx.proto (field numbers), protobuf encoding (wire types).
"""

import mmap
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from visionedge.errors import ModelLoadError
from visionedge.inference import onnx_proto as proto
from visionedge.inference.protobuf import Buffer, fields, text, whole
from visionedge.inference.unchanged import while_unchanged

MAX_BYTES: Final = 1024**3
"""A model for a device is far smaller; what is larger is a mistake, or meant to fill the disk."""
_WITH_WEIGHTS: Final = ("Constant", *proto.NESTED)
"""Operators whose attributes may hold weights."""
_MAX_PARTS: Final = 16


@dataclass(slots=True)
class OnnxFile:
    """The header of a model.

    Attributes:
        producer: the program that wrote it.
        opset: of the standard operators; 0 where none is named.
        zipmap_labels: class names of a ZipMap at the end, in the order of the classes.
        external: files beside the model that hold weights of it.
    """

    producer: str = ""
    opset: int = 0
    zipmap_labels: tuple[str, ...] = field(default_factory=tuple)
    external: tuple[str, ...] = field(default_factory=tuple)


def read_onnx(path: Path) -> OnnxFile:
    """Read the header of a model file.

    Raises:
        ModelLoadError: the file is missing, empty, too large, cut off, or no ONNX model;
            the hint says how to get a good one.
    """
    try:
        found = _header(path)
    except OSError as error:
        raise ModelLoadError(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    _check_external(path, found.external)
    return found


@while_unchanged
def _header(path: Path) -> OnnxFile:
    _check_size(path, path.stat().st_size)
    with path.open("rb") as file:
        _check_kind(path, file.read(512))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _read(path, mapped)


def _check_external(path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelLoadError(
                f"{path} wants weights from `{name}`, outside its folder",
                hint="export it again, with its weights inside or beside it",
            )
        if not (path.parent / name).is_file():
            raise ModelLoadError(
                f"{path} keeps weights in `{name}`, which is not beside it",
                hint="copy all files of the export into one folder",
            )


def _check_size(path: Path, size_bytes: int) -> None:
    if size_bytes == 0:
        raise ModelLoadError(f"{path} is empty", hint="copy or download it again")
    if size_bytes > MAX_BYTES:
        raise ModelLoadError(
            f"{path} has {size_bytes} bytes, more than {MAX_BYTES}",
            hint="use a smaller model; this one is not meant for a device",
        )


def _check_kind(path: Path, head: bytes) -> None:
    start = head.lstrip().lower()
    kinds = {
        b"<": ("a web page", "download the raw file, not the page that shows it"),
        b"version https://git-lfs": ("a Git LFS pointer", "run `git lfs pull`"),
        b"pk\x03\x04": ("a zip archive", "unpack it and name the .onnx file or its folder"),
        b"{": ("a JSON text", "name the .onnx file"),
    }
    if head[4:8] == b"TFL3":
        raise ModelLoadError(
            f"{path} is a TensorFlow Lite model, not an ONNX model",
            hint="convert it with tf2onnx, or export it as ONNX",
        )
    for prefix, (what, mend) in kinds.items():
        if start.startswith(prefix):
            raise ModelLoadError(f"{path} is {what}, not an ONNX model", hint=mend)


def _read(path: Path, mapped: Buffer) -> OnnxFile:
    found, has_graph = OnnxFile(), False
    try:
        for number, value, _ in fields(mapped, whole(mapped)):
            if isinstance(value, int):
                continue
            if number == proto.MODEL_PRODUCER:
                found.producer = text(mapped, value)
            elif number == proto.MODEL_OPSET:
                found.opset = _default_opset(mapped, value) or found.opset
            elif number == proto.MODEL_GRAPH:
                has_graph = True
                beside: set[str] = set()
                _search(mapped, value, found, beside)
                found.external = tuple(sorted(beside))
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(
            f"{path} is no ONNX model, or only a part of one: {error}",
            hint="download or export it again, and compare its size",
        ) from None
    if not has_graph:
        raise ModelLoadError(f"{path} is no ONNX model", hint="name the .onnx file")
    return found


def _default_opset(mapped: Buffer, within: slice) -> int:
    """The version of an opset entry, 0 where it is of another domain than the standard one."""
    domain, version = "", 0
    for number, value, _ in fields(mapped, within):
        if isinstance(value, int):
            version = value
        elif number == proto.OPSET_DOMAIN:
            domain = text(mapped, value)
    return version if domain in proto.STANDARD else 0


def _search(mapped: Buffer, graph: slice, found: OnnxFile, beside: set[str]) -> None:
    """Note the labels of a ZipMap, and where weights lie that are not in the file."""
    for number, message, _ in fields(mapped, graph):
        if isinstance(message, int):
            continue
        if number == proto.GRAPH_TENSOR:
            beside.update(_locations(mapped, message))
        elif number == proto.GRAPH_NODE:
            operator, attributes = _node(mapped, message)
            if operator == "ZipMap" and not found.zipmap_labels:
                found.zipmap_labels = _strings(mapped, attributes)
            elif operator in _WITH_WEIGHTS:
                _search_within(mapped, attributes, found, beside)


def _node(mapped: Buffer, node: slice) -> tuple[str, list[slice]]:
    operator, attributes = "", []
    for part, value, _ in fields(mapped, node):
        if part == proto.NODE_OP and isinstance(value, slice):
            operator = text(mapped, value)
        elif part == proto.NODE_ATTRIBUTE and isinstance(value, slice):
            attributes.append(value)
    return operator, attributes


def _search_within(
    mapped: Buffer, attributes: list[slice], found: OnnxFile, beside: set[str]
) -> None:
    """Of a constant, and of the graphs within a node."""
    for attribute in attributes:
        # A list of numbers may go on for millions.
        for part, value, _ in islice(fields(mapped, attribute), _MAX_PARTS):
            if part == proto.ATTRIBUTE_TENSOR and isinstance(value, slice):
                beside.update(_locations(mapped, value))
            elif part == proto.ATTRIBUTE_GRAPH and isinstance(value, slice):
                _search(mapped, value, found, beside)


def _locations(mapped: Buffer, tensor: slice) -> tuple[str, ...]:
    """The file that holds a tensor, if another one does."""
    entries = [
        {
            key: text(mapped, value)
            for key, value, _ in fields(mapped, entry)
            if isinstance(value, slice)
        }
        for part, entry, _ in fields(mapped, tensor)
        if part == proto.TENSOR_EXTERNAL and isinstance(entry, slice)
    ]
    return tuple(
        entry.get(proto.ENTRY_VALUE, "")
        for entry in entries
        if entry.get(proto.ENTRY_KEY) == "location"
    )


def _strings(mapped: Buffer, attributes: list[slice]) -> tuple[str, ...]:
    for attribute in attributes:
        parts = [
            (number, text(mapped, value))
            for number, value, _ in fields(mapped, attribute)
            if isinstance(value, slice)
        ]
        if (proto.ATTRIBUTE_NAME, "classlabels_strings") in parts:
            return tuple(text for number, text in parts if number == proto.ATTRIBUTE_STRINGS)
    return ()
