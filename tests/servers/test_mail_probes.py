"""The real notice in a real mailbox: found in any folder, with what was made of it."""

from __future__ import annotations

import smtplib
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import quote

import pytest

from countermand.config import Settings
from countermand.connectors.returned_mail import mailbox as returned_mail
from countermand.connectors.returned_mail.mailbox import ReturnedMailUnavailable
from countermand.domain.delivery import NoticeKind
from countermand.notices import probe
from countermand.notices.preview import PreviewMail, Signed, preview
from countermand.notices.wording import Signatory
from countermand.project import mail_probes
from countermand.project.mail_probes import (
    ProbeMailbox,
    ProbeNotOpened,
    ProbeNotSecret,
    ProbeNotUnderstood,
)
from lab.dovecot import PASSDBS, Dovecot, dovecot_that_asks
from lab.ground import HERE, held_port
from lab.oauth import MECHANISMS, TOKEN_OF_ASHA, token_server
from lab.people import ASHA
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
VERIFIED = b"Authentication-Results: mx.example.org; spf=pass; dkim=pass; dmarc=pass\r\n"
HINDI_FOLDER = "&CTgJTQkqCUgJLg-"  # as IMAP writes स्पैम
# One that asks a gate that is away lets people wait longer and longer.
NO_QUESTIONS = {"auth_policy_server_url": "#auth_policy_server_url"}
Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with dovecot_that_asks(1, changes=NO_QUESTIONS, everything=True) as server:
        yield server


def notice(language: str) -> PreviewMail:
    return preview(
        content(),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=Signed(Signatory("R. Iyer", "आर. अय्यर", "Security")),
        now=NOW,
        language=language,
        kind=NoticeKind.NOTICE,
    )


def asha(dovecot: Dovecot) -> ProbeMailbox:
    return ProbeMailbox(ASHA.login, HERE, dovecot.port, is_encrypted=False, password=ASHA.password)


def probed(
    dovecot: Dovecot, tmp_path: Path, change: Change, *, language: str = "en", arrives: bool = True
) -> mail_probes.Probed:
    """Send one notice; what stands between, and makes what it likes of it, is `change`."""

    def relay(to: str, raw: bytes) -> None:
        if arrives:
            with smtplib.LMTP(HERE, dovecot.lmtp) as server:
                server.sendmail("orders@example.org", [to], change(raw))

    mailbox = asha(dovecot)
    (found,) = mail_probes.run(
        [notice(language)],
        [mailbox],
        settings=Settings(data=tmp_path),
        now=NOW,
        wait_s=20 if arrives else 0.1,
        send=relay,
    )
    return found


@pytest.mark.parametrize("language", ["en", "hi"])
def test_a_mail_that_nobody_touched_is_well(
    dovecot: Dovecot, tmp_path: Path, language: str
) -> None:
    found = probed(dovecot, tmp_path, lambda raw: VERIFIED + raw, language=language)

    assert found.arrival is not None
    assert found.arrival.folder == "INBOX"
    assert dict(found.arrival.authentication) == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    assert found.arrival.is_well


def test_what_a_gateway_made_of_it_is_shown(dovecot: Dovecot, tmp_path: Path) -> None:
    def gateway(raw: bytes) -> bytes:
        whole = raw.replace(b"Subject: ", b"Subject: [EXTERNAL] ", 1)
        head, _, body = whole.partition(b"\r\n\r\n")
        boundary = body.split(b"\r\n", 1)[0]
        plain = (
            boundary + b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            b"CAUTION: external sender. Check at https://safe.example/?url=x\r\n"
        )
        failed = b"Authentication-Results: mx.example.org; spf=fail; dkim=none\r\n"
        return failed + head + b"\r\n\r\n" + plain + body

    arrival = probed(dovecot, tmp_path, gateway).arrival

    assert arrival is not None
    assert not arrival.is_well
    assert arrival.subject_changed.startswith("[EXTERNAL]")
    assert arrival.banner[0].startswith("CAUTION")
    assert arrival.links == ("https://safe.example/?url=x",)
    assert dict(arrival.authentication) == {"spf": "fail", "dkim": "none"}
    assert arrival.missing == ()


def test_a_mail_that_does_not_arrive_is_said_not_to(dovecot: Dovecot, tmp_path: Path) -> None:
    assert probed(dovecot, tmp_path, lambda raw: raw, arrives=False).arrival is None


class LetsNobodyIn(socketserver.StreamRequestHandler):
    """A mailbox whose password is another one."""

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, verb = line.split()[:2]
            answer = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGOUT": b"* BYE\r\n"}
            self.wfile.write(answer.get(verb, b""))
            self.wfile.write(tag + (b" NO wrong\r\n" if verb == b"LOGIN" else b" OK done\r\n"))


@pytest.fixture
def shut() -> Iterator[ProbeMailbox]:
    with socketserver.ThreadingTCPServer((HERE, 0), LetsNobodyIn) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        place = f"imap://ravi%40example.org@{HERE}:{server.server_address[1]}"
        yield ProbeMailbox.parse(place, "x")
        server.shutdown()


def test_nothing_is_sent_while_one_mailbox_lets_nobody_in(
    dovecot: Dovecot, shut: ProbeMailbox, tmp_path: Path
) -> None:
    said: list[str] = []

    with pytest.raises(ProbeNotOpened) as refused:
        mail_probes.run(
            [notice("en")],
            [asha(dovecot), shut],
            settings=Settings(data=tmp_path),
            now=NOW,
            send=lambda to, _raw: said.append(to),
            begin=lambda: said.append("begun"),
        )

    assert said == []
    assert "nothing was sent" in str(refused.value)
    assert "ravi@example.org" in str(refused.value)


