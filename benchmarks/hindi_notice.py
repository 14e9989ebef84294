"""One personalised notice in Hindi: text and HTML, about 6 kB as it goes over the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from countermand.domain.delivery import ClaimedNotice, NoticeKind, Template
from countermand.sender.compose import Writer

ORDER: Final = "CM-7Q4K"
DATED_AT: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WRITER: Final = Writer("orders@example.org", "Example Organisation", "help@example.org")
SUBJECT: Final = "कंपनी सूचना CM-7Q4K: कंपनी-मेल वाले फ़ोन पर Clips ऐप"

_PARAGRAPHS: Final = (
    "{name}, यह कंपनी सूचना CM-7Q4K है, तारीख़ {told_on}।",
    (
        "जिन फ़ोन और टैबलेट पर आपकी कंपनी-मेल खुलती है, उन सबसे Clips हटा दें। यह काम उसी डिवाइस पर"
        " होता है; इस मेल में न कहीं क्लिक करना है, न इसका जवाब देना है।"
    ),
    "कब तक: {deadline}",
    (
        "उसके बाद भी ऐप रहे तो सिर्फ़ उसी डिवाइस पर कंपनी-मेल रुकती है। आप हमें बता दें कि ऐप हट चुका है,"
        " तो अगली बार मेल देखते ही मेल लौट आती है। डिवाइस से कुछ नहीं मिटाया जाता।"
    ),
    "आपके डिवाइस के बारे में हमें क्या पता है: {device}",
    (
        "यह सूचना असली है या नहीं, ऐसे जाँचें: ब्राउज़र में ख़ुद orders.example/CM-7Q4K लिखें। मदद यहाँ"
        " मिलती है: help desk, extension 4444।"
    ),
    "ऐसी मेल में हम कभी पासवर्ड, कोड, पैसे या डाउनलोड नहीं माँगते।",
)
TEXT: Final = "\n\n".join(_PARAGRAPHS)
HTML: Final = (
    f'<!doctype html><html lang="hi"><head><meta charset="utf-8"><title>{SUBJECT}</title></head>'
    f"<body>{''.join(f'<p>{each}</p>' for each in _PARAGRAPHS)}</body></html>"
)
TEMPLATE: Final = Template(1, SUBJECT, TEXT, HTML)


def values(person: int) -> dict[str, str | list[str]]:
    """Return what is said to one person alone."""
    return {
        "name": f"आशा क्रमांक {person}",
        "told_on": "20 नवंबर 2026",
        "deadline": f"10 दिसंबर 2026, शाम {person % 12 + 1} बजे",
        "device": f"Pixel 8 ({person:04x}), Clips मिला, 19 नवंबर 2026",
    }


def notice(person: int) -> ClaimedNotice:
    """Return one person's row as a sender gets it."""
    return ClaimedNotice(
        notice_id=person,
        claim=1,
        order_number=ORDER,
        epoch=1,
        kind=NoticeKind.NOTICE,
        address=f"p{person}@example.org",
        language="hi",
        template_id=1,
        values=values(person),
        message_id=f"<{ORDER}.1.notice.0.{person:020x}@example.org>",
        in_reply_to="",
        dated_at=DATED_AT,
        attempts=0,
    )
