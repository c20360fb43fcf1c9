"""The file and the environment as sources of settings."""

from pathlib import Path

import pytest

from visionedge.errors import SettingsError
from visionedge.settings import from_environment, from_file, resolve


def test_a_file_is_read_as_json(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"decision": {"accept": 0.8}}', encoding="utf-8")
    assert resolve([from_file(path)]).decision.accept == 0.8


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not JSON"),
        (b'{"decision": {"accept": 0.8}', "is not JSON"),
        (b'{"a": "\xe9"}', "byte 8 is not UTF-8"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"[1, 2]", "holds no JSON object"),
        (b"null", "holds no JSON object"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b" " * 1_100_000 + b"{}", "larger than 1 MiB"),
    ],
    ids=["empty", "cut", "latin 1", "binary", "list", "null", "deep", "large"],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=complaint) as caught:
        from_file(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SettingsError, match="cannot read") as caught:
            from_file(path)
        assert str(path) in str(caught.value)


def test_the_environment_sets_fields_by_their_path() -> None:
    document = from_environment(
        {
            "VISIONEDGE__DECISION__ACCEPT": "0.6",
            "VISIONEDGE__ESCALATION__SNAPSHOT__CROP": "true",
            "VISIONEDGE__SPOOL__PATH": "/data/spool.db",
            "VISIONEDGE__MODELS__DEFAULT__PROVIDERS": '["OpenVINOExecutionProvider"]',
            "PATH": "/bin",
            "VISIONEDGE_OTHER": "1",
        }
    )
    assert document == {
        "decision": {"accept": 0.6},
        "escalation": {"snapshot": {"crop": True}},
        "spool": {"path": "/data/spool.db"},
        "models": {"default": {"providers": ["OpenVINOExecutionProvider"]}},
    }
    resolve([document])


@pytest.mark.parametrize("word", ["off", "False", "no", "0", "false"])
def test_the_environment_has_words_only_for_switches_and_numbers(word: str) -> None:
    variables = {"VISIONEDGE__ESCALATION__ENABLED": word, "VISIONEDGE__DECISION__ACCEPT": ".5"}
    settings = resolve([from_environment(variables), {"log": {"level": "DEBUG"}}])
    assert (settings.escalation.enabled, settings.decision.accept) == (False, 0.5)


def test_null_in_the_environment_removes() -> None:
    assert resolve([from_environment({"VISIONEDGE__CAMERAS__LINE-1": "null"})]).cameras == {}
    whole = from_environment({"VISIONEDGE__CAMERAS": '{"line-1": null}'})
    assert resolve([whole]).cameras == {}


def test_a_part_wins_over_the_whole_whatever_their_order() -> None:
    variables = {
        "VISIONEDGE__DECISION__ACCEPT": "0.6",
        "VISIONEDGE__DECISION": '{"accept": 0.3, "margin": 0.3}',
    }
    backwards = dict(reversed(variables.items()))
    expected = {"decision": {"accept": 0.6, "margin": 0.3}}
    assert from_environment(variables) == from_environment(backwards) == expected


@pytest.mark.parametrize("name", ["VISIONEDGE__", "VISIONEDGE____ACCEPT", "VISIONEDGE__DECISION__"])
def test_a_variable_that_names_no_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({name: "1"})
    assert name in caught.value.fields
    assert name in str(caught.value)


def test_a_bad_value_in_the_environment_names_its_field() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([from_environment({"VISIONEDGE__DECISION__ACCEPT": "high"})])
    assert "decision.accept" in caught.value.fields


def test_a_hostile_variable_is_text_or_refused_but_never_a_crash() -> None:
    text = from_environment({"VISIONEDGE__SPOOL__PATH": "[" * 100_000})
    assert text["spool"]["path"].startswith("[[")
    deep = "VISIONEDGE__" + "__".join(["A"] * 5000)
    with pytest.raises(SettingsError, match="deeper than 16"):
        from_environment({deep: "1"})
