"""Reads the events of NanoMDM's webhook; of apps that no order names, nothing leaves this module.

An answer proves absence only if we know what was asked, and asked about everything that the order
means. Devices that belong to their person list managed apps alone: for them nothing is proven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from countermand.connectors.nanomdm.questions import (
    ListedQuestions,
    Question,
    Questions,
    is_list_of_commands,
)
from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.inventory import (
    AliasKind,
    DeviceReport,
    Fact,
    Ownership,
    aliases_of,
)
from countermand.domain.presence import Coverage
from countermand.row_faults import fault_at
from countermand.wire import plists
from countermand.wire.json_documents import Faulty, Record
from countermand.wire.paged import Page, app_list

KIND: Final = "nanomdm"
_PERSONAL: Final = frozenset({"User Enrollment (Device)", "User Enrollment"})
_OF_A_DEVICE: Final = frozenset({"Device", "User Enrollment (Device)", ""})
_MAC_MODEL: Final = re.compile(r"^(i?Mac|Virtual)")
_KEPT: Final = frozenset({Fact.LAST_CONTACT})


class NanoMdmReader:
    """Reads events one by one; `questions` says what each answer is an answer to."""

    kind: Final = KIND

    def __init__(self, questions: Questions | None = None) -> None:
        self._questions = questions
        self._listed = ListedQuestions()
        self._platforms: dict[str, Platform] = {}
        self._seen: set[str] = set()

    def page(self, document: Record) -> Page:
        """Read one event, or a file of the commands that were sent."""
        if is_list_of_commands(document):
            self._listed.add(document)
            return Page(is_message=True)
        if not document.text("topic", longest=200).startswith("mdm."):
            raise Faulty(fault_at("file.not_known", document.file, source=KIND))
        number = document.text("event_id", longest=200)
        if number and number in self._seen:
            return Page(is_message=True)
        if number:
            self._seen.add(number)
        return Page(records=(document,), is_message=True)

    def device_id(self, record: Record) -> str:
        """Return the enrollment id; for MicroMDM, which sends none, the device's own."""
        event = _event_key(record)
        for path in (("ids", "id"), ("enrollment_id",), ("udid",)):
            if found := record.text(event, *path, longest=200):
                return found
        raise record.faulty("row.bad_device_id", event)

    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        """Yield what one event says about a device; the channel of a user says nothing."""
        event = _event_key(record)
        kind = record.text(event, "ids", "type")
        if kind not in _OF_A_DEVICE | _PERSONAL or kind == "User Enrollment":
            return
        device = self.device_id(record)
        payload = self._payload(record, event)
        platform = self._platform(device, payload)
        at = record.time("created_at", as_of=as_of, clamp=True)
        facts, unsaid = _facts(record, event, payload, platform)
        yield DeviceReport(
            source_device_id=device,
            platform=platform or Platform.IOS,
            last_contact_at=at,
            ownership=Ownership.PERSONAL if kind in _PERSONAL else Ownership.UNKNOWN,
            observable=kind not in _PERSONAL,
            is_gone=record.text("topic") == "mdm.CheckOut",
            unsaid=unsaid - ({Fact.OWNERSHIP} if kind in _PERSONAL else set()),
            **facts,
            **self._list(
                record, payload, matcher=matcher, platform=platform or Platform.IOS, at=at
            ),
        )

    def _payload(self, record: Record, event: str) -> Mapping[str, Any]:
        found = record.value.get(event)
        text = found.get("raw_payload") if isinstance(found, dict) else None
        try:
            return plists.of_base64(text)
        except plists.NoPropertyList:
            raise record.faulty("row.bad_payload", event, "raw_payload") from None

    def _platform(self, device: str, payload: Mapping[str, Any]) -> Platform | None:
        told = _told(payload)
        model = told.get("ProductName") or told.get("ModelName")
        if isinstance(model, str):
            if model.startswith(("iPhone", "iPod")):
                self._platforms[device] = Platform.IOS
            elif model.startswith("iPad"):
                self._platforms[device] = Platform.IPADOS
            elif _MAC_MODEL.match(model) or "Mac" in model:
                self._platforms[device] = Platform.MACOS
        if device not in self._platforms and self._questions is not None:
            return self._questions.platform(device)
        return self._platforms.get(device)

    def _list(
        self,
        record: Record,
        payload: Mapping[str, Any],
        *,
        matcher: Matcher,
        platform: Platform,
        at: datetime | None,
    ) -> dict[str, Any]:
        """Return what an answered list of apps says; nothing for every other event."""
        listed = payload.get("InstalledApplicationList")
        answered = record.text("acknowledge_event", "status") == "Acknowledged"
        if not answered or not isinstance(listed, list):
            return {"coverage": Coverage.NONE, "complete": False}
        command = record.text("acknowledge_event", "command_uuid", longest=200)
        question = self._asked(self.device_id(record), command)
        rows = [Record(record.file, record.place, row) for row in listed if isinstance(row, dict)]
        there = [row for row in rows if row.value.get("Installing") is not True]
        coming = any(
            matcher.mentions(identifier)
            for row in rows
            if row.value.get("Installing") is True
            and isinstance(identifier := row.value.get("Identifier"), str)
        )
        apps = app_list(
            there,
            matcher=matcher,
            platform=platform,
            id_keys=("Identifier",),
            version_key="ShortVersion",
            name_key="Name",
        )
        is_whole = apps.is_whole and not coming and len(rows) == len(listed)
        return {
            "inventory_at": at,
            "coverage": _coverage(question),
            "asked": question.identifiers if question is not None else None,
            "complete": question is not None and is_whole,
            "matched": apps.matched,
        }

    def _asked(self, device: str, command: str) -> Question | None:
        found = self._listed.asked(device, command)
        if found is None and self._questions is not None:
            found = self._questions.asked(device, command)
        return found


