"""The settings on the pages about the verifier are settings, and build what the page says."""

import json
from typing import Any

import pytest
from tests.docs.test_examples import HOW_TO, blocks

import verifier.__main__ as verifier_command
import visionedge.__main__ as visionedge_command
from verifier.hosts.direct import open_direct
from verifier.settings import BackendSettings, DatasetSettings
from visionedge.settings import merge, resolve


def documents(page: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in blocks(page, "json")]


def test_direct_mode_begins_with_the_settings_of_its_page() -> None:
    key, whole = documents("ask-from-the-device.md")
    resolve([key])
    direct = resolve([whole]).direct
    assert direct.enabled
    opened = open_direct(direct.route, "k", calls_per_day=direct.calls_per_day, path="")
    assert opened.destination == "customvision name.cognitiveservices.azure.com"
    assert "`direct.path`" in (HOW_TO / "ask-from-the-device.md").read_text()


def test_what_keeps_samples_on_its_page_does() -> None:
    archive, dataset = documents("train-from-verdicts.md")
    assert resolve([merge({}, archive)]).escalation.archive.enabled
    assert DatasetSettings(**dataset["dataset"]).container


def test_the_backends_of_the_page_are_backends() -> None:
    for document in documents("choose-a-vision-api.md"):
        BackendSettings.model_validate(document)


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("train-from-verdicts.md", "visionedge"),
        ("train-from-verdicts.md", "verifier"),
        ("deploy-the-verifier.md", "verifier"),
        ("count-the-verifiers-cost.md", "verifier"),
    ],
)
def test_the_commands_of_a_page_are_understood(page: str, command: str) -> None:
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    typed = [line.partition("#")[0].split()[1:] for line in lines if line.startswith(command)]
    assert typed
    for words in typed:
        if command == "verifier":
            parser = verifier_command._parser()
        else:
            parser = visionedge_command._parser([words[0]])
        assert parser.parse_args(words)
