"""The ways in which people keep the truth about pictures, and how each is told from the others.

    coco     one JSON with `images`, `annotations`, `categories`; bbox is x y w h, pixels
    yolo     NAME.txt beside NAME.jpg, or `labels/` beside `images/`; lines `class cx cy w h`,
             0..1 of the picture; names in classes.txt or data.yaml, or none
    voc      NAME.xml with `object/name` and `object/bndbox` (PASCAL VOC; corners count from 1)
    deeppcb  NAME.txt beside NAME.jpg; lines `x1 y1 x2 y2 type`, pixels, type 1 to 6
             (arXiv:1902.06197)
    folders  a folder a class, with its pictures inside

A text file without a line is a picture with nothing in it. So is, in YOLO, a picture without a
file of its own, where others of its folder have one, beside them or in the `labels` that go with
its `images`: trainers read it so. Elsewhere, and in all other formats, it has no truth and is left
out: it may show anything.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from visionedge.datasets.below import below
from visionedge.errors import SettingsError
from visionedge.evaluation.dataset import Dataset, Picture, boxes, listed
from visionedge.evaluation.pictures import NO_CLASSES, SUFFIXES, Pictures
from visionedge.inference.image import read_image

_DEEPPCB_NAMES: Final = ("open", "short", "mousebite", "spur", "spurious_copper", "pin_hole")
_NAME_FILES: Final = ("classes.txt", "obj.names", "labels.txt")
_MAX_BYTES: Final = 512 * 1024**2
_MOST_CLASS: Final = 1_000_000
_ROUNDING: Final = 1e-3
"""By which a share may be beyond the picture: exporters round."""
_HEAD_BYTES: Final = 4096
_OF_NUMBERS: Final = b"0123456789.eE+- \t\r\n\xef\xbb\xbf"
"""With the mark that some editors put before the text."""


def read_dataset(path: Path, kind: str | None = None) -> Dataset:
    """The data set at `path`.

    Args:
        path: its folder, or the JSON file of COCO.
        kind: key of `FORMATS`; None tells it by looking.

    Raises:
        SettingsError: there is none, or a file of it is wrong; the message names it.
    """
    if not path.exists():
        raise SettingsError(f"there is no data set at {path}", hint="check the path")
    kind = kind or _told(path)
    found = FORMATS[kind](path)
    if not found.pictures:
        left_out = f": {found.without_picture}" if found.left_out else ""
        raise SettingsError(
            f"{path} holds no picture with its truth as {kind}{left_out}",
            hint=f"choose another with --format: {', '.join(FORMATS)}",
        )
    return found


def _told(path: Path) -> str:
    """The format that a folder or file looks like."""
    if path.is_file() or any(map(_has_categories, _jsons(path))):
        return "coco"
    # Editors and tools leave XML of their own beside the truth.
    if any(b"<annotation" in _first(file, _HEAD_BYTES) for file in _files(path, ".xml")):
        return "voc"
    # Exports have a README beside their truth.
    texts = [text for text, _ in _with_pictures(path, Pictures(), [])]
    for text in texts:
        for line in _lines(text):
            return "yolo" if any("." in part for part in line.split()[1:]) else "deeppcb"
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if texts or folders >= {"images", "labels"}:
        return "yolo"
    if folders - NO_CLASSES:
        return "folders"
    if _jsons(path):
        # Whatever ails it, its reader names.
        return "coco"
    if _files(path, ".xml"):
        return "voc"
    raise SettingsError(
        f"{path} looks like no data set", hint=f"choose with --format: {', '.join(FORMATS)}"
    )


def _coco(path: Path) -> Dataset:
    file = path if path.is_file() else _coco_file(path)
    document = _json(file)
    try:
        categories = sorted(document["categories"], key=lambda each: each["id"])
        number = {each["id"]: index for index, each in enumerate(categories)}
        of_image: dict[Any, list[Any]] = {each["id"]: [] for each in document["images"]}
        for each in document["annotations"]:
            # A crowd is an area that is not judged.
            if not each.get("iscrowd"):
                of_image[each["image_id"]].append(each)
        pictures = [
            Picture(
                _beside(file, each["file_name"]),
                np.array([number[a["category_id"]] for a in of_image[each["id"]]], np.int32),
                boxes([_from_xywh(*a["bbox"]) for a in of_image[each["id"]]]),
            )
            for each in document["images"]
        ]
        names = tuple(str(each["name"]) for each in categories)
    except KeyError as error:
        raise _wrong(file, f"it is not COCO's: there is no {error}") from None
    except (AttributeError, TypeError, ValueError, OverflowError, OSError) as error:
        raise _wrong(file, f"it is not COCO's: {error}") from None
    return Dataset("coco", names, pictures)


def _coco_file(path: Path) -> Path:
    """The one JSON file of a folder that is COCO's."""
    files = [file for file in _jsons(path) if _has_categories(file)] or _jsons(path)
    if not files:
        raise _wrong(path, "no JSON file is in it")
    if len(files) > 1:
        raise SettingsError(
            f"{path} holds {len(files)} JSON files: {listed([file.name for file in files])}",
            hint="name the one that is meant in place of the folder",
        )
    return files[0]


