"""The benchmark of `visionedge tune`: what it measures the pick against."""

import pytest
from bench.child import Child
from bench.report import Unavailable
from bench.tune import _grid

from visionedge.evaluation.tuning import ways
from visionedge.runtime.cores import cores


def test_the_grid_holds_every_way_that_the_command_tries_and_more() -> None:
    grid = [(each.workers, each.threads, each.spin) for each in _grid()]
    assert len(set(grid)) == len(grid)
    assert set(ways(cores(), cores() + 1)) < set(grid)


def test_what_a_process_says_is_told_and_why_it_failed() -> None:
    with Child(["-c", "print('so')"]) as child:
        assert child.text() == "so\n"
    with (
        Child(["-c", "raise SystemExit('no such model')"]) as child,
        pytest.raises(Unavailable, match="no such model"),
    ):
        child.text()
