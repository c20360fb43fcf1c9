"""Patches for the soak: those that fit the schema fit the settings, and the seed decides."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from demo.patches import CALM, Patches, good_patches, value
from visionedge.errors import SettingsError
from visionedge.settings import Settings, resolve

COUNT = 40


def fits(patch: dict[str, Any]) -> bool:
    try:
        resolve([patch])
    except SettingsError:
        return False
    return True


def test_good_patches_fit_and_hostile_ones_mostly_do_not() -> None:
    patches = Patches(1)
    good = [fits(patches.good()) for _ in range(COUNT)]
    hostile = [fits(patches.hostile()) for _ in range(COUNT)]
    assert good.count(True) > 0.9 * COUNT
    assert hostile.count(False) > 0.7 * COUNT


def test_good_patches_come_from_every_calm_section() -> None:
    patches = Patches(2)
    assert {name for _ in range(3 * COUNT) for name in patches.good()} == set(CALM)


@pytest.mark.parametrize("kind", [Patches.good, Patches.hostile])
def test_a_seed_gives_the_same_patches_again_and_another_gives_others(
    kind: Callable[[Patches], dict[str, Any]],
) -> None:
    def some(seed: int) -> list[dict[str, Any]]:
        patches = Patches(seed)
        return [kind(patches) for _ in range(10)]

    assert some(3) == some(3)
    assert some(3) != some(4)


def test_patches_never_end() -> None:
    patches = Patches(5)
    drawn = list(itertools.islice(iter(patches.good, None), 60))
    assert len(drawn) == 60
    assert drawn[:20] != drawn[20:40] != drawn[40:]


def test_a_schema_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match="no values are known for {'type': 'rune'}"):
        value({"type": "rune"}, {})


def test_every_part_of_a_calm_section_is_understood() -> None:
    good_patches(Settings.model_json_schema()).validate()
