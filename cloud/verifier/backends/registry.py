"""Which Vision APIs there are, and how each is made from a block of settings."""

import importlib
from collections.abc import Callable
from typing import Final

from verifier.backends.content_understanding import ContentUnderstanding
from verifier.backends.custom_vision import CustomVision
from verifier.backends.cv32 import ComputerVision32
from verifier.backends.document_intelligence import DocumentIntelligence
from verifier.backends.embed import MODEL, Embeddings
from verifier.backends.face import FaceDetection
from verifier.backends.ia40 import ImageAnalysis40
from verifier.backends.luxand import ENDPOINT as LUXAND
from verifier.backends.luxand import Luxand
from verifier.backends.rekognition import Rekognition, client
from verifier.errors import SettingsRefused
from verifier.http import Credential, Service
from verifier.opinion import Backend
from verifier.settings import BackendSettings, RegionSettings

Make = Callable[[BackendSettings, RegionSettings, Credential], Backend]

KEY_HEADERS: Final = {"customvision": "Prediction-Key", "luxand": "token"}
"""Where a key goes, if not where Azure AI services have it."""
MIN_TEXTS: Final = 2
RETIRED: Final = {
    "visionstudio": "model customization and product recognition ended in 2025; use customvision "
    "or contentunderstanding",
    "background_removal": "it ended on 2025-01-10 and has no successor",
    "spatial": "it ended on 2025-03-30 and has no successor",
}


def _ia40(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    return ImageAnalysis40(
        Service(r.endpoint, credential), r.name, b.language, b.model_version or "latest"
    )


def _cv32(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    return ComputerVision32(
        Service(r.endpoint, credential), r.name, b.language, b.model_version or "latest"
    )


def _customvision(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    project, published = _needed(b, "project_id"), _needed(b, "published_name")
    return CustomVision(Service(r.endpoint, credential), r.name, project, published, b.task)


def _face(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    service = Service(r.endpoint, credential)
    return FaceDetection(service, r.name, b.person_group, b.consent)


def _luxand(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    if not r.key_env:
        raise SettingsRefused("key_env: luxand has tokens only")
    return Luxand(Service(r.endpoint or LUXAND, credential), r.name)


def _embed(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    if len(b.texts) < MIN_TEXTS:
        raise SettingsRefused(
            "backend.texts: embed needs a sentence for each of two labels or more"
        )
    service = Service(r.endpoint, credential)
    model = b.model_version or MODEL
    return Embeddings(service, r.name, b.texts, b.temperature, model)


def _docint(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    return DocumentIntelligence(Service(r.endpoint, credential), r.name, b.model or "prebuilt-read")


def _contentunderstanding(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    return ContentUnderstanding(Service(r.endpoint, credential), r.name, _needed(b, "model"))


def _rekognition(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    return Rekognition(client(r.name, r.endpoint or None), r.name, b.project_version_arn)


def _onnx(b: BackendSettings, r: RegionSettings, credential: Credential) -> Backend:
    try:
        local_model = importlib.import_module("verifier.backends.local_model")
    except ImportError as error:
        raise SettingsRefused(
            f"backend.kind: onnx needs {error.name}", hint="install visionedge[edge,cloud]"
        ) from None
    made: Backend = local_model.load(_needed(b, "model"), r.name)
    return made


BACKENDS: Final[dict[str, Make]] = {
    "ia40": _ia40,
    "cv32": _cv32,
    "customvision": _customvision,
    "face": _face,
    "luxand": _luxand,
    "embed": _embed,
    "docint": _docint,
    "contentunderstanding": _contentunderstanding,
    "rekognition": _rekognition,
    "onnx": _onnx,
}


def make(
    settings: BackendSettings, region: RegionSettings, credential: Callable[[str], Credential]
) -> Backend:
    """The backend of one region; `credential` is told the header that a key would go into.

    Raises:
        SettingsRefused: there is no such kind, or it lacks something.
    """
    if settings.kind in RETIRED:
        raise SettingsRefused(f"backend.kind: {settings.kind}: {RETIRED[settings.kind]}")
    if settings.kind not in BACKENDS:
        raise SettingsRefused(f"backend.kind: no {settings.kind}; there are {', '.join(BACKENDS)}")
    header = KEY_HEADERS.get(settings.kind, "Ocp-Apim-Subscription-Key")
    return BACKENDS[settings.kind](settings, region, credential(header))


def _needed(settings: BackendSettings, name: str) -> str:
    value: str = getattr(settings, name)
    if not value:
        raise SettingsRefused(f"backend.{name}: {settings.kind} needs it")
    return value
