"""Invented orders, as the digest covers them, for tests of mails and pages."""

from __future__ import annotations

from typing import Any

from countermand.notices.wording import House

HOUSE = House(
    organisation="Example Organisation",
    lookup_address="orders.example",
    help_desk="help desk, extension 4444",
    notice_word={"en": "Company notice", "hi": "कंपनी सूचना"},
)
NUMBER = "CM-7Q4K"
APP_NAMES = {"clips": "Clips", "clips-lite": "Clips Lite"}


def content(**changes: Any) -> dict[str, Any]:
    """Return the content of an order; `changes` replace parts of the order itself."""
    order: dict[str, Any] = {
        "mode": "live",
        "enforcement": "gate",
        "amends": None,
        "replaces": None,
        "apps": ["clips"],
        "targets": ["app"],
        "scope": {"devices": {"ownership": ["corporate", "personal"], "platforms": []}},
        "languages": ["en", "hi"],
        "fallback_language": "en",
        "title": {
            "en": "Clips on phones that read company mail",
            "hi": "कंपनी-मेल वाले फ़ोन पर Clips ऐप",
        },
        "reason": {
            "en": "The app reads the contacts of the phone. Our security team has seen this.",
            "hi": "यह ऐप फ़ोन के संपर्क पढ़ता है। हमारी सुरक्षा टीम ने यह देखा है।",
        },
        "evidence": [{"grade": "observed"}],
        "hearing": {
            "asked_at": "2020-06-20",
            "answered_at": "2020-06-29",
            "answer": {"en": "We are looking into it.", "hi": "हम इसे देख रहे हैं।"},
            "not_asked_because": None,
        },
        "deadline": {"day": "2020-07-17", "hour": "17:00:00"},
        "remedies": ["remove-app", "unenrol"],
        "cannot_be_checked": "ask",
        "review_on": "2021-01-10",
        "corrections": {
            "mistake": {
                "en": "The notice left before it was meant to.",
                "hi": "सूचना तय समय से पहले चली गई थी।",
            },
            "reason_gone": {
                "en": "The maker has changed the app.",
                "hi": "बनाने वालों ने ऐप बदल दिया है।",
            },
            "replaced": {
                "en": "Notice {replaced_by} is the one that counts.",
                "hi": "अब सूचना {replaced_by} ही मान्य है।",
            },
        },
        "statement": {
            variant: {
                "en": (
                    "{organisation} took notice {number} back on {taken_back_at}. "
                    "{people_certain} people got it, {people_possible} may have got it, "
                    "{people_corrected} were told."
                ),
                "hi": (
                    "{organisation} ने सूचना {number} {taken_back_at} को वापस ले ली। "
                    "{people_certain} लोगों को मिली, {people_possible} को मिली हो सकती है, "
                    "{people_corrected} को बताया गया।"
                ),
            }
            for variant in ("mistake", "reason_gone", "replaced")
        },
    }
    return {"affected_root": "0" * 64, "order": order | changes, "sender": {}, "words_digest": ""}
