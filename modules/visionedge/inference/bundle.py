"""Where the parts of a model are: in a bundle folder, or around a bare ONNX file.

A bundle is a folder with `model.onnx` and, where the card is written, `model.json`;
`labels.txt` and `golden/` may be beside them. A folder with a single ONNX file of any
name counts as one, so that an unpacked export can be named as it is; a zip of such a folder
is unpacked into a cache first. A bare file has the card of its own name (`best.onnx`,
`best.json`), because a folder may hold many.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visionedge.errors import ModelCardError, ModelLoadError
from visionedge.inference.archive import is_archive, unpacked
from visionedge.inference.cache import private_folder
from visionedge.inference.card import CARD_NAME, LABELS_NAME, Document, read_document, read_labels
from visionedge.inference.export_manifest import model_name
from visionedge.inference.unchanged import while_unchanged

MODEL_NAME: Final = "model.onnx"
GOLDEN_NAME: Final = "golden"
_MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one model.

    Attributes:
        model: the ONNX file.
        card: `model.json`, or None.
        golden: the folder of golden frames, or None.
    """

    model: Path
    card: Path | None = None
    golden: Path | None = None

    def document(self) -> Document:
        """The card as far as it is written, with the labels of `labels.txt`.

        Raises:
            ModelCardError: a file of it cannot be read.
        """
        if self.card is None:
            return {}
        document = read_document(self.card)
        labels = self.card.with_name(LABELS_NAME)
        if "labels" not in document and labels.is_file():
            document["labels"] = read_labels(labels)
        return document


def find_bundle(path: Path, cache: Path | None = None) -> Bundle:
    """The files of the model at `path`, a bundle folder, an ONNX file or a zip of either.

    Args:
        path: as it is named in the settings.
        cache: where a zip is unpacked, once; None is a private folder for temporary files.

    Raises:
        ModelLoadError: there is no model, it may not be looked at, or its zip is refused; the
            hint says what to do.
    """
    try:
        return _found(path, cache)
    except OSError as error:
        # A name that is too long, or a folder on the way that may not be entered.
        raise ModelLoadError(
            f"cannot look at {str(path)[:_MOST_SHOWN]}: {error.strerror}",
            hint="check the name, and the permissions of all folders on the way",
        ) from None


def _found(path: Path, cache: Path | None) -> Bundle:
    if path.is_file() and is_archive(path):
        path = unpacked(path, cache or private_folder())
    if path.is_dir():
        model = _model_in(path)
    elif path.is_file():
        model = path
    else:
        raise ModelLoadError(
            f"there is no model at {path}",
            hint="name a bundle folder, an .onnx file, or the zip of an export",
        )
    is_bundle = path.is_dir() or model.name == MODEL_NAME
    card = model.with_name(CARD_NAME) if is_bundle else model.with_suffix(".json")
    golden = model.with_name(GOLDEN_NAME)
    return Bundle(
        model,
        card if card.is_file() else None,
        golden if is_bundle and golden.is_dir() else None,
    )


def _model_in(folder: Path) -> Path:
    if named := model_name(folder):
        return folder / named
    if (model := folder / MODEL_NAME).is_file():
        return model
    models = sorted(folder.glob("*.onnx"))
    if len(models) == 1:
        return models[0]
    found = f"{len(models)} ONNX files" if models else "no ONNX file"
    raise ModelLoadError(f"{folder} holds {found}", hint=f"a bundle holds one, called {MODEL_NAME}")


@while_unchanged
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_sha256(model: Path, wanted: object) -> str:
    """The SHA-256 of the model file.

    Args:
        wanted: what the card says it is, if it does.

    Raises:
        ModelCardError: it is another one.
        ModelLoadError: the file cannot be read.
    """
    try:
        found = _sha256(model)
    except OSError as error:
        raise ModelLoadError(
            f"cannot read {model}: {error.strerror}", hint="check its permissions"
        ) from None
    if wanted and wanted != found:
        raise ModelCardError(
            f"{model} is not the file of its card: sha256 is {found}, the card says {wanted}",
            hint="copy the bundle again, whole; or mend `sha256` if you changed the model",
        )
    return found