@pytest.mark.parametrize(
    ("language", "first_line"),
    [("en", "This is a test mail"), ("hi", "यह मेल सिर्फ़ जाँच के लिए भेजी गई है")],
)
def test_a_mail_to_a_probe_says_that_it_is_a_test(
    dovecot: Dovecot, tmp_path: Path, language: str, first_line: str
) -> None:
    sent: list[bytes] = []

    def relay(_to: str, raw: bytes) -> None:
        sent.append(raw)

    mail_probes.run(
        [notice(language)],
        [asha(dovecot)],
        settings=Settings(data=tmp_path),
        now=NOW,
        wait_s=0,
        send=relay,
    )

    (mail,) = (message_from_bytes(raw, policy=default) for raw in sent)
    assert mail[mail_probes.MARK] == "yes"
    text, page = (part.get_content() for part in mail.iter_parts())
    assert text.startswith(first_line)
    assert f"<p>{first_line}" in page


def test_every_folder_is_looked_through(dovecot: Dovecot) -> None:
    with mail_probes._open(asha(dovecot)) as imap:
        imap.login(ASHA.login, ASHA.password)

        assert {"INBOX", "Trash"} <= {each.name for each in mail_probes._folders(imap)}


def test_a_folder_in_other_letters_is_named_as_people_read_it(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    with mail_probes._open(asha(dovecot)) as imap:
        imap.login(ASHA.login, ASHA.password)
        imap.create(HINDI_FOLDER)

        def to_folder(_to: str, raw: bytes) -> None:
            imap.append(HINDI_FOLDER, None, None, raw)

        (found,) = mail_probes.run(
            [notice("hi")],
            [asha(dovecot)],
            settings=Settings(data=tmp_path),
            now=NOW,
            wait_s=20,
            send=to_folder,
        )
        imap.delete(HINDI_FOLDER)

    assert found.arrival is not None
    assert found.arrival.folder == "स्पैम"


@pytest.mark.parametrize(
    ("line", "shown", "is_junk"),
    [
        (rb'(\HasNoChildren \Junk) "/" "[Gmail]/&CTgJTQkqCUgJLg-"', "[Gmail]/स्पैम", True),
        (rb'(\Marked \HasNoChildren \Junk) "/" "Junk Email"', "Junk Email", True),
        (rb'(\HasNoChildren) "." Kunden&-Co', "Kunden&Co", False),
        (rb'(\HasNoChildren) NIL "&!-"', "&!-", False),
    ],
)
def test_junk_is_what_the_server_marks_as_such(line: bytes, shown: str, is_junk: bool) -> None:
    folder = mail_probes.folder_of(line)

    assert folder is not None
    assert (folder.shown, folder.is_junk) == (shown, is_junk)


def test_mail_in_a_folder_that_is_marked_as_junk_is_not_well() -> None:
    mail = VERIFIED + b"From: a@example.org\r\nSubject: x\r\n\r\nx\r\n"

    assert probe.compare(mail, mail, folder="स्पैम").is_well
    assert not probe.compare(mail, mail, folder="स्पैम", is_junk=True).is_well


def test_no_password_goes_over_a_network_in_the_clear() -> None:
    with pytest.raises(ProbeNotSecret):
        ProbeMailbox.parse("imap://probe%40example.org@mail.example.org", "secret")

    assert ProbeMailbox.parse("imap://probe%40example.org@127.0.0.1", "").port == 143


@pytest.mark.parametrize("text", ["", "imap://x", "http://a%40b@c", "imaps://a%40b@c:x", "asha"])
def test_a_mailbox_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ProbeNotUnderstood):
        ProbeMailbox.parse(text, "")


def test_a_mailbox_is_read_with_its_usual_port() -> None:
    found = ProbeMailbox.parse("imaps://probe%40example.org@mail.example.org", "secret")

    assert (found.login, found.port, found.is_encrypted) == ("probe@example.org", 993, True)
    assert "secret" not in repr(found)


@pytest.fixture(scope="module")
def dovecot_with_tokens() -> Iterator[Dovecot]:
    with (
        held_port() as nobody,
        token_server() as tokens,
        dovecot_that_asks(
            nobody, passdbs=tokens.passdb + PASSDBS, more=MECHANISMS, everything=True
        ) as server,
    ):
        yield server


def test_a_mailbox_that_takes_no_password_is_read_with_a_token(
    dovecot_with_tokens: Dovecot, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    place = f"imap://{quote(ASHA.login)}@{HERE}:{dovecot_with_tokens.port}"
    with smtplib.LMTP(HERE, dovecot_with_tokens.lmtp) as server:
        server.sendmail("a@example.org", [ASHA.login], b"Subject: came back\r\n\r\nx\r\n")

    token.write_text(f"{TOKEN_OF_ASHA}\n", encoding="utf-8")
    probe_folders = ProbeMailbox.parse(place, "", token)
    with mail_probes._open(probe_folders) as imap:
        probe_folders.log_in(imap)
        assert "INBOX" in {each.name for each in mail_probes._folders(imap)}
    (mail,) = returned_mail.opened(place, "", token).unread()
    assert b"came back" in mail

    token.write_text("another token\n", encoding="utf-8")
    with pytest.raises(ReturnedMailUnavailable) as refused:
        list(returned_mail.opened(place, "", token).unread())
    assert "another token" not in str(refused.value)
