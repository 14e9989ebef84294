"""Unread copies in a real Dovecot: moved, proven, counted honestly, and never twice."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage

import pytest

from countermand.connectors.doveadm.copies import FOLDER, DovecotCopies
from countermand.domain.withdrawal import CopyAnswer, CopyState, MailCopy
from lab import mailbox
from lab.dovecot import ADMIN_KEY, Dovecot, dovecot_that_asks
from lab.ground import HERE, held_port
from lab.people import ASHA, RAVI, Person

UNREAD = "<CM-7Q4K.1.notice.0.unread@example.org>"
READ = "<CM-7Q4K.1.notice.0.read@example.org>"
SECOND = "<CM-7Q4K.1.notice.0.second@example.org>"
OTHER = "<CM-2X9M.1.notice.0.other@example.org>"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with held_port() as nobody, dovecot_that_asks(nobody, everything=True) as server:
        yield server


def deliver(dovecot: Dovecot, to: str, message_id: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "orders@example.org", to, "Notice"
    message["Message-ID"] = message_id
    message.set_content("…")
    with smtplib.LMTP(HERE, dovecot.lmtp) as server:
        server.send_message(message)


def append_mail(dovecot: Dovecot, person: Person, message_id: str) -> None:
    """Lay a mail into an inbox over IMAP: LMTP knows nobody by a name in other letters."""
    with mailbox.session(dovecot.port, person.login, person.password) as own:
        mail = f"From: orders@example.org\r\nMessage-ID: {message_id}\r\n\r\n…\r\n"
        assert own.append("INBOX", "", "", mail.encode())[0] == "OK"


def remover(dovecot: Dovecot, key: str = ADMIN_KEY, port: int = 0) -> DovecotCopies:
    return DovecotCopies((f"http://{HERE}:{port or dovecot.admin}",), key, longest_s=20)


def in_folder(dovecot: Dovecot, login: str, folder: str) -> list[str]:
    query = ["mailbox", folder, "all"]
    fetch = {"user": login, "field": ["hdr.message-id"], "query": query}
    answer = dovecot.doveadm(["fetch", fetch, "f"])[0]
    return sorted(row["hdr.message-id"] for row in answer[1]) if answer[0] != "error" else []


def test_only_what_is_unread_is_moved_and_the_mailbox_proves_it(dovecot: Dovecot) -> None:
    for message_id in (UNREAD, READ, OTHER):
        deliver(dovecot, ASHA.login, message_id)
    with mailbox.imap(dovecot.port) as phone:
        phone.login(ASHA.login, ASHA.password)
        phone.select("INBOX")
        (found,) = phone.search(None, "HEADER", "Message-ID", READ)[1]
        phone.store(found.decode(), "+FLAGS", "\\Seen")
    copies = [
        MailCopy(ASHA.login, UNREAD),
        MailCopy(ASHA.login, READ),
        MailCopy(RAVI.login, UNREAD),
        MailCopy("nobody@example.org", UNREAD),
    ]

    for _ in range(2):  # twice is as good as once
        answers = remover(dovecot).withdraw(copies)
        assert [answer.copy for answer in answers] == copies
        assert [answer.state for answer in answers] == [
            CopyState.WITHDRAWN,
            CopyState.ALREADY_READ,
            CopyState.NOT_FOUND,
            CopyState.UNKNOWN,
        ]
        assert in_folder(dovecot, ASHA.login, FOLDER) == [UNREAD]
        assert in_folder(dovecot, ASHA.login, "INBOX") == sorted([OTHER, READ])


@pytest.mark.parametrize("deleted", ["into the trash", "by its mark"])
def test_what_its_owner_deleted_unread_stays_there_and_was_not_taken_away_by_us(
    dovecot: Dovecot, deleted: str
) -> None:
    gone = f"<CM-7Q4K.1.notice.0.{deleted.replace(' ', '-')}@example.org>"
    folder = "INBOX" if deleted == "by its mark" else "Trash"
    flags = "\\Deleted" if deleted == "by its mark" else ""
    with mailbox.session(dovecot.port, RAVI.login, RAVI.password) as own:
        mail = f"From: orders@example.org\r\nMessage-ID: {gone}\r\n\r\n…\r\n".encode()
        own.create(folder)
        assert own.append(folder, flags, "", mail)[0] == "OK"

    for _ in range(2):
        (answer,) = remover(dovecot).withdraw([MailCopy(RAVI.login, gone)])
        assert (answer.state, answer.detail) == (CopyState.NOT_FOUND, "deleted by its owner")
        assert gone in in_folder(dovecot, RAVI.login, folder)

    deliver(dovecot, RAVI.login, gone)  # a second copy that nobody deleted
    (answer,) = remover(dovecot).withdraw([MailCopy(RAVI.login, gone)])
    assert answer.state is CopyState.WITHDRAWN
    assert in_folder(dovecot, RAVI.login, FOLDER).count(gone) == 1
    assert gone in in_folder(dovecot, RAVI.login, folder)


def test_a_copy_that_a_filter_filed_away_is_taken_out_of_there(dovecot: Dovecot) -> None:
    filed = "<CM-7Q4K.1.notice.0.filed@example.org>"
    with mailbox.session(dovecot.port, RAVI.login, RAVI.password) as own:
        mail = f"From: orders@example.org\r\nMessage-ID: {filed}\r\n\r\n…\r\n".encode()
        own.create("Filed")
        assert own.append("Filed", "", "", mail)[0] == "OK"

    (answer,) = remover(dovecot).withdraw([MailCopy(RAVI.login, filed)])

    assert answer.state is CopyState.WITHDRAWN
    assert in_folder(dovecot, RAVI.login, "Filed") == []


@pytest.mark.parametrize("which", ["wrong key", "nobody listens"])
def test_a_server_that_does_not_answer_leaves_it_unknown(dovecot: Dovecot, which: str) -> None:
    with held_port() as nobody:
        asked = remover(dovecot, key="x") if which == "wrong key" else remover(dovecot, port=nobody)
        (answer,) = asked.withdraw([MailCopy(ASHA.login, UNREAD)])

    assert answer.state is CopyState.UNKNOWN


def test_a_mailbox_is_looked_for_on_every_server(dovecot: Dovecot) -> None:
    deliver(dovecot, RAVI.login, SECOND)
    copies = [MailCopy(RAVI.login, SECOND), MailCopy(ASHA.login, SECOND)]
    here = f"http://{HERE}:{dovecot.admin}"
    with held_port() as nobody, dovecot_that_asks(nobody, everything=True) as other:
        elsewhere, silent = (f"http://{HERE}:{port}" for port in (other.admin, nobody))
        both = DovecotCopies((elsewhere, here), ADMIN_KEY, longest_s=20).withdraw(copies)
        one_is_silent = DovecotCopies((here, silent), ADMIN_KEY, longest_s=20).withdraw(copies)

    assert [answer.copy for answer in both] == copies
    assert [answer.state for answer in both] == [CopyState.WITHDRAWN, CopyState.NOT_FOUND]
    # Nobody can say that the silent one has nothing.
    assert [answer.state for answer in one_is_silent] == [CopyState.WITHDRAWN, CopyState.UNKNOWN]


def test_a_mailbox_is_found_by_the_login_where_the_server_knows_no_address() -> None:
    uid = replace(ASHA, login="averma")
    copies = [
        MailCopy(ASHA.login, UNREAD, ("nobody", uid.login)),
        MailCopy("nobody@example.org", UNREAD, ("nobody",)),
    ]
    with (
        held_port() as nobody,
        dovecot_that_asks(nobody, everything=True, people=[uid]) as server,
    ):
        deliver(server, uid.login, UNREAD)
        answers = remover(server).withdraw(copies)

        assert [answer.copy for answer in answers] == copies
        assert [answer.state for answer in answers] == [CopyState.WITHDRAWN, CopyState.UNKNOWN]
        assert in_folder(server, uid.login, FOLDER) == [UNREAD]


def test_a_mailbox_is_found_where_the_server_knows_a_domain_in_its_own_letters() -> None:
    ram = Person("ram@कंपनी.भारत", "main-of-ram", {})
    copy = MailCopy("ram@xn--i1b1b4ch5i.xn--h2brj9c", UNREAD)
    letters = "auth_username_chars =\n"
    with (
        held_port() as nobody,
        dovecot_that_asks(nobody, everything=True, people=[ram], more=letters) as server,
    ):
        append_mail(server, ram, UNREAD)

        assert remover(server).withdraw([copy]) == [CopyAnswer(copy, CopyState.WITHDRAWN)]
