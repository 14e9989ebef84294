"""The fourteen rules by which staff can tell a genuine mail from a forged one.

A rule is broken in several ways; each way has a key, a sentence, and what to write instead. They
hold for anybody's mail (`foreign_lint`) and block the release of ours (`copy_lint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from countermand.domain.errors import gettext_noop

FORM: Final = 15  # what holds for every mail, beside the fourteen rules

RULES: Final = MappingProxyType(
    {
        1: gettext_noop("The person's name, and one fact that only the employer knows"),
        2: gettext_noop("Number, date, who issued it in which role, and who approved it"),
        3: gettext_noop("What to do, on the device itself; nothing to do through the mail"),
        4: gettext_noop("The deadline with weekday, date, clock time and zone, 72 hours ahead"),
        5: gettext_noop("What happens otherwise: exactly this, and no more"),
        6: gettext_noop("The reason, how sure it is, and whether the maker was asked"),
        7: gettext_noop("How to check it: an address to type, and a person to ask"),
        8: gettext_noop("At most one link, shown as it is, to an own address"),
        9: gettext_noop("No attachment, no code to scan, no picture that is needed"),
        10: gettext_noop("We never ask for a password, a one-time code, money or a download"),
        11: gettext_noop("No pressing"),
        12: gettext_noop("No claim to be genuine"),
        13: gettext_noop("Exceptions, and who grants them"),
        14: gettext_noop("Reporting it is welcome"),
        FORM: gettext_noop("Form: readable by everybody, and sent by who it says"),
    }
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to break a rule: the sentence, what to write instead, and an example of it.

    `example` is the key of an approved sentence of ours, shown in the language of the mail. What
    `is_doubt` breaks no rule yet: a person has to look.
    """

    rule: int
    sentence: str
    instead: str
    example: str = ""
    is_doubt: bool = False


