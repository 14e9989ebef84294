"""What Postfix's log says of our mails, across rotation and torn lines."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from countermand.connectors.postfix import log
from countermand.connectors.postfix.log import LogPlace
from countermand.domain.delivery import EvidenceKind

ONE = "<CM-7Q4K.1.notice.0.0123456789abcdef0123@example.org>"
HEAD = "Nov 23 10:05:00 mx postfix"


def lines(*texts: str) -> str:
    return "".join(f"{HEAD}{text}\n" for text in texts)


ACCEPTED = lines(
    f"/cleanup[7]: 4Xy1Zk3jQzKb: message-id={ONE}",
    "/qmgr[8]: 4Xy1Zk3jQzKb: from=<orders@example.org>, size=9, nrcpt=1 (queue active)",
)
DELIVERED = lines(
    "/lmtp[9]: 4Xy1Zk3jQzKb: to=<asha@example.org>, relay=mx[private/lmtp], delay=0.1,"
    " dsn=2.0.0, status=sent (250 2.0.0 saved)",
    "/qmgr[8]: 4Xy1Zk3jQzKb: removed",
)


BOUNCED = lines("/smtp[9]: 4Xy1Zk3jQzKb: to=<a@e.org>, relay=mx2, dsn=5.1.1, status=bounced (no)")


def kinds(text: str) -> list[EvidenceKind]:
    return [each.kind for each in log.findings(text, LogPlace())]


def test_a_mail_is_accepted_when_it_is_in_the_queue_and_delivered_when_it_is_in_a_mailbox() -> None:
    found = log.findings(ACCEPTED + DELIVERED, LogPlace())

    assert [each.kind for each in found] == [
        EvidenceKind.RELAY_LOG_ACCEPTED,
        EvidenceKind.DSN_DELIVERED,
    ]
    assert {each.message_id for each in found} == {ONE}
    assert found[1].address == "asha@example.org"


def test_a_message_id_alone_proves_nothing() -> None:
    assert kinds(lines(f"/cleanup[7]: 4Xy1Zk3jQzKb: message-id={ONE}")) == []


def test_the_next_server_is_no_mailbox_and_a_put_off_delivery_is_nothing() -> None:
    to_next = "/smtp[9]: 4Xy1Zk3jQzKb: to=<a@e.org>, relay=mx2, dsn=2.0.0, status=sent (250 ok)"
    put_off = "/smtp[9]: 4Xy1Zk3jQzKb: to=<a@e.org>, relay=none, dsn=4.4.1, status=deferred (no)"

    assert kinds(lines(to_next)) == [EvidenceKind.RELAY_LOG_ACCEPTED]
    assert kinds(lines(put_off)) == []


def test_a_mail_that_its_mailbox_hands_on_is_in_none_yet() -> None:
    handed_on = lines(
        "/local[9]: 4Xy1Zk3jQzKb: to=<a@e.org>, relay=local, dsn=2.0.0,"
        " status=sent (forwarded as 5Xy1Zk3jQzKb)",
        f"/cleanup[7]: 5Xy1Zk3jQzKb: message-id={ONE}",
        "/smtp[9]: 5Xy1Zk3jQzKb: to=<at-home@elsewhere.org>, orig_to=<a@e.org>, relay=mx2,"
        " dsn=5.1.1, status=bounced (no)",
    )
    found = log.findings(ACCEPTED + handed_on, LogPlace())

    accepted, failed = EvidenceKind.RELAY_LOG_ACCEPTED, EvidenceKind.DSN_FAILED
    assert [each.kind for each in found] == [accepted, accepted, failed]
    assert {each.message_id for each in found} == {ONE}


def test_a_line_says_for_whom_a_copy_was_meant_before_aliases() -> None:
    copies = lines(
        "/lmtp[9]: 4Xy1Zk3jQzKb: to=<a.rao@e.org>, orig_to=<A@e.org>, relay=x, status=sent (ok)",
        "/lmtp[9]: 4Xy1Zk3jQzKb: to=<archive@e.org>, relay=x, status=sent (ok)",
    )
    found = log.findings(copies, LogPlace())

    assert [each.address for each in found] == ["a.rao@e.org", "archive@e.org"]
    assert [each.meant_for for each in found] == ["a@e.org", "archive@e.org"]


def test_what_came_back_or_grew_too_old_has_failed() -> None:
    bounced = "/smtp[9]: 4Xy1Zk3jQzKb: to=<a@e.org>, relay=mx2, dsn=5.1.1, status=bounced (no)"
    old = "/qmgr[8]: 4Xy1Zk3jQzKb: from=<o@e.org>, status=expired, returned to sender"

    assert kinds(lines(bounced, old)) == [EvidenceKind.DSN_FAILED] * 2


def test_a_log_is_read_on_from_where_it_was_left_across_rotation(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    place = LogPlace()
    path.write_text(ACCEPTED + DELIVERED[:40], encoding="utf-8")
    first = log.read_on(path, place)

    path.write_text(ACCEPTED + DELIVERED, encoding="utf-8")
    path.rename(tmp_path / "mail.log.1")
    path.write_text(lines("/qmgr[8]: 5Xy1Zk3jQzKb: from=<o@e.org> (queue active)"), "utf-8")
    second = log.read_on(path, LogPlace.from_json(place.as_json()))

    assert [each.kind for each in first] == [EvidenceKind.RELAY_LOG_ACCEPTED]
    assert [each.message_id for each in second] == [ONE, ""]
    assert second[0].kind is EvidenceKind.DSN_DELIVERED


def test_a_log_that_was_moved_away_is_read_to_its_end_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place = tmp_path / "mail.log", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, place)
    path.write_text(ACCEPTED + BOUNCED * 9, encoding="utf-8")
    path.rename(tmp_path / "mail.log.1")
    path.write_text(DELIVERED, encoding="utf-8")
    monkeypatch.setattr(log, "MOST_AT_ONCE", 4 * len(BOUNCED))

    readings: list[list[EvidenceKind]] = []
    while not readings or not place.is_read_to_end:
        readings.append([each.kind for each in log.read_on(path, place)])
        assert not place.has_missed

    found = [kind for reading in readings for kind in reading]
    assert found == [EvidenceKind.DSN_FAILED] * 9 + [EvidenceKind.DSN_DELIVERED]
    assert len(readings) > 1


def test_a_log_that_was_moved_away_is_followed_while_the_next_one_is_empty(tmp_path: Path) -> None:
    path, place = tmp_path / "mail.log", LogPlace()
    older = tmp_path / "mail.log.1"
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, place)
    path.rename(older)
    path.touch()

    assert log.read_on(path, place) == []
    older.write_text(ACCEPTED + BOUNCED, encoding="utf-8")  # the log's writer has it open still
    path.write_text(DELIVERED, encoding="utf-8")

    found = [each.kind for each in log.read_on(path, place)]
    assert found == [EvidenceKind.DSN_FAILED, EvidenceKind.DSN_DELIVERED]
    assert not place.has_missed


def test_a_log_that_was_moved_to_a_name_with_the_day_is_followed(tmp_path: Path) -> None:
    """As logrotate does with `dateext`, by default on Red Hat's and SUSE's systems."""
    path, place = tmp_path / "maillog", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, place)
    with path.open("a", encoding="utf-8") as file:
        file.write(BOUNCED)
    path.rename(tmp_path / "maillog-20261201")
    path.write_text(DELIVERED, encoding="utf-8")

    found = [each.kind for each in log.read_on(path, place)]

    assert found == [EvidenceKind.DSN_FAILED, EvidenceKind.DSN_DELIVERED]
    assert not place.has_missed


def moved_twice_to_names_with_the_day(path: Path) -> None:
    path.rename(path.with_name("mail.log-20261201"))
    between = path.with_name("mail.log-20261208")
    between.write_text(BOUNCED, encoding="utf-8")
    os.utime(between, (2**32, 2**32))
    path.write_text(DELIVERED, encoding="utf-8")


def compressed_at_once(path: Path) -> None:
    path.rename(path.with_name("mail.log.1.gz"))
    path.with_name("mail.log.1.gz").write_bytes(b"\x1f\x8b")
    path.write_text(DELIVERED, encoding="utf-8")


def moved_twice(path: Path) -> None:
    path.rename(path.with_name("mail.log.2"))
    path.with_name("mail.log.1").write_text(BOUNCED, encoding="utf-8")
    path.write_text(DELIVERED, encoding="utf-8")


def cut_short(path: Path) -> None:
    path.write_text(DELIVERED[:100], encoding="utf-8")


def emptied_and_grown_again(path: Path) -> None:
    with path.open("r+", encoding="utf-8") as file:  # in its place, as copytruncate does
        file.truncate()
        file.write(DELIVERED * 20)


@pytest.mark.parametrize(
    "lose",
    [
        moved_twice,
        moved_twice_to_names_with_the_day,
        compressed_at_once,
        cut_short,
        emptied_and_grown_again,
    ],
)
def test_lines_that_can_no_longer_be_read_are_told_of_once(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    path, place = tmp_path / "mail.log", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, place)

    lose(path)

    log.read_on(path, place)
    assert place.has_missed
    log.read_on(path, place)
    assert not place.has_missed


def test_the_first_reading_of_a_log_has_missed_nothing(tmp_path: Path) -> None:
    path, place = tmp_path / "mail.log", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")

    log.read_on(path, place)

    assert not place.has_missed


def test_a_log_that_was_emptied_in_its_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    path, kept = tmp_path / "mail.log", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, kept)
    emptied_and_grown_again(path)

    place = LogPlace.from_json(kept.as_json())

    assert [each.kind for each in log.read_on(path, place)] == [EvidenceKind.DSN_DELIVERED] * 20


def test_a_place_that_an_older_version_kept_is_gone_on_from(tmp_path: Path) -> None:
    path, kept = tmp_path / "mail.log", LogPlace()
    path.write_text(ACCEPTED, encoding="utf-8")
    log.read_on(path, kept)
    old = {name: value for name, value in kept.as_json().items() if name != "before"}
    path.write_text(ACCEPTED + BOUNCED, encoding="utf-8")

    place = LogPlace.from_json(old)

    assert [each.kind for each in log.read_on(path, place)] == [EvidenceKind.DSN_FAILED]
    assert not place.has_missed


BEGUN = lines("/cleanup[7]: Wait1ng9: message-id=<CM-7Q4K.1.notice.0.waiting@example.org>")
WAITS = lines("/smtp[9]: Wait1ng9: to=<b@e.org>, relay=none, dsn=4.4.1, status=deferred (no)")
IDS = frozenset({"4Xy1Zk3jQzKb", "Wait1ng9"})


def test_only_a_mail_of_which_no_copy_went_anywhere_was_left_in_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(BEGUN + ACCEPTED + DELIVERED + WAITS, encoding="utf-8")

    assert log.left_for_somewhere(path, IDS) == {"4Xy1Zk3jQzKb"}


@pytest.mark.parametrize("name", ["mail.log.1", "mail.log-20261123", "mail.log.old"])
def test_a_copy_that_went_before_the_log_was_moved_away_is_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mail.log"
    (tmp_path / name).write_text(BEGUN + ACCEPTED + DELIVERED, encoding="utf-8")
    path.write_text(WAITS, encoding="utf-8")

    assert log.left_for_somewhere(path, IDS) == {"4Xy1Zk3jQzKb"}


def test_what_cannot_be_read_beside_the_log_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(WAITS, encoding="utf-8")
    (tmp_path / "mail.log.d").mkdir()

    assert log.left_for_somewhere(path, IDS) == IDS


def test_a_mail_whose_beginning_no_log_holds_may_have_gone(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    assert log.left_for_somewhere(path, IDS) == IDS

    path.write_text(BEGUN + WAITS, encoding="utf-8")
    (tmp_path / "mail.log.1.gz").write_bytes(b"\x1f\x8b\x00")

    assert log.left_for_somewhere(path, IDS) == {"4Xy1Zk3jQzKb"}
