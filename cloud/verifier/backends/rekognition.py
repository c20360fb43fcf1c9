"""Amazon Rekognition: labels with boxes, text, faces, moderation, and your own custom labels.

The only home of boto3, which signs the calls. Its retries are off; its errors are mapped by their
code. Confidences come as 0 to 100 and boxes as parts of the picture.

One call an operation, so each thing that is wanted is a call and is charged: `units` says how many.
With `project_version_arn` objects are those of your Custom Labels model and no others.

Source: the service model that botocore ships, rekognition/2016-06-27.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from verifier.errors import BackendBusy, BackendMisconfigured, BackendRefused, SettingsRefused
from verifier.http import checked_endpoint, paid_before, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_of

_REFUSED: Final = frozenset(
    {"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}
)
_BUSY: Final = frozenset(
    {
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "InternalServerError",
        "ServiceUnavailableException",
        "RequestTimeout",
    }
)
_MIN_PERCENT: Final = 30.0
_MAX_LABELS: Final = 100
_CALL_S: Final = 20.0


def client(region: str, endpoint: str | None = None) -> Any:  # noqa: ANN401 - boto3 has no types
    """A client with retries off, under the identity that the environment gives.

    Raises:
        SettingsRefused: there can be no such region, or no key may go to the endpoint.
    """
    url = checked_endpoint(endpoint) if endpoint else None
    config = Config(
        connect_timeout=5,
        read_timeout=_CALL_S,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    try:
        return boto3.client("rekognition", region_name=region, endpoint_url=url, config=config)
    except (BotoCoreError, ValueError):
        raise SettingsRefused(f"name: {region!r} is no region of AWS, such as eu-west-1") from None


@dataclass(frozen=True, slots=True)
class Rekognition:
    """Rekognition in one region."""

    client: Any = field(repr=False)
    region: str
    project_version_arn: str = ""
    name: str = "rekognition"
    offers: frozenset[Want] = frozenset(
        {Want.LABELS, Want.OBJECTS, Want.TEXT, Want.FACES, Want.ADULT}
    )

    @property
    def limits(self) -> Limits:
        """Custom Labels take a little less."""
        megabytes = 4 if self.project_version_arn else 5
        return Limits(max_bytes=megabytes * 1024 * 1024, min_px=80)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"2016-06-27 {_MIN_PERCENT} {self.project_version_arn}"

    def paid_calls(self, want: frozenset[Want]) -> int:
        """One an operation."""
        return sum(bool(needs & want) for needs in _ASKED)

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once for each kind of thing, and stop between two when the time is up.

        boto3 takes a timeout for the client, not for a call.
        """
        image = {"Bytes": picture.jpeg}
        asked = [ask for needs, ask in _ASKED.items() if needs & want]
        until_s = time.monotonic() + timeout_s
        opinions: list[Opinion] = []
        for ask in asked:
            if opinions and time.monotonic() > until_s:
                raise BackendBusy("rekognition is too slow for all that is wanted")
            with paid_before(bool(opinions)), _mapped(), reading(self.name):
                opinions.append(ask(self, image, want))
        return Opinion(
            objects=tuple(seen for o in opinions for seen in o.objects),
            labels=tuple(named for o in opinions for named in o.labels),
            texts=tuple(seen for o in opinions for seen in o.texts),
            model=next((o.model for o in opinions if o.model), ""),
            units=len(opinions),
        )

    def labels(self, image: Mapping[str, bytes], want: frozenset[Want]) -> Opinion:
        """Labels, and those that have boxes as objects."""
        if self.project_version_arn:
            return self._custom_labels(image, want)
        said = self.client.detect_labels(
            Image=image, MaxLabels=_MAX_LABELS, MinConfidence=_MIN_PERCENT
        )
        found = said["Labels"]
        instances = [(label, one) for label in found for one in label.get("Instances", ())]
        return Opinion(
            labels=tuple(map(_named, found)) if Want.LABELS in want else (),
            objects=tuple(_instance(label["Name"], one) for label, one in instances)
            if Want.OBJECTS in want
            else (),
            model=said.get("LabelModelVersion", ""),
        )

    def _custom_labels(self, image: Mapping[str, bytes], want: frozenset[Want]) -> Opinion:
        said = self.client.detect_custom_labels(
            Image=image, ProjectVersionArn=self.project_version_arn, MinConfidence=_MIN_PERCENT
        )
        found = said["CustomLabels"]
        placed = [label for label in found if "BoundingBox" in label.get("Geometry", {})]
        return Opinion(
            labels=tuple(map(_named, found)) if Want.LABELS in want else (),
            objects=tuple(_placed(label["Name"], label) for label in placed)
            if Want.OBJECTS in want
            else (),
            model=self.project_version_arn.rpartition("/")[2],
        )

    def lines(self, image: Mapping[str, bytes], want: frozenset[Want]) -> Opinion:
        """Lines of text; the words in them are left out."""
        found = self.client.detect_text(Image=image)["TextDetections"]
        lines = [one for one in found if one["Type"] == "LINE"]
        return Opinion(texts=tuple(_placed(one["DetectedText"], one) for one in lines))

    def faces(self, image: Mapping[str, bytes], want: frozenset[Want]) -> Opinion:
        """Where faces are, never whose."""
        found = self.client.detect_faces(Image=image)["FaceDetails"]
        return Opinion(objects=tuple(_instance("face", one) for one in found))

    def moderation(self, image: Mapping[str, bytes], want: frozenset[Want]) -> Opinion:
        """Content that would be moderated."""
        found = self.client.detect_moderation_labels(Image=image)["ModerationLabels"]
        return Opinion(labels=tuple(map(_named, found)))


_ASKED: Final[
    dict[frozenset[Want], Callable[[Rekognition, Mapping[str, bytes], frozenset[Want]], Opinion]]
] = {
    frozenset({Want.LABELS, Want.OBJECTS}): Rekognition.labels,
    frozenset({Want.TEXT}): Rekognition.lines,
    frozenset({Want.FACES}): Rekognition.faces,
    frozenset({Want.ADULT}): Rekognition.moderation,
}


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _error(error) from None
    except (NoCredentialsError, ParamValidationError) as error:
        raise BackendMisconfigured(f"rekognition: {type(error).__name__}") from None
    except (EndpointConnectionError, ConnectTimeoutError):
        raise BackendBusy("no connection to rekognition", billed=False) from None
    except BotoCoreError as error:
        raise BackendBusy(f"rekognition: {type(error).__name__}") from None


def _error(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _REFUSED:
        return BackendRefused(f"rekognition: {code}")
    if code in _BUSY or status == 429 or status >= 500:
        return BackendBusy(f"rekognition: {code}", billed=status >= 500)
    return BackendMisconfigured(f"rekognition: {code}", hint="check the role and the model's name")


def _named(label: Mapping[str, Any]) -> Named:
    return Named(label["Name"], label["Confidence"] / 100)


def _instance(name: str, one: Mapping[str, Any]) -> Seen:
    return Seen(name, one["Confidence"] / 100, _box(one["BoundingBox"]))


def _placed(name: str, one: Mapping[str, Any]) -> Seen:
    return Seen(name, one["Confidence"] / 100, _box(one["Geometry"]["BoundingBox"]))


def _box(box: Mapping[str, float]) -> tuple[float, float, float, float]:
    return box_of(box["Left"], box["Top"], box["Width"], box["Height"])
