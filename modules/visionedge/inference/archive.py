"""An export as a zip, read as it is: checked before a byte is written, unpacked once.

A zip comes from a portal, a mail or a twin, so nothing in it is believed. Every entry is
looked at first: plain relative names, regular files, known compressions, no password, and
bounded counts, sizes and ratios. While it is written the bytes are counted again, because
the sizes in a zip are its own word. It is unpacked beside its place and moved there whole,
so that a half one is never found.

The place is named by the archive's SHA-256: a changed archive is another one, and the same
one is not unpacked again. The newest few are kept.

What this does not promise: that the model inside is good. That is the loader's.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from visionedge.errors import ModelLoadError

MAX_BYTES: Final = 1024**3
"""Unpacked; as much as a model may have."""
_MAX_FILES: Final = 1000
_MAX_RATIO: Final = 100
"""Weights hardly shrink; text shrinks tenfold."""
_FREE_BYTES: Final = 16 * 1024**2
"""Up to here any ratio is harmless."""
_MAX_NAME: Final = 200
"""Bytes, with all folders; file systems take 255 for each part."""
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SIGNATURE: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError,
                   ValueError)  # fmt: skip
"""What zipfile raises on bytes that are no zip; it has no base of its own."""
_KEPT: Final = 16
_ABANDONED_S: Final = 3600.0
_CHUNK: Final = 1024**2
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]+")


def is_archive(path: Path) -> bool:
    """True for a zip, whatever its name ends in.

    Raises:
        ModelLoadError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError as error:
        raise ModelLoadError(
            f"cannot read {path}: {error.strerror}", hint="check its permissions"
        ) from None


def unpacked(archive: Path, cache: Path) -> Path:
    """The folder within an export that holds its model.

    Args:
        archive: a zip.
        cache: where it is unpacked, unless it has been already.

    Raises:
        ModelLoadError: it is damaged or refused, or the disk is full or cannot be written.
    """
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            place = cache / "exports" / digest[:32]
            if not place.is_dir():
                _unpack(archive, file, place)
                _forget_the_oldest(place)
        with contextlib.suppress(OSError):
            # Only keeps it from being the oldest, and a cache that cannot be written loses none.
            place.touch()
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "make room in" if is_full else "check the permissions and the mount of"
        raise ModelLoadError(
            f"cannot unpack {archive}: {error.strerror or error}",
            hint=f"{mend} {cache}, or name the unpacked folder",
        ) from None
    return _folder_of_model(place, archive)


def _unpack(archive: Path, file: BinaryIO, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # The name of a model without a card is that of its folder.
    stem = _PLAIN.sub("-", archive.stem).strip(".-") or "export"
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".unpack-") as beside:
        root = Path(beside, "whole", stem)
        root.mkdir(parents=True)
        try:
            with zipfile.ZipFile(file) as opened:
                entries = _checked(archive, opened.infolist())
                _write(opened, entries, root)
        except _DAMAGED as error:
            raise ModelLoadError(
                f"{archive} is a damaged zip: {error}", hint="download or copy it again"
            ) from None
        try:
            root.parent.replace(place)
        except OSError:
            # Somebody else has unpacked the same one meanwhile.
            if not place.is_dir():
                raise


def _checked(archive: Path, entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files among the entries, if all are harmless."""
    files = [entry for entry in entries if not entry.is_dir()]
    total = sum(entry.file_size for entry in files)
    packed = max(1, sum(entry.compress_size for entry in files))
    if len(entries) > _MAX_FILES:
        raise _refused(archive, f"it holds {len(entries)} files")
    if total > MAX_BYTES:
        raise _refused(archive, f"it would unpack to {total} bytes")
    if total > _FREE_BYTES and total / packed > _MAX_RATIO:
        raise _refused(archive, f"it would unpack to {total / packed:.0f} times its size")
    for entry in entries:
        if fault := _fault(entry):
            raise _refused(archive, f"`{entry.filename[:_MAX_NAME]}` {fault}")
    # A volume that knows no capitals takes two for one.
    paths = [PurePosixPath(entry.filename.casefold()) for entry in files]
    names = set(paths)
    if len(names) < len(files):
        raise _refused(archive, "it holds two files of one name")
    for path in paths:
        if clash := names.intersection(path.parents):
            raise _refused(archive, f"`{clash.pop()}` is a file in it, and a folder as well")
    return files


def _fault(entry: zipfile.ZipInfo) -> str:
    name, path = entry.filename, PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        return "leads out of its folder"
    if len(name.encode()) > _MAX_NAME or not path.parts:
        return "is no name for a file"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or device"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in _COMPRESSIONS:
        return "is compressed in a way that exports do not use"
    return ""


def _write(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], root: Path) -> None:
    left = MAX_BYTES
    for entry in entries:
        target = root / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as packed, target.open("xb") as file:
            while chunk := packed.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise zipfile.BadZipFile("its sizes are not what it says")
                file.write(chunk)
            file.flush()
            # Its folder is believed by its name from now on, also after a power cut.
            os.fsync(file.fileno())


def _folder_of_model(place: Path, archive: Path) -> Path:
    """The one folder with an ONNX file, or else the outermost with any file."""
    root = next(place.iterdir())
    folders = {model.parent for model in root.rglob("*.onnx")}
    if len(folders) > 1:
        names = ", ".join(sorted(str(folder.relative_to(root)) for folder in folders)[:5])
        raise _refused(archive, f"it holds models in several folders: {names}")
    if folders:
        return folders.pop()
    first = min((path for path in root.rglob("*") if path.is_file()), default=root / "none",
                key=lambda path: len(path.parts))  # fmt: skip
    return first.parent


def _forget_the_oldest(place: Path) -> None:
    there = list(place.parent.iterdir())
    kept = [path for path in there if not path.name.startswith(".")]
    # Left by a power cut: nobody takes so long to unpack.
    since = time.time() - _ABANDONED_S
    left = [path for path in there if path.name.startswith(".") and path.stat().st_mtime < since]
    for path in [*left, *sorted(kept, key=lambda path: -path.stat().st_mtime)[_KEPT:]]:
        shutil.rmtree(path, ignore_errors=True)


def _refused(archive: Path, why: str) -> ModelLoadError:
    return ModelLoadError(
        f"{archive} is refused: {why}",
        hint="unpack it yourself, look at it, and name the folder of one model",
    )