def _event_key(record: Record) -> str:
    for key in ("acknowledge_event", "checkin_event"):
        if record.has(key):
            return key
    raise record.faulty("row.bad_shape", "acknowledge_event")


def _coverage(question: Question | None) -> Coverage:
    """Return what a list covers; somebody else's question, or managed apps alone, cover nothing."""
    if question is None or question.managed_only:
        return Coverage.UNKNOWN
    return Coverage.FULL if question.identifiers is None else Coverage.ASKED


def _told(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a device says of itself: asked for, or when it enrols."""
    told = payload.get("QueryResponses")
    return told if isinstance(told, dict) else payload


def _facts(
    record: Record, event: str, payload: Mapping[str, Any], platform: Platform | None
) -> tuple[dict[str, Any], frozenset[Fact]]:
    """Return the facts about the device that an event carries, and those that it leaves unsaid."""
    told = _told(payload)
    said: dict[str, Any] = {"aliases": aliases_of(_names(payload, told))}
    unsaid = set(Fact) - _KEPT
    owner = _owner(record, event)
    if owner:
        said["owners"] = (owner,)
        unsaid.discard(Fact.OWNERS)
    if platform is not None:
        unsaid.discard(Fact.PLATFORM)
    for key, name, fact, longest in (
        ("OSVersion", "os_version", Fact.OS_VERSION, 50),
        ("DeviceName", "name", Fact.NAME, 200),
    ):
        if text := _text(told, key):
            said[name] = text[:longest]
            unsaid.discard(fact)
    return said, frozenset(unsaid)


def _names(payload: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[tuple[AliasKind, str]]:
    yield AliasKind.EAS_DEVICE_ID, _text(told, "EASDeviceIdentifier")
    yield AliasKind.UDID, _text(payload, "UDID")
    yield AliasKind.ENROLLMENT_ID, _text(payload, "EnrollmentID")
    yield AliasKind.SERIAL, _text(told, "SerialNumber") or _text(payload, "SerialNumber")


def _text(source: Mapping[str, Any], key: str) -> str:
    """Return a short text of a property list as one line; empty when it is none."""
    found = source.get(key)
    if not isinstance(found, str) or len(found) > 300:  # noqa: PLR2004
        return ""
    return Record("", "", {"text": found}).text("text")


def _owner(record: Record, event: str) -> str | None:
    """Return the address that the enrolment profile carries in its server address."""
    if not record.has(event, "url_params"):
        return None
    for key in ("owner", "o"):
        if folded := folded_address(record.text(event, "url_params", key)):
            return folded
    return None
