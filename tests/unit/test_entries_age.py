"""How long entries have been behind counts from when the table did not go along any more."""

from countermand.gate.entries_age import EntriesAge


def test_a_table_that_goes_along_is_never_old_however_fast_the_database_runs_ahead() -> None:
    age = EntriesAge()
    for second in range(2_000):
        age.note(head=1_000 * second + 500, has=1_000 * second, now_ms=1_000 * second)

    assert age.behind_ms(2_000_000) <= 2_000


def test_a_table_that_stands_still_is_as_old_as_the_first_change_it_lacks() -> None:
    age = EntriesAge()
    age.note(head=7, has=7, now_ms=0)
    assert age.behind_ms(500_000) == 0

    for now_ms in range(500_000, 1_500_000, 1_000):
        age.note(head=8 + now_ms, has=7, now_ms=now_ms)
    assert age.behind_ms(1_500_000) == 1_000_000

    age.note(head=9, has=9, now_ms=1_500_000)
    assert age.behind_ms(1_600_000) == 0


def test_a_table_that_reaches_exactly_what_it_was_to_reach_goes_along() -> None:
    age = EntriesAge()
    for second in range(1000):  # the database is always one version ahead
        age.note(head=second + 1, has=second, now_ms=second * 1000)

        assert age.behind_ms(second * 1000) == 0


def test_a_table_that_was_filled_once_stays_so_however_far_it_falls_behind() -> None:
    age = EntriesAge()
    age.note(head=7, has=0, now_ms=0)
    assert not age.went_along

    age.note(head=8, has=8, now_ms=1_000)
    age.note(head=9, has=8, now_ms=2_000)

    assert age.went_along
