"""Secrets by reference, the last good settings on disk, and settings that wait for a start."""

import json
import logging
from pathlib import Path

import pytest

from visionedge.errors import SettingsError
from visionedge.settings import (
    LAST_GOOD_NAME,
    LastGood,
    begin,
    missing_secrets,
    resolve,
    reveal,
    waits_for_start,
)

ENVIRONMENT = {"CAM": "s3cret", "EMPTY": ""}


def test_a_secret_of_the_environment_is_put_in() -> None:
    assert reveal("rtsp://u:${env:CAM}@h/x", ENVIRONMENT) == "rtsp://u:s3cret@h/x"


def test_a_mounted_secret_is_put_in_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "cam").write_text("s3cret\n")
    assert reveal(f"${{file:{tmp_path}/cam}}", {}, tmp_path) == "s3cret"


def test_a_text_without_references_stays_as_it_is() -> None:
    assert reveal("rtsp://h/$x{y}", {}) == "rtsp://h/$x{y}"


def test_a_secret_that_looks_like_a_reference_is_not_followed() -> None:
    assert reveal("${env:A}", {"A": "${env:B}", "B": "x"}) == "${env:B}"


@pytest.mark.parametrize("name", ["GONE", "EMPTY"])
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        reveal(f"rtsp://${{env:{name}}}@h", ENVIRONMENT)


@pytest.mark.parametrize(
    "reference",
    [
        "${file:/etc/passwd}",
        "${file:/run/secrets/../../etc/passwd}",
        "${file:/run/secrets/a/b}",
        "${file:relative}",
        "${env:}",
        "${env:A B}",
        "${}",
        "${other:X}",
    ],
)
def test_what_is_no_reference_to_a_secret_is_refused(reference: str) -> None:
    with pytest.raises(SettingsError, match="no reference"):
        reveal(reference, ENVIRONMENT)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        reveal(f"${{file:{tmp_path}/cam}}", {}, tmp_path)


def test_missing_secrets_are_told_by_setting_and_never_shown() -> None:
    texts = {"cameras.a.url": "rtsp://${env:CAM}@h", "cameras.b.url": "rtsp://${env:NO}@h"}
    missing = missing_secrets(texts, ENVIRONMENT)
    assert list(missing) == ["cameras.b.url"]
    assert "NO" in missing["cameras.b.url"]
    assert "s3cret" not in str(missing)


def test_what_was_saved_is_there_after_a_restart_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "desired.json"
    LastGood(path).save({"log": {"level": "DEBUG"}}, 7)
    assert LastGood(path).load() == ({"log": {"level": "DEBUG"}}, 7)
    assert path.stat().st_mode & 0o077 == 0
    assert [file.name for file in path.parent.iterdir()] == ["desired.json"]


def test_a_write_that_was_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "desired.json"
    LastGood(path).save({"a": 1}, 1)
    path.with_name("desired.json.new").write_text('{"version": 2, "des')
    assert LastGood(path).load() == ({"a": 1}, 1)
    LastGood(path).save({"a": 2}, 2)
    assert LastGood(path).load() == ({"a": 2}, 2)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": "x", "desired": {}}', "\x00"]
)
def test_a_file_that_is_none_is_as_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "desired.json"
    path.write_text(text)
    assert LastGood(path).load() is None


def test_a_disk_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    LastGood(tmp_path / "file" / "desired.json").save({}, 1)


def test_a_start_lays_what_the_hub_last_said_over_its_own_sources(tmp_path: Path) -> None:
    layers = [{"spool": {"path": str(tmp_path / "spool.db")}, "telemetry": {"interval_s": 7}}]
    LastGood(tmp_path / LAST_GOOD_NAME).save({"telemetry": {"interval_s": 9}}, 3)
    begun = begin(layers)
    assert begun.settings.telemetry.interval_s == 9
    assert begun.kept == ({"telemetry": {"interval_s": 9}}, 3)
    assert begun.folder == tmp_path


def test_a_start_does_without_what_is_not_good_any_more(tmp_path: Path) -> None:
    layers = [{"spool": {"path": str(tmp_path / "spool.db")}, "telemetry": {"interval_s": 7}}]
    LastGood(tmp_path / LAST_GOOD_NAME).save({"telemetry": {"no_such_field": 9}}, 3)
    begun = begin(layers)
    assert begun.settings.telemetry.interval_s == 7
    assert begun.kept is None


WORDS_FOR_NUMBERS = {
    "telemetry": {"interval_s": "60"},
    "cameras": {"line-9": {"kind": "stream", "url": "rtsp://10.0.0.5/1", "max_fps": True}},
}


def test_what_an_earlier_release_took_is_used_at_a_start_and_is_to_be_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = [{"spool": {"path": str(tmp_path / "spool.db")}}]
    LastGood(tmp_path / LAST_GOOD_NAME).save(WORDS_FOR_NUMBERS, 7)
    with caplog.at_level(logging.WARNING):
        begun = begin(layers)
    assert begun.kept == (WORDS_FOR_NUMBERS, 7)
    assert list(begun.settings.cameras) == ["line-9"]
    assert begun.settings.telemetry.interval_s == 60
    (told,) = caplog.messages
    assert "mend them in the twin" in told
    assert "telemetry.interval_s: must be a number, without quotes" in told
    assert "cameras.line-9.max_fps: must be a number, not true" in told


def test_what_an_earlier_release_took_is_refused_where_it_comes_anew() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([WORDS_FOR_NUMBERS])
    assert set(caught.value.fields) == {"telemetry.interval_s", "cameras.line-9.max_fps"}


def test_settings_that_are_read_once_wait_for_the_next_start() -> None:
    began = resolve([])
    now = resolve(
        [
            {
                "spool": {"path": "elsewhere.db", "max_age_s": 60},
                "http": {"port": 1},
                "inference": {"workers": 3},
                "uplink": {"kind": "local", "window": 3},
                "escalation": {"queue": 3},
            }
        ]
    )
    assert set(waits_for_start(began, now)) == {
        "spool.path",
        "http",
        "inference.workers",
        "uplink.kind",
        "escalation.queue",
    }
    assert waits_for_start(now, now) == ()


def test_the_mark_is_in_the_schema_that_people_read() -> None:
    schema = json.dumps(type(resolve([])).model_json_schema())
    assert schema.count('"x-next-start": true') >= 8