def _jsons(path: Path) -> list[Path]:
    found = path.iterdir() if path.is_dir() else ()
    return sorted(file for file in found if file.suffix.lower() == ".json" and file.is_file())


def _has_categories(file: Path) -> bool:
    """Whether a JSON file may be COCO's; models and tools leave others beside the truth."""
    return b'"categories"' in _first(file, _MAX_BYTES)


def _from_xywh(x: float, y: float, width: float, height: float) -> tuple[float, ...]:
    return x, y, x + width, y + height


def _beside(file: Path, name: str) -> Path:
    """Where a picture of a COCO file is: exporters put it in three places."""
    above = file.parent.parent
    folders = (file.parent, file.parent / "images", above / "images", above / file.stem)
    places = [folder / name for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _yolo(path: Path) -> Dataset:
    pictures: list[Picture] = []
    left_out: list[Path] = []
    finder = Pictures()
    for text, picture in _with_pictures(path, finder, left_out):
        rows = _shares(text)
        width, height = _size(picture) if rows else (1, 1)
        size = (width, height, width, height)
        scaled = [
            [share * side for share, side in zip(_around(text, row[1:]), size, strict=True)]
            for row in rows
        ]
        if any(not 0 <= row[0] <= _MOST_CLASS or row[0] % 1 for row in rows):
            raise _wrong(text, "classes count from 0, in whole numbers")
        classes = np.array([int(row[0]) for row in rows], np.int32)
        pictures.append(Picture(picture, classes, _boxes(text, scaled)))
    nothing = np.zeros(0, np.int32), boxes([])
    pictures += [Picture(each, *nothing) for each in finder.without_truth()]
    return Dataset("yolo", _names(path), pictures, left_out)


def _shares(text: Path) -> list[list[float]]:
    """The rows of a file of YOLO: the class, and what are shares of the picture's sides."""
    rows = _numbers(text, 5, all_of_them=True)
    for line, row in zip(_lines(text), rows, strict=True):
        # A polygon is as long as it is; behind a box may be how sure a model was.
        end = None if len(row) > 6 else 5
        if not all(-_ROUNDING <= share <= 1 + _ROUNDING for share in row[1:end]):
            raise _wrong(text, f"`{line[:60]}` is not in 0..1, as shares of the picture are")
        row[1:end] = [min(1.0, max(0.0, share)) for share in row[1:end]]
    return rows


def _around(text: Path, row: Sequence[float]) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 of centre and size, or around the corners of a polygon or a turned box."""
    if len(row) <= 5:
        # A fifth is how sure a model was that labelled it.
        x, y, w, h = row[:4]
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    if len(row) % 2:
        raise _wrong(text, f"a line of {len(row) + 1} numbers is neither a box nor a polygon")
    xs, ys = row[::2], row[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _deeppcb(path: Path) -> Dataset:
    pictures: list[Picture] = []
    left_out: list[Path] = []
    for text, picture in _with_pictures(path, Pictures(), left_out):
        rows = _numbers(text, 5)
        if any(row[4] not in range(1, len(_DEEPPCB_NAMES) + 1) for row in rows):
            raise _wrong(text, "types go from 1 to 6")
        classes = np.array([int(row[4]) - 1 for row in rows], np.int32)
        pictures.append(Picture(picture, classes, _boxes(text, [row[:4] for row in rows])))
    return Dataset("deeppcb", _DEEPPCB_NAMES, pictures, left_out)


def _voc(path: Path) -> Dataset:
    found: list[tuple[Path, list[str], NDArray[np.float32]]] = []
    left_out: list[Path] = []
    finder = Pictures()
    for file in _files(path, ".xml"):
        try:
            root = ElementTree.fromstring(_text(file))
            objects = root.findall("object")
            names = [each.findtext("name", "").strip() for each in objects]
            corners = [
                [float(each.findtext(f"bndbox/{side}", "")) for side in _VOC_SIDES]
                for each in objects
            ]
        except (ElementTree.ParseError, ValueError) as error:
            raise _wrong(file, str(error)) from None
        picture = finder.of(file, root.findtext("filename", ""))
        if picture is not None:
            # A pixel counts from 1 and to its end: 1 to 1 is one pixel.
            pixels = _boxes(file, [[a - 1, b - 1, c, d] for a, b, c, d in corners])
            found.append((picture, names, pixels))
        elif root.tag == "annotation":
            left_out.append(file)
    order = sorted({name for _, names, _ in found for name in names})
    pictures = [
        Picture(picture, np.array([order.index(n) for n in names], np.int32), pixels)
        for picture, names, pixels in found
    ]
    return Dataset("voc", tuple(order), pictures, left_out)


_VOC_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")


def _folders(path: Path) -> Dataset:
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
    pictures = [
        Picture(file, np.array([number], np.int32))
        for number, name in enumerate(names)
        for file in sorted(below(path / name))
        if file.suffix.lower() in SUFFIXES
    ]
    return Dataset("folders", tuple(names), pictures)


FORMATS: Final[Mapping[str, Callable[[Path], Dataset]]] = {
    "coco": _coco,
    "yolo": _yolo,
    "voc": _voc,
    "deeppcb": _deeppcb,
    "folders": _folders,
}


def _files(path: Path, suffix: str) -> list[Path]:
    """The files of a suffix below a folder, in whatever case it is written."""
    inside = below(path) if path.is_dir() else ()
    return sorted(file for file in inside if file.suffix.lower() == suffix and not file.is_dir())


def _texts(path: Path) -> list[Path]:
    return [file for file in _files(path, ".txt") if file.name.lower() not in _NAME_FILES]


def _with_pictures(
    path: Path, finder: Pictures, left_out: list[Path]
) -> Iterator[tuple[Path, Path]]:
    """Each text with its picture; those that are truth and have none go to `left_out`."""
    for text in _texts(path):
        picture = finder.of(text)
        if picture is not None:
            yield text, picture
        elif _is_truth(text):
            left_out.append(text)


def _is_truth(text: Path) -> bool:
    """Whether numbers alone are in it: a README beside the truth is none."""
    return not _first(text, _HEAD_BYTES).translate(None, _OF_NUMBERS)


def _size(picture: Path) -> tuple[int, int]:
    image = read_image(picture)
    if image is None:
        raise _wrong(picture, "it is no picture that can be read")
    return image.shape[1], image.shape[0]


def _names(path: Path) -> tuple[str, ...]:
    for folder in (path, path.parent):
        for name in _NAME_FILES:
            if (folder / name).is_file():
                # The line is the number, also below one that is empty.
                lines = _text(folder / name).rstrip().splitlines()
                return tuple(line.strip() or str(n) for n, line in enumerate(lines))
        if (file := folder / "data.yaml").is_file():
            return _names_in_yaml(file)
    return ()


def _names_in_yaml(file: Path) -> tuple[str, ...]:
    """What is below `names:`, as Ultralytics and Roboflow write it: inline, dashes or numbers.

    A class that is not named is called by its number.
    """
    lines = [line.partition(" #")[0].rstrip() for line in _text(file).splitlines()]
    text = "\n".join(lines) + "\n"
    parts: list[str] = []
    if inline := re.search(r"^names:\s*[\[{](.*?)[\]}]", text, re.MULTILINE | re.DOTALL):
        parts = inline[1].split(",")
    elif block := re.search(r"^names:\n((?:[ -].*\n|\n)+)", text, re.MULTILINE):
        parts = block[1].splitlines()
    named: dict[int, str] = {}
    for part in filter(None, map(str.strip, parts)):
        number = re.match(r"(\d{1,9})\s*:", part)
        name = part[number.end() :] if number else part.removeprefix("-")
        named[int(number[1]) if number else len(named)] = name.strip(" '\"")
    most = max(named, default=-1)
    if most > _MOST_CLASS:
        raise _wrong(file, f"it names a class {most}, and they go to {_MOST_CLASS}")
    return tuple(named.get(n, str(n)) for n in range(most + 1))


def _boxes(file: Path, rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    try:
        return boxes(rows)
    except ValueError as error:
        raise _wrong(file, str(error)) from None


def _numbers(file: Path, count: int, *, all_of_them: bool = False) -> list[list[float]]:
    rows = []
    for line in _lines(file):
        parts = line.split()
        try:
            rows.append([float(part) for part in (parts if all_of_them else parts[:count])])
        except ValueError:
            raise _wrong(file, f"`{line[:60]}` holds no numbers") from None
        if not all(map(math.isfinite, rows[-1])):
            raise _wrong(file, f"`{line[:60]}` is not finite")
        if len(parts) < count:
            raise _wrong(file, f"`{line[:60]}` has {len(parts)} numbers, and not {count}")
    return rows


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in _text(file).splitlines() if line.strip()]


def _json(file: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise _wrong(file, str(error)) from None


def _first(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(size)
    except OSError as error:
        raise _wrong(file, str(error)) from None


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise _wrong(file, f"it is larger than {_MAX_BYTES} bytes")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(file, str(error)) from None


def _wrong(file: Path, why: str) -> SettingsError:
    return SettingsError(f"{file}: {why}", hint="mend the file, or choose another --format")
