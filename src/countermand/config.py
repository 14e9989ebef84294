"""Every setting once: its name, its default, and the sentence that says what it does.

Standard library only, so that gate, sender and stop path have the same settings as the web. Where
they are read from says `environment`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from countermand import setting_values
from countermand.data_folder import DataFolder
from countermand.domain.address import ascii_domain
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.retention import Bounds, Kind, Retention, read_countries
from countermand.loopback import LOOPBACK

PREFIX: Final = "COUNTERMAND_"
# Names that the world already has for these settings.
OTHER_NAMES: Final = MappingProxyType({"database_url": "DATABASE_URL"})


@dataclass(eq=False)
class RelayNotLoopback(CountermandError):
    """A demonstration would have mailed real people."""

    relay: str

    code: ClassVar[str] = "config.demonstration_relay"
    sentence: ClassVar[str] = gettext_noop(
        "This is a demonstration, and its mail relay {relay} is not on this machine."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Use a relay on 127.0.0.1, or make a data folder without --demonstration."
    )


def _setting(
    default: Any, sentence: str, read: Callable[[str], Any] = setting_values.read_text
) -> Any:
    metadata = {"sentence": sentence, "read": read, "default": default}
    return field(default_factory=lambda: default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one installation, read once when a process starts."""

    data: Path = field(
        metadata={
            "sentence": gettext_noop("The folder that holds everything Countermand stores."),
            "read": setting_values.read_path,
        }
    )
    database_url: str = _setting(
        "", gettext_noop("The PostgreSQL database; empty means the embedded one.")
    )
    sender_database_url: str = _setting(
        "", gettext_noop("The same database for senders, with the role that may do little.")
    )
    gate_database_url: str = _setting(
        "", gettext_noop("The same database for gates, with the role that may read what they need.")
    )
    relay: str = _setting(
        "127.0.0.1:25",
        gettext_noop("The mail relay, as host:port."),
        setting_values.read_host_and_port,
    )
    relay_tls: str = _setting(
        "auto",
        gettext_noop(
            "Whether the way to the relay is encrypted: starttls, implicit (from the first byte),"
            " none, or auto: starttls, but for a relay on this machine."
        ),
        setting_values.read_tls,
    )
    relay_ca: str = _setting(
        "",
        gettext_noop("A file with the certificate authority of the relay, if it has its own."),
    )
    relay_user: str = _setting(
        "", gettext_noop("Who this program is to the relay; empty means no login.")
    )
    relay_password: str = _setting("", gettext_noop("The password of that user at the relay."))
    relay_token_path: str = _setting(
        "",
        gettext_noop(
            "A file with the present access token for the relay (XOAUTH2), read at every"
            " connection; with it no password is needed."
        ),
    )
    connections: int = _setting(
        16,
        gettext_noop("How many connections one sender opens to the relay."),
        setting_values.read_count,
    )
    window: int = _setting(
        1,
        gettext_noop("How many mails a connection prepares ahead of the one it sends."),
        setting_values.read_count,
    )
    senders: int = _setting(
        1, gettext_noop("How many senders `up` starts."), setting_values.read_count
    )
    mail_from: str = _setting(
        "orders@example.org", gettext_noop("The address that mails come from.")
    )
    returned_mail: str = _setting(
        "",
        gettext_noop(
            "Where mails that come back are read: imaps://user@host/INBOX, or maildir:/folder; that"
            " mailbox is the one of mail_from."
        ),
    )
    returned_mail_password: str = _setting(
        "", gettext_noop("The password of that mailbox, if it is read over IMAP.")
    )
    returned_mail_token_path: str = _setting(
        "",
        gettext_noop(
            "A file with the present access token for that mailbox (XOAUTH2), read each time; with"
            " it no password is needed."
        ),
    )
    relay_log: str = _setting(
        "", gettext_noop("The log of a Postfix on this machine, such as /var/log/mail.log.")
    )
    relay_queue_command: str = _setting(
        "",
        gettext_noop(
            "What looks into Postfix's queue and takes mails out of it, such as"
            " “sudo -n /usr/local/sbin/countermand-queue”."
        ),
    )
    mail_from_name: str = _setting(
        "Example Organisation", gettext_noop("The name that stands before that address.")
    )
    mail_domain: str = _setting(
        "example.org", gettext_noop("The domain in the Message-ID of every mail."), ascii_domain
    )
    reply_to: str = _setting(
        "help@example.org", gettext_noop("Where an answer to a mail goes: people who can help.")
    )
    lookup_address: str = _setting(
        "orders.example", gettext_noop("The address of the look-up page, as people type it.")
    )
    company_notice_word: Mapping[str, str] = _setting(
        MappingProxyType({"en": "Company notice", "hi": "कंपनी सूचना"}),
        gettext_noop("What your organisation calls such a mail, by language."),
        setting_values.read_by_language,
    )
    organisation: str = _setting(
        "Example Organisation", gettext_noop("The name of your organisation.")
    )
    help_desk: str = _setting(
        "help desk: help@example.org", gettext_noop("How staff reach a person who can help.")
    )
    help_desk_hours: str = _setting(
        "08:00-20:00",
        gettext_noop(
            "When that person can be reached, by the clock where somebody lives; a plan warns of "
            "deadlines at other hours. Empty for at any time."
        ),
        setting_values.read_hours,
    )
    default_language: str = _setting(
        "en", gettext_noop("The language of people whose own language is not known.")
    )
    zone: str = _setting(
        "UTC",
        gettext_noop(
            "The time zone of the house (an IANA name), for statements, the look-up page, tables,"
            " and people whose own is not known."
        ),
        setting_values.read_zone,
    )
    web: str = _setting(
        "127.0.0.1:8480",
        gettext_noop("Where the web listens, as host:port."),
        setting_values.read_host_and_port,
    )
    gate: str = _setting(
        "127.0.0.1:8481",
        gettext_noop("Where the mail gate listens, as host:port."),
        setting_values.read_host_and_port,
    )
    gate_control: str = _setting(
        "127.0.0.1:8482",
        gettext_noop("Where the mail gate is told to stop, as host:port."),
        setting_values.read_host_and_port,
    )
    gate_workers: int = _setting(
        1,
        gettext_noop("How many processes of the mail gate answer on its port."),
        setting_values.read_count,
    )
    gate_down_logs: tuple[str, ...] = _setting(
        (),
        gettext_noop("Logs in which proxies write a line whenever no gate answered."),
        setting_values.read_list,
    )
    policy_upstream: str = _setting(
        "",
        gettext_noop("The policy server that Dovecot asked before, as a URL; it is asked first."),
    )
    policy_upstream_header: str = _setting(
        "", gettext_noop("What that server wants to see, as “Name: value” or a bare API key.")
    )
    gates: tuple[str, ...] = _setting(
        (),
        gettext_noop("The control addresses of all mail gates, as URLs."),
        setting_values.read_gates,
    )
    sender_hosts: tuple[str, ...] = _setting(
        (),
        gettext_noop("The stop addresses of all machines that only send, as URLs."),
        setting_values.read_gates,
    )
    sender_control: str = _setting(
        "127.0.0.1:8483",
        gettext_noop("Where a machine that only sends is told to stop, as host:port."),
        setting_values.read_host_and_port,
    )
    gate_token: str = _setting(
        "",
        gettext_noop("The secret between this machine and its gates; empty reads keys/gate-token."),
    )
    device_passwords: str = _setting(
        "",
        gettext_noop(
            "The folder where the mail server finds device passwords; empty means "
            "device-passwords in the data folder."
        ),
    )
    doveadm: tuple[str, ...] = _setting(
        (),
        gettext_noop(
            "The addresses of Dovecot’s administration (doveadm HTTP), as URLs; with them, "
            "sessions that are open when mail is paused on a device are ended."
        ),
        setting_values.read_list,
    )
    doveadm_key: str = _setting("", gettext_noop("The key to that administration."))
    longest_sync_s: int = _setting(
        60,
        gettext_noop(
            "How long your ActiveSync server lets a request wait for new mail, in seconds; mail "
            "may still arrive on a device for so long after it was paused."
        ),
        setting_values.read_count,
    )
    allowed_hosts: tuple[str, ...] = _setting(
        ("127.0.0.1", "localhost", "[::1]"),
        gettext_noop("The host names under which the web may be reached."),
        setting_values.read_list,
    )
    own_proxies: tuple[str, ...] = _setting(
        ("127.0.0.0/8", "::1/128"),
        gettext_noop(
            "The networks of your own proxies before the web: what they say in X-Forwarded-For "
            "counts as the address of whoever checks a code or reports a mail."
        ),
        setting_values.read_networks,
    )
    withdraw_copies: str = _setting(
        "off",
        gettext_noop(
            "After a take-back, move copies that nobody has read out of mailboxes: off, dovecot or"
            " graph. Corrections go out all the same."
        ),
        setting_values.read_mailboxes,
    )
    graph_tenant: str = _setting(
        "", gettext_noop("The Microsoft 365 tenant whose mailboxes are asked, by id or domain.")
    )
    graph_client: str = _setting(
        "", gettext_noop("The id of the application that may ask these mailboxes.")
    )
    graph_secret: str = _setting("", gettext_noop("The secret of that application."))
    mails_per_minute: Mapping[str, int] = _setting(
        MappingProxyType({}),
        gettext_noop(
            "How many mails may leave a minute, by domain of the address; * is the relay as a"
            " whole. All orders, senders and kinds of mail share it; only corrections are never"
            " held back."
        ),
        setting_values.read_counts,
    )
    keep_mails_days: int = _setting(
        365,
        gettext_noop(
            "How long mails to people are kept, and who checked or reported one, in days; counted"
            " from 30 days after their order is over."
        ),
        setting_values.read_days_kept,
    )
    keep_answers_days: int = _setting(
        365,
        gettext_noop(
            "How long what people said of their devices is kept, in days; counted as for mails."
        ),
        setting_values.read_days_kept,
    )
    keep_findings_days: int = _setting(
        90,
        gettext_noop(
            "How long it is kept which ordered app was seen on which device, in days; counted from"
            " 30 days after the last order about that app is over."
        ),
        setting_values.read_days_of_findings,
    )
    keep_in_countries: Mapping[str, Mapping[Kind, Bounds]] = _setting(
        MappingProxyType({}),
        gettext_noop(
            "The fewest and the most days in single countries, by kind (mails, answers, findings);"
            " what is chosen above is brought within."
        ),
        read_countries,
    )
    sweep_every_s: float = _setting(
        10.0,
        gettext_noop("How often the worker looks for work that is due, in seconds."),
        setting_values.read_seconds,
    )

    @property
    def retention(self) -> Retention:
        """How long what names people is kept."""
        chosen = {
            Kind.MAILS: self.keep_mails_days,
            Kind.ANSWERS: self.keep_answers_days,
            Kind.FINDINGS: self.keep_findings_days,
        }
        return Retention(chosen, self.keep_in_countries)

    @property
    def folder(self) -> DataFolder:
        """Return the data folder by its parts."""
        return DataFolder(self.data)

    @property
    def device_password_files(self) -> Path:
        """Return the folder where the mail server finds device passwords."""
        named = self.device_passwords
        return Path(named).expanduser() if named else self.data / "device-passwords"

    def check_relay(self) -> None:
        """Refuse a demonstration whose mails could leave this machine."""
        host = self.relay.rpartition(":")[0].strip("[]")
        if self.folder.is_demonstration and host not in LOOPBACK:
            raise RelayNotLoopback(relay=self.relay)


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One setting, for the reference page."""

    name: str
    variable: str
    default: str
    sentence: str


def describe() -> tuple[SettingDescription, ...]:
    """Return every setting with its default and sentence, in order."""
    return tuple(
        SettingDescription(
            name=each.name,
            variable=OTHER_NAMES.get(each.name, PREFIX + each.name.upper()),
            default=_shown(each.metadata.get("default", "")),
            sentence=each.metadata["sentence"],
        )
        for each in dataclasses.fields(Settings)
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
