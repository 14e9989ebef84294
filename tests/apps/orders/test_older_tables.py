"""A program that was updated beside tables that were not says so, and stops orders all the same."""

from django.db import connection

from countermand.cli.exit_codes import ExitCode
from countermand.stop import fence as fences
from tests.apps.orders.test_verbs import Terminal, terminal

__all__ = ["terminal"]


def test_tables_of_another_version_are_named_with_what_mends_them(terminal: Terminal) -> None:
    terminal.world.staff(3)
    number = terminal.world.notified()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order RENAME COLUMN first_group_at TO of_older_times")

    code, said = terminal.give("order", "list")
    assert code == ExitCode.NOT_REACHABLE
    assert "of another version" in said
    assert "countermand db migrate" in said

    _, said = terminal.give("take-back", number, "--because", "mistake")
    fence = fences.read(terminal.world.settings.folder.fences, number)
    assert fence is not None, said
    assert fence.withdrawn
