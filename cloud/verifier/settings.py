"""The worker's settings: one JSON file, without a secret in it.

A secret is named by the variable of the environment that holds it (`key_env`); where none is
named the managed identity is used. Unknown fields are refused, so that a slip of the pen does not
turn a budget off.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from verifier.agreement import Agreement
from verifier.errors import SettingsRefused
from verifier.http import endpoint_fault, is_host
from verifier.opinion import Want
from visionedge.refusals import reason
from visionedge.wire import Label

Parsed = TypeVar("Parsed", bound=BaseModel)


_CONTAINER: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*\Z")


def _host(value: str) -> str:
    if value and not is_host(value):
        raise ValueError("give a host's name alone, such as name.example.net, without https://")
    return value


def _address(value: str) -> str:
    if value and (fault := endpoint_fault(value)):
        raise ValueError(fault)
    return value


def _container(value: str) -> str:
    if value and not _CONTAINER.match(value):
        raise ValueError("a container has 3 to 63 small letters, digits and single hyphens")
    return value


_Host = Annotated[str, AfterValidator(_host)]
_Address = Annotated[str, AfterValidator(_address)]
_Container = Annotated[str, AfterValidator(_container)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegionSettings(_Section):
    """One deployment of a Vision API."""

    name: str = Field(description="such as westeurope; for Rekognition the AWS region")
    endpoint: str = Field(default="", description="https://…; Rekognition needs none")
    key_env: str = Field(default="", description="variable with the key; none: managed identity")


class BackendSettings(_Section):
    """One Vision API; its regions are asked in their order."""

    kind: str = Field(description="which API, such as ia40")
    regions: list[RegionSettings] = Field(min_length=1, max_length=8)
    language: str = "en"
    model_version: str = Field(
        default="", description="ia40, cv32: default latest; embed: default 2023-04-15"
    )
    project_id: str = Field(default="", description="customvision")
    published_name: str = Field(default="", description="customvision")
    task: Literal["classification", "detection"] = Field("detection", description="customvision")
    model: str = Field(
        default="", description="docint: model; contentunderstanding: analyzer; onnx: path"
    )
    texts: dict[str, str] = Field(
        default_factory=dict, description="embed: a sentence for each label"
    )
    temperature: float = Field(
        default=0.01, gt=0, le=10, description="embed: what cosines are divided by"
    )
    person_group: str = Field(default="", description="face: for `identities`")
    consent: bool = Field(
        default=False, description="face: all who are enrolled have agreed to be identified"
    )
    project_version_arn: str = Field(default="", description="rekognition: a Custom Labels model")


class RouteSettings(_Section):
    """Who is asked about a model's escalations, and how the answer is read."""

    backend: BackendSettings
    want: list[Want] = Field(min_length=1, description="each is charged")
    labels: dict[str, Label] = Field(default_factory=dict, description="from their names to ours")
    only_mapped: bool = Field(default=False, description="leave out what has no name of ours")
    min_confidence: float = Field(default=0.5, ge=0, le=1)


class BudgetSettings(_Section):
    """Calls a day (UTC); null for no limit."""

    per_hub: int | None = Field(default=1000, ge=0)
    per_device: int | None = Field(default=100, ge=0)


class HubSettings(_Section):
    """The IoT Hub that verdicts go back through."""

    host: _Host = Field(default="", description="name.azure-devices.net; with a managed identity")
    connection_string_env: str = Field(default="", description="or: variable with the string")


class EventsSettings(_Section):
    """The event hub that escalations come from."""

    namespace: _Host = Field(default="", description="name.servicebus.windows.net")
    name: str = Field(default="escalations", min_length=1)
    consumer_group: str = Field(default="verifier", min_length=1)
    connection_string_env: str = Field(default="", description="variable with the string instead")
    balance_s: float = Field(
        default=10,
        ge=0.5,
        le=60,
        description="seconds between looks at who reads what; after six, a dead worker's"
        " partitions are taken over",
    )
    ca_file: str = Field(
        default="", description="PEM file of who signs the endpoint's certificate, if not public"
    )


class StoreSettings(_Section):
    """Where the ledger is kept: a container of a storage account, or a file."""

    account_url: _Address = Field(default="", description="https://name.blob.core.windows.net")
    connection_string_env: str = Field(default="", description="variable with the string instead")
    container: _Container = Field(default="verifier", min_length=1)
    file: str = Field(default="", description="a SQLite file instead, for one machine")


class DatasetSettings(_Section):
    """Where verified escalations are kept to train from: a container, a folder, or nowhere."""

    container: _Container = Field(default="", description="of the storage account of `store`")
    folder: str = Field(default="", description="or: a folder, for one machine")
    prefix: str = Field(default="dataset/v1", description="of all keys in the container")
    per_class_per_day: int | None = Field(
        default=50, ge=0, description="samples of each class a day (UTC); null for no limit"
    )
    keep_days: int = Field(default=180, ge=1, le=3660)
    agreements: list[Agreement] = Field(
        default_factory=list, description="only verdicts of these words; none: all"
    )


class WorkerSettings(_Section):
    """The process itself."""

    threads: int = Field(default=8, ge=1, le=64, description="escalations asked about at once")
    batch: int = Field(default=32, ge=1, le=300)
    lease_s: float = Field(
        default=120,
        ge=3,
        le=600,
        description="seconds that a claim holds; what a dead worker held is taken over after them,"
        " and no question is asked for longer than two thirds of them",
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=9400, ge=0, le=65535, description="/metrics and /healthz")
    cache_days: float = Field(default=7, ge=0, le=3660)


class VerifierSettings(_Section):
    """All of it."""

    routes: dict[str, RouteSettings] = Field(description="by model; `*` for all others")
    budget: BudgetSettings = BudgetSettings()
    hub: HubSettings
    events: EventsSettings = EventsSettings()
    store: StoreSettings
    dataset: DatasetSettings = DatasetSettings()
    worker: WorkerSettings = WorkerSettings()


def read_settings(path: Path) -> VerifierSettings:
    """The settings in a file.

    Raises:
        SettingsRefused: it cannot be read, or a field is wrong; each is named.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsRefused(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsRefused(f"{path}: no JSON: {error}") from None
    except RecursionError:
        raise SettingsRefused(f"{path}: is nested too deeply") from None
    if not isinstance(document, dict):
        raise SettingsRefused(f"{path}: must be an object, with its fields in braces")
    return parse_settings(document)


def parse_settings(document: object) -> VerifierSettings:
    """The settings in parsed JSON; see `read_settings`."""
    settings = _parsed(VerifierSettings, document)
    if "*" not in settings.routes:
        raise SettingsRefused("routes: no `*`: a model without a route could not be answered")
    store = settings.store
    if not (store.account_url or store.connection_string_env or store.file):
        raise SettingsRefused("store: give account_url, connection_string_env or file")
    return settings


def parse_route(document: object) -> RouteSettings:
    """One route by itself, as a device has it.

    Raises:
        SettingsRefused: a field is wrong; each is named.
    """
    return _parsed(RouteSettings, document)


def _parsed(kind: type[Parsed], document: object) -> Parsed:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {reason(item, kind)}"
            for item in error.errors(include_input=False, include_url=False)[:20]
        )
        raise SettingsRefused(wrong) from None
