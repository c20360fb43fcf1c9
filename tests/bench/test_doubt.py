"""The arithmetic of `bench.doubt`: orders, what they catch, and how sure that is."""

import numpy as np
import pytest
from bench.doubt import measured, share_of_oracle
from bench.doubt_curves import above, caught, error_left, interval, surely_above
from bench.doubt_orders import by_default
from bench.doubt_sets import Example, View
from bench.doubt_tuning import tuned
from bench.doubt_unseen import tables
from tests.support.predictions import boxes, classes

from visionedge.entities import Prediction

SURE, WAVERS = boxes(0.99), boxes(0.7)


def example(*views: tuple[Prediction, Prediction], wrong: bool = False, frames: int = 1) -> Example:
    return Example(tuple(View(*each) for each in views), wrong, frames=frames)


def test_an_order_catches_what_stands_first_in_it() -> None:
    wrong = np.array([0.0, 1, 0, 1])
    assert caught(np.array([0.1, 0.9, 0.2, 0.8]), wrong).tolist() == [0, 1, 2, 2, 2]
    assert caught(np.array([0.9, 0.1, 0.8, 0.2]), wrong).tolist() == [0, 0, 0, 1, 2]


def test_among_equals_errors_are_found_evenly() -> None:
    wrong = np.array([1.0, 0, 0, 1])
    assert caught(np.zeros(4), wrong).tolist() == [0, 0.5, 1, 1.5, 2]
    assert caught(np.array([1.0, 0, 0, 0]), wrong).tolist() == pytest.approx(
        [0, 1, 4 / 3, 5 / 3, 2]
    )


def test_random_order_is_a_straight_line_and_asking_all_leaves_nothing() -> None:
    wrong = np.array([1.0] * 30 + [0.0] * 70)
    assert error_left(np.zeros(100), wrong) == pytest.approx(0.3 * (1 - np.linspace(0, 1, 101)))
    assert error_left(wrong, wrong)[30:].max() == 0


def test_an_order_is_above_another_at_the_shares_at_which_it_leaves_more() -> None:
    one, other = np.array([0.3, 0.2, 0.1]), np.array([0.3, 0.1, 0.1])
    assert above(one, other) == [1]
    assert above(other, one) == []


def test_chance_explains_one_picture_and_not_a_hundred() -> None:
    wrong = np.array([1.0] * 100 + [0.0] * 900)
    upside_down, one_late = 1 - wrong, wrong.copy()
    one_late[0] = 0
    assert surely_above(one_late, wrong, wrong) == []
    assert len(surely_above(upside_down, wrong, wrong)) > 90


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(66, 69, 0.880, 0.985), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_of_a_share_is_wilsons(part: int, whole: int, low: float, high: float) -> None:
    assert interval(part, whole) == pytest.approx((low, high), abs=5e-4)


def test_what_is_doubted_is_asked_unless_a_second_look_settles_it() -> None:
    found = by_default(
        [example((WAVERS, boxes(0.7))), example((WAVERS, boxes(0.97))), example((SURE, SURE))]
    )
    assert found.doubted.tolist() == [True, True, False]
    assert found.asked.tolist() == [True, False, False]
    assert found.scores.tolist() == pytest.approx([2.3, 1.03, 0.01])


def test_of_several_views_the_best_that_is_doubted_is_looked_at_again() -> None:
    views = ((SURE, SURE), (WAVERS, boxes(0.6)), (WAVERS, boxes(0.9)))
    found = by_default([example(*views)])
    assert found.asked.tolist() == [True]
    assert found.scores.tolist() == pytest.approx([2.4])


def test_a_confident_frame_is_looked_at_again_where_its_turn_comes() -> None:
    silent_error = (SURE, boxes())
    stills = by_default([example(silent_error)] * 100)
    assert stills.asked.sum() == 2
    line = by_default([example(silent_error, frames=90)] * 100)
    assert line.asked.all()


def test_a_second_look_that_is_sure_of_another_class_comes_before_one_that_wavers() -> None:
    first = classes(0.6, 0.4)
    found = by_default([example((first, classes(0.45, 0.55))), example((first, classes(0.1, 0.9)))])
    assert found.scores.tolist() == pytest.approx([2.55, 2.9])


def test_a_table_says_whether_the_default_is_above_a_baseline() -> None:
    right = [example((classes(0.97, 0.03), classes(0.97, 0.03)))] * 50
    doubted = [example((classes(0.7, 0.3), classes(0.99, 0.01)))] * 40
    wrong = [example((classes(0.8, 0.2), classes(0.3, 0.7)), wrong=True)] * 10
    table, panel = measured("patches", [*right, *doubted, *wrong])
    assert "default: above random at no share, below it at 99 of 101" in table.notes
    assert any("above max confidence at no share" in note for note in table.notes)
    assert any("10 of the 10 errors" in note for note in table.notes)
    assert panel.budget == pytest.approx(0.1)
    table, _ = measured("patches", [*right, *doubted, *[example((SURE, SURE), wrong=True)] * 10])
    (note,) = [note for note in table.notes if "above random" in note]
    assert "above random at [" in note
    assert "0 of the 0 errors" in str(table)


def test_no_errors_are_no_share_of_them() -> None:
    assert "100.0 % (0.0 % to 100.0 %)" in share_of_oracle(0, 0)


def test_settings_are_tuned_by_what_they_ask_and_catch() -> None:
    boards = [example((WAVERS, boxes(0.88)), wrong=True, frames=90)]
    boards += [example((SURE, SURE), frames=90)] * 9
    rows = {(row.close, row.settles): row for row in tuned(boards).rows}
    assert rows[0.4, 0.1].caught == 1
    assert rows[0.4, 0.1].asked == pytest.approx(0.1)
    assert rows[0.4, 0.15].caught == 0
    assert {row.wrong for row in rows.values()} == {1}


def test_lines_are_told_each_and_together() -> None:
    one = [example((WAVERS, WAVERS), wrong=True, frames=90), example((SURE, SURE), frames=90)]
    each, together = tables({1: one, 2: [*one, *one]})
    assert [(row.line, row.boards, row.wrong, row.asked, row.caught) for row in each.rows] == [
        (1, 2, 1, 1, 1),
        (2, 4, 2, 2, 2),
    ]
    assert "6 pictures" in together.title
