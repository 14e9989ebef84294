"""The permit design holds in every interleaving, and each of its parts is needed."""

import pytest

from simulation.permit_model import INVARIANTS, Model, Part, explore, main, shortest_way


@pytest.mark.slow
@pytest.mark.parametrize(("people", "crashes"), [(2, 1), (3, 0)])
def test_no_interleaving_violates_an_invariant(people: int, crashes: int) -> None:
    result = explore(Model(people=people, crashes=crashes))

    assert result.violations == {}
    assert result.states > 10_000


@pytest.mark.parametrize(
    ("part", "crashes", "broken"),
    [
        (Part.FENCE, 0, {"I3"}),  # more than one dot a connection after the stop
        (Part.PERMIT, 1, {"I2", "I4"}),  # told, and nobody knows it
        (Part.BARRIER, 0, {"I3", "I5"}),  # a stalled sender speaks after the correction
    ],
)
@pytest.mark.slow
def test_without_one_of_its_parts_the_design_is_broken(
    part: Part, crashes: int, broken: set[str]
) -> None:
    result = explore(Model(people=2, crashes=crashes, without=part))

    assert set(result.violations) == broken


def test_a_violation_is_told_as_the_shortest_way_there() -> None:
    way = shortest_way(Model(people=1, crashes=1, without=Part.PERMIT), "I4")

    assert way[0] == "sender 1 takes the notice to Asha"
    assert way[-1].startswith("the server takes the notice to Asha")


def test_the_command_ends_with_one_when_a_part_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--without", "permit", "--people", "1", "--crashes", "1"]) == 1

    assert INVARIANTS["I4"] in capsys.readouterr().out


def test_the_command_ends_with_zero_for_the_whole_design(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--people", "1", "--crashes", "1"]) == 0

    assert "0 of 5 invariants violated" in capsys.readouterr().out
