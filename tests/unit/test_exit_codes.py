"""A program reads from the exit code alone what kind of refusal it met."""

import pytest

from countermand.cli.exit_codes import ExitCode, exit_code_of


@pytest.mark.parametrize(
    ("code", "ends_with"),
    [
        ("override.not_allowed", ExitCode.NOT_ALLOWED),
        ("override.list_not_allowed", ExitCode.NOT_ALLOWED),
        ("approval.same_hand", ExitCode.NOT_ALLOWED),
        ("order.not_known", ExitCode.NOT_FOUND),
        ("override.device_not_known", ExitCode.NOT_FOUND),
        ("devices.client_not_known", ExitCode.NOT_FOUND),
        ("people.token_not_known", ExitCode.NOT_ALLOWED),
        ("people.directory_token_not_known", ExitCode.NOT_FOUND),
        ("relay.queue_unavailable", ExitCode.NOT_REACHABLE),
        ("order.step_not_allowed", ExitCode.REFUSED),
        ("approval.fingerprint_not_understood", ExitCode.USAGE),
        ("order.plan_too_old", ExitCode.REFUSED),
    ],
)
def test_codes_of_one_kind_end_alike(code: str, ends_with: ExitCode) -> None:
    assert exit_code_of(code) == ends_with
