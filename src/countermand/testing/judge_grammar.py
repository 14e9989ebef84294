"""How corrections are worded, as the sentence judge reads them: written down a second time.

On purpose this repeats what `notices/words` says instead of reading it: a changed sentence is not
understood until somebody has decided here what it claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# Year, month, day, hour, minute, and weekday counted from Monday.
Told = tuple[int, int, int, int, int, int]

_NUMBER: Final = r"(?P<number>CM-[0-9A-Z]+)"
_NUMBERS: Final = r"(?P<numbers>CM-[0-9A-Z]+(?:(?:, | and | और )CM-[0-9A-Z]+)*)"


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one language says things: sentence patterns by claim, moments, the joining of names."""

    sentences: tuple[tuple[str, str], ...]
    constants: frozenset[str]
    moment: str
    read_moment: Callable[[re.Match[str]], Told]
    separators: str
    honorific: str = ""


def _index(*words: str) -> Mapping[str, int]:
    return MappingProxyType({word: place for place, word in enumerate(words)})


_EN_DAYS: Final = _index(
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"
)
_EN_MONTHS: Final = _index(
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
_HI_DAYS: Final = _index("सोमवार", "मंगलवार", "बुधवार", "गुरुवार", "शुक्रवार", "शनिवार", "रविवार")
_HI_MONTHS: Final = _index(
    *("जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त"),
    *("सितंबर", "अक्टूबर", "नवंबर", "दिसंबर"),
)
_NOT_A_DAY: Final = -1


def _read_english(match: re.Match[str]) -> Told:
    weekday, day, month, year, hour, minute = match.groups()
    return (
        *(int(year), _EN_MONTHS.get(month, _NOT_A_DAY) + 1, int(day), int(hour), int(minute)),
        _EN_DAYS.get(weekday, _NOT_A_DAY),
    )


def _read_hindi(match: re.Match[str]) -> Told:
    weekday, day, month, year, part, hour, minute = match.groups()
    return (
        *(int(year), _HI_MONTHS.get(month, _NOT_A_DAY) + 1, int(day)),
        *(_hindi_hour(part, int(hour)), int(minute)),
        _HI_DAYS.get(weekday, _NOT_A_DAY),
    )


def _hindi_hour(part: str, hour: int) -> int:
    """Return the hour from 0 to 23 that a part of the day and an hour of twelve mean."""
    hour %= 12
    hours = {
        "सुबह": range(4, 12),
        "दोपहर": range(12, 16),
        "शाम": range(16, 20),
        "रात": (*range(20, 24), *range(4)),
    }.get(part, ())
    return next((h for h in hours if h % 12 == hour), _NOT_A_DAY)


ENGLISH: Final = Grammar(
    sentences=(
        ("nothing_stands", r"WITHDRAWN\. You do not need to do anything\."),
        ("others_stand", rf"WITHDRAWN\. Another notice still applies to you: {_NUMBERS}\."),
        ("others_stand", rf"WITHDRAWN\. Other notices still apply to you: {_NUMBERS}\."),
        ("replaced", rf"WITHDRAWN\. Notice {_NUMBERS} applies to you instead\."),
        ("exercise", r"This is an exercise\."),
        ("exercise", r"Nothing has to be done, and no mail is paused because of it\."),
        ("mistake", rf"(?P<name>.+?), [^,]+? {_NUMBER} was sent by mistake\."),
        (
            "reason_gone",
            (
                rf"(?P<name>.+?), [^,]+? {_NUMBER} has been taken back, "
                r"because its reason no longer holds\."
            ),
        ),
        (
            "replaced_opening",
            (
                rf"(?P<name>.+?), [^,]+? {_NUMBER} has been taken back "
                r"so that another notice could take its place\."
            ),
        ),
        ("was_mistake", rf"Notice {_NUMBER} was sent by mistake, and was taken back on <MOMENT>\."),
        (
            "was_reason_gone",
            (
                rf"Notice {_NUMBER} was taken back on <MOMENT>, "
                r"because its reason no longer holds\."
            ),
        ),
        (
            "was_replaced",
            (
                rf"Notice {_NUMBER} was taken back on <MOMENT> "
                r"so that another notice could take its place\."
            ),
        ),
        ("not_since", r"It has not applied since <MOMENT>\."),
        (
            "free",
            (
                r"No company notice applies to you for (?P<apps>.+?)\. "
                r"If you removed (?:it|them), you may install (?:it|them) again\."
            ),
        ),
        (
            "ruled",
            (
                rf"Notice {_NUMBER} still applies to you for (?P<apps>.+?), "
                r"with its own time: <MOMENT>\."
            ),
        ),
        ("ruled_undated", rf"Notice {_NUMBER} still applies to you for (?P<apps>.+?)\."),
        ("same_as_before", r"What applies to you is the same as before this notice came\."),
        (
            "replacement_applies",
            (
                rf"Notice {_NUMBER} applies to you instead for (?P<apps>.+?), "
                r"with its own time: <MOMENT>\."
            ),
        ),
        (
            "mail_follows",
            r"If another notice is to apply to you later, you will get a mail about it\.",
        ),
        ("no_door", r"No company mail was paused because of this notice, on any device\."),
        (
            "never_closed",
            (
                r"No company mail was paused on your devices because of this notice, "
                r"and none will be\."
            ),
        ),
        ("ours_let_go", r"This notice no longer pauses mail on any device\."),
        (
            "our_door_open",
            (
                r"Where it alone had paused mail, "
                r"mail comes with the next request of that device\."
            ),
        ),
        (
            "cloud_door_opens",
            (
                r"Where it alone had paused mail, mail comes back when the mail service has taken "
                r"this up; that can take a while\."
            ),
        ),
        ("being_undone", r"A separate system may have stopped mail because of this notice\."),
        ("being_undone", r"That this be undone has been asked for\."),
        (
            "other_pauses",
            (
                rf"Notice {_NUMBER} can still pause mail on a device that has the app after this "
                r"time: <MOMENT>\."
            ),
        ),
        ("reached", r"It goes to everybody who got the notice or may have got it\."),
        ("look_up", r"Type (?P<address>\S+) into your browser yourself\."),
        ("check_code", r"Your check code for this mail: \d{4} \d{4}\."),
        ("help_desk", r"A person can help you: (?P<own_text>.+)\.(?=$)"),
    ),
    constants=frozenset(
        {
            "What applies to you now:",
            "Your company mail:",
            "What went wrong:",
            "What has changed:",
            "Who gets this mail:",
            "Who answers for this:",
            "How to check that this mail is real:",
            "If mail does not come, ask a person.",
            "If you did not see the notice, you can leave this mail aside.",
            "Do not rely on this mail alone.",
            "In such a mail we never ask for a password, a one-time code, money or a download.",
            "On that page, type it together with your mail address: only this mail and we know it.",
            "If something here looks wrong to you, report it.",
            "That is always right, and nobody will hold it against you.",
            "We are sorry for the trouble.",
        }
    ),
    moment=r"(\w+) (\d{1,2}) (\w+) (\d{4}), (\d\d):(\d\d) \([^()]+\)",
    read_moment=_read_english,
    separators=r", | and ",
)

HINDI: Final = Grammar(
    sentences=(
        ("nothing_stands", r"वापस लिया गया। आपको कुछ नहीं करना है।"),
        ("others_stand", rf"वापस लिया गया। एक दूसरी सूचना आप पर अब भी लागू है: {_NUMBERS}।"),
        ("others_stand", rf"वापस लिया गया। दूसरी सूचनाएँ आप पर अब भी लागू हैं: {_NUMBERS}।"),
        ("replaced", rf"वापस लिया गया। इसकी जगह आप पर सूचना {_NUMBERS} लागू है।"),
        ("exercise", r"यह एक अभ्यास है।"),
        ("exercise", r"कुछ नहीं करना है, और इसकी वजह से कोई मेल नहीं रुकती।"),
        (
            "mistake",
            (
                rf"(?P<name>.+?), [^,]+? {_NUMBER} अब लागू नहीं है: "
                r"उसे ग़लती से भेजा गया था, और <MOMENT> को वापस ले लिया गया।"
            ),
        ),
        (
            "reason_gone",
            (
                rf"(?P<name>.+?), [^,]+? {_NUMBER} अब लागू नहीं है: "
                r"उसका कारण नहीं रहा, इसलिए उसे <MOMENT> को वापस ले लिया गया।"
            ),
        ),
        (
            "replaced_opening",
            (
                rf"(?P<name>.+?), [^,]+? {_NUMBER} अब लागू नहीं है: "
                r"उसे <MOMENT> को वापस ले लिया गया, ताकि उसकी जगह दूसरी सूचना आ सके।"
            ),
        ),
        (
            "was_mistake",
            rf"सूचना {_NUMBER} ग़लती से भेजी गई थी, और <MOMENT> को वापस ले ली गई।",
        ),
        (
            "was_reason_gone",
            rf"सूचना {_NUMBER} <MOMENT> को वापस ले ली गई, क्योंकि उसका कारण अब नहीं रहा।",
        ),
        (
            "was_replaced",
            rf"सूचना {_NUMBER} <MOMENT> को वापस ले ली गई, ताकि उसकी जगह दूसरी सूचना आ सके।",
        ),
        (
            "free",
            (
                r"(?P<apps>.+?) के बारे में आप पर कोई कंपनी सूचना लागू नहीं है। "
                r"(?:ऐप हटाया जा चुका हो, तो उसे|ऐप हटाए जा चुके हों, तो उन्हें) "
                r"दोबारा इंस्टॉल किया जा सकता है।"
            ),
        ),
        (
            "ruled",
            (
                rf"(?P<apps>.+?) के बारे में सूचना {_NUMBER} आप पर अब भी लागू है, "
                r"और उसका अपना समय है: <MOMENT>।"
            ),
        ),
        ("ruled_undated", rf"(?P<apps>.+?) के बारे में सूचना {_NUMBER} आप पर अब भी लागू है।"),
        ("same_as_before", r"आप पर वही लागू है जो यह सूचना आने से पहले लागू था।"),
        (
            "replacement_applies",
            (
                rf"(?P<apps>.+?) के बारे में इसकी जगह आप पर सूचना {_NUMBER} लागू है, "
                r"और उसका अपना समय है: <MOMENT>।"
            ),
        ),
        ("mail_follows", r"बाद में कोई दूसरी सूचना आप पर लागू होनी हो, तो आपको उसकी मेल मिलेगी।"),
        ("no_door", r"इस सूचना की वजह से किसी डिवाइस पर कंपनी-मेल नहीं रोकी गई।"),
        (
            "never_closed",
            r"इस सूचना की वजह से आपके डिवाइस पर कंपनी-मेल नहीं रोकी गई, और न रोकी जाएगी।",
        ),
        ("ours_let_go", r"यह सूचना अब किसी डिवाइस पर मेल नहीं रोकती।"),
        (
            "our_door_open",
            r"जहाँ मेल सिर्फ़ इसकी वजह से रुकी थी, वहाँ अगली बार मेल देखते ही आने लगती है।",
        ),
        (
            "cloud_door_opens",
            (
                r"जहाँ मेल सिर्फ़ इसकी वजह से रुकी थी, वहाँ मेल सेवा तक बात पहुँचने पर लौट आती है; "
                r"इसमें कुछ समय लग सकता है।"
            ),
        ),
        ("being_undone", r"इस सूचना की वजह से किसी दूसरे सिस्टम ने मेल रोकी हो सकती है।"),
        ("being_undone", r"उसे खोलने को कहा जा चुका है।"),
        (
            "other_pauses",
            (
                rf"जिस डिवाइस पर ऐप हो, उस पर सूचना {_NUMBER} इस समय के बाद मेल अब भी रोक सकती है: "
                r"<MOMENT>।"
            ),
        ),
        ("reached", r"यह उन सबको जा रही है जिन्हें वह सूचना मिली या मिली हो सकती है।"),
        ("look_up", r"ब्राउज़र में ख़ुद (?P<address>\S+) लिखें।"),
        ("check_code", r"इस मेल का आपका जाँच-कोड: \d{4} \d{4}।"),
        ("help_desk", r"मदद यहाँ मिलती है: (?P<own_text>.+)।(?=$)"),
    ),
    constants=frozenset(
        {
            "अब आप पर क्या लागू है:",
            "आपकी कंपनी-मेल:",
            "क्या ग़लत हुआ:",
            "क्या बदला है:",
            "यह मेल किसे जा रही है:",
            "इसकी ज़िम्मेदारी किसकी है:",
            "यह मेल असली है या नहीं, ऐसे जाँचें:",
            "मेल न आए, तो किसी व्यक्ति से पूछें।",
            "आपने वह सूचना नहीं देखी हो, तो इस मेल को छोड़ दें।",
            "सिर्फ़ इस मेल पर भरोसा न करें।",
            "ऐसी मेल में हम कभी पासवर्ड, ओटीपी, पैसे या डाउनलोड नहीं माँगते।",
            "उस पेज पर इसे अपने मेल पते के साथ लिखें: इस मेल के बाहर इसे सिर्फ़ हम जानते हैं।",
            "यहाँ कुछ भी ग़लत लगे, तो बता दें।",
            "ऐसा करना हमेशा सही है, और इसके लिए कोई आपको दोष नहीं देगा।",
            "असुविधा के लिए हमें खेद है।",
        }
    ),
    moment=r"(\S+), (\d{1,2}) (\S+) (\d{4}), (\S+) (\d{1,2}):(\d\d) बजे \([^()]+\)",
    read_moment=_read_hindi,
    separators=r", | और ",
    honorific=" जी",
)

GRAMMARS: Final = MappingProxyType({"en": ENGLISH, "hi": HINDI})