WAYS: Final = MappingProxyType(
    {
        "name_missing": Way(
            1,
            gettext_noop("The mail does not name the person."),
            gettext_noop("Begin with the person's own name, not with a group of people."),
        ),
        "known_fact_missing": Way(
            1,
            gettext_noop(
                "The mail says nothing that only the employer knows, such as the person's device."
            ),
            gettext_noop(
                "Name the device and the last four characters of its number, or the unit."
            ),
            "device.present",
        ),
        "number_missing": Way(
            2,
            gettext_noop("The mail does not give the number of the notice."),
            gettext_noop("Give every such mail a number, and a page where it can be looked up."),
        ),
        "issue_date_missing": Way(
            2,
            gettext_noop("The mail does not say on which day it was issued."),
            gettext_noop("Write the day into the first sentence."),
        ),
        "issuer_missing": Way(
            2,
            gettext_noop("The mail does not say who ordered and who approved."),
            gettext_noop("Name both, with their roles."),
        ),
        "action_missing": Way(
            3,
            gettext_noop("The mail does not say in one sentence what to do."),
            gettext_noop("Say it in one sentence, to be done on the device itself."),
            "what_to_do.app",
        ),
        "act_through_mail": Way(
            3,
            gettext_noop("The mail asks to act through the mail itself: “{words}”."),
            gettext_noop("Let people do it on the device, with nothing to click or to answer."),
            "by_hand.device",
        ),
        "deadline_missing": Way(
            4,
            gettext_noop("Something has to be done, and no time is named."),
            gettext_noop("Name weekday, date, clock time and time zone, at least 72 hours ahead."),
        ),
        "deadline_incomplete": Way(
            4,
            gettext_noop("The deadline lacks weekday, date, clock time or time zone."),
            gettext_noop("Write it like this: Friday 10 July 2026, 18:00 (India Standard Time)."),
        ),
        "notice_too_short": Way(
            4,
            gettext_noop("Between the mail and its deadline are {words} hours."),
            gettext_noop("Leave at least 72 hours, or say which emergency forbids it."),
        ),
        "deadline_not_read": Way(
            4,
            gettext_noop("The deadline could not be read for certain: “{words}”."),
            gettext_noop("Look yourself whether one deadline alone is named, 72 hours ahead."),
            is_doubt=True,
        ),
        "date_not_read": Way(
            4,
            gettext_noop("The mail has no date to compare the deadline with."),
            gettext_noop("Save the mail as it was sent, or look yourself for 72 hours."),
            is_doubt=True,
        ),
        "consequence_missing": Way(
            5,
            gettext_noop("The mail does not say what happens otherwise."),
            gettext_noop("Say exactly what happens on which device, and when it comes back."),
            "consequence.gate",
        ),
        "mail_not_bounded": Way(
            5,
            gettext_noop("The mail does not say that nothing is erased."),
            gettext_noop(
                "Say what is not touched: nothing erased, the other devices, the password."
            ),
            "consequence.gate",
        ),
        "reason_missing": Way(
            6,
            gettext_noop("The mail gives no reason, or one that says nothing."),
            gettext_noop("Give the reason in at most two sentences, and how sure it is."),
            "evidence.observed",
        ),
        "hearing_missing": Way(
            6,
            gettext_noop("The mail does not say whether the maker was asked."),
            gettext_noop("Say when the maker was asked and what came back, or why nobody asked."),
            "hearing.not_asked",
        ),
        "check_missing": Way(
            7,
            gettext_noop(
                "The mail does not say how to check it: a typed address and the help desk."
            ),
            gettext_noop("Name an address that people type themselves, and a number they know."),
            "check.how",
        ),
        "link": Way(
            8,
            gettext_noop("The mail has a link or a button; people are to type the address."),
            gettext_noop("Write the address as plain words, to be typed."),
        ),
        "too_many_links": Way(
            8,
            gettext_noop("The mail has {words} links."),
            gettext_noop("Keep one at most; the best is none, and an address to type."),
        ),
        "button": Way(
            8,
            gettext_noop("A link is dressed up as a button or as words: “{words}”."),
            gettext_noop("Show the address itself, exactly as it is."),
        ),
        "link_not_as_shown": Way(
            8,
            gettext_noop("A link shows one address and leads to another: {words}."),
            gettext_noop("Show the address itself, exactly as it is."),
        ),
        "link_elsewhere": Way(
            8,
            gettext_noop("A link leads away from the sender's own domain: {words}."),
            gettext_noop("Link only to an own address, without a shortener."),
        ),
        "link_traced": Way(
            8,
            gettext_noop("A link tells who has followed it: {words}."),
            gettext_noop("Leave out everything after the path, and any counting of clicks."),
        ),
        "attachment": Way(
            9,
            gettext_noop("The mail has an attachment: {words}."),
            gettext_noop("Put it on an own page that people look up themselves."),
        ),
        "image_or_table": Way(
            9,
            gettext_noop("The mail has an image, a table, a form or a script."),
            gettext_noop("Say everything in words, in one column."),
        ),
        "code_to_scan": Way(
            9,
            gettext_noop("The mail asks to scan a code: “{words}”."),
            gettext_noop("Name an address to type instead."),
        ),
        "never_ask_missing": Way(
            10,
            gettext_noop(
                "The mail does not say that we never ask for a password, a code, money or a"
                " download."
            ),
            gettext_noop("Say it in every such mail, in the same words."),
            "check.never_ask",
        ),
        "pressing": Way(
            11,
            gettext_noop("The mail presses people: “{words}”."),
            gettext_noop("Name the time and what happens then, calmly, and leave the rest out."),
        ),
        "claims_not_forged": Way(
            12,
            gettext_noop("The mail claims not to be forged: “{words}”."),
            gettext_noop("Leave it out: forged mails say the same. Say how to check instead."),
            "check.how",
        ),
        "exceptions_missing": Way(
            13,
            gettext_noop("The mail does not say how to ask for an exception."),
            gettext_noop("Say where to ask, and who decides."),
            "exceptions.ask",
        ),
        "report_missing": Way(
            14,
            gettext_noop("The mail does not say that reporting it is welcome."),
            gettext_noop("Say that reporting it is always right and never held against anybody."),
            "check.report",
        ),
        "subject_like_a_shop": Way(
            FORM,
            gettext_noop("The subject begins with a bracket, as shops do."),
            gettext_noop("Name the matter, in the organisation's own word."),
        ),
        "first_line": Way(
            FORM,
            gettext_noop("The correction does not begin with the word “{words}”."),
            gettext_noop("Begin with that word: it is what previews show."),
        ),
        "language_not_marked": Way(
            FORM,
            gettext_noop("The HTML part does not name its language."),
            gettext_noop('Write lang="…" on the page: screen readers need it.'),
        ),
        "slot_left": Way(
            FORM,
            gettext_noop("A place was left open in the mail: “{words}”."),
            gettext_noop("Fill it, or take the sentence out."),
        ),
        "parts_differ": Way(
            FORM,
            gettext_noop("Plain text and HTML do not say the same."),
            gettext_noop("Let both parts say the same words."),
        ),
        "plain_text_missing": Way(
            FORM,
            gettext_noop("The mail has no plain text part."),
            gettext_noop("Send the same words as plain text, too."),
        ),
        "text_hidden": Way(
            FORM,
            gettext_noop("The mail hides words from its reader."),
            gettext_noop("Take out whatever is not shown."),
        ),
        "letters_disguised": Way(
            FORM,
            gettext_noop("Letters of different scripts stand in one word: “{words}”."),
            gettext_noop("Write the word in one script."),
        ),
        "sender_disguised": Way(
            FORM,
            gettext_noop("The sender's name poses as an address: {words}."),
            gettext_noop("Let the name be a name, and the address the real one."),
        ),
        "answer_elsewhere": Way(
            FORM,
            gettext_noop("An answer goes to another domain than the mail came from: {words}."),
            gettext_noop("Let answers go to people of the same house."),
        ),
        "no_answer_wanted": Way(
            FORM,
            gettext_noop("Nobody reads an answer to this mail: {words}."),
            gettext_noop("Send from, or let answers go to, people who can help."),
        ),
    }
)
