"""The words by which the rules of copy are found in a mail, language by language.

They find what a mail says; they do not understand it. What no list knows is reported as missing,
and a reader decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_FLAGS: Final = re.IGNORECASE

PRESSING: Final = re.compile(
    r"!|\burgent\w*|\bimmediate(?:ly)?\b|\bat once\b|\bas soon as possible\b|\basap\b"
    r"|\bfinal (?:warning|notice|reminder)\b|\blast (?:chance|warning)\b|\bwithout delay\b"
    r"|\bonly \d+ (?:hours?|minutes?) left\b|\bact now\b|\bfailure to\b"
    r"|\bwill be (?:suspended|terminated|deactivated|closed down)\b"
    r"|अर्जेंट|तुरंत|तत्काल|फ़ौरन|फौरन|आख़िरी मौक़ा|आखिरी मौका|अंतिम चेतावनी|जल्द से जल्द",
    _FLAGS,
)
SHOUTING: Final = re.compile(r"\b[A-Z]{4,}(?: [A-Z]{4,})+\b")
CLAIMS: Final = re.compile(
    r"\bnot (?:a |an )?(?:phishing|scam|spam|fake|fraud)\w*"
    r"|(?<!that )\bthis (?:mail|e-?mail|message) is (?:genuine|legitimate|authentic|safe|real)\b"
    r"|\bthis is (?:a |an )?(?:genuine|legitimate|authentic|real) (?:mail|e-?mail|message)\b"
    r"|यह (?:मेल |ईमेल |सूचना )?(?:धोखा|फ़िशिंग|फिशिंग|स्पैम|फ़र्ज़ी|फर्जी|नकली) नहीं"
    r"|यह (?:मेल|ईमेल|संदेश|सूचना) (?:बिल्कुल |पूरी तरह )?(?:असली|सच्ची|प्रामाणिक) है(?! या नहीं)",
    _FLAGS,
)
LINK: Final = re.compile(r"https?:|www\.|mailto:|\bclick here\b|यहाँ क्लिक करें", _FLAGS)
ADDRESS: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"'()]{1,500}", _FLAGS)
SLOT: Final = re.compile(r"\{[a-z_]+\}|\[\[[a-z_]+\]\]|<<[^<>\n]{1,40}>>|%[A-Z_]{3,30}%")
SCAN: Final = re.compile(r"\bQR\b|\bscan (?:the|this) code\b|क्यूआर|कोड स्कैन", _FLAGS)
SHORTENERS: Final = frozenset(
    [
        "bit.ly",
        "tinyurl.com",
        "t.co",
        "goo.gl",
        "ow.ly",
        "is.gd",
        "buff.ly",
        "rebrand.ly",
        "cutt.ly",
        "t.ly",
        "lnkd.in",
    ]
)
NOBODY_READS: Final = re.compile(r"(?:no|do-?not|donot)[-_.]?reply", _FLAGS)
# A device by the last characters of its number, or the person's own unit or staff number.
KNOWN_FACT: Final = re.compile(
    r"[…*•x]{1,4} ?[0-9A-F]{4}\b|\b(?:ending|ends) in …?[0-9A-Z]{3,6}\b"
    r"|\bserial\b|\bstaff (?:number|id)\b"
    r"|\bemployee (?:number|id)\b|\byou belong to\b|\byour (?:unit|department|team) is\b"
    r"|कर्मचारी[- ](?:संख्या|नंबर)|आपका विभाग|आपका कोई डिवाइस हमें पता नहीं"
    r"|\bwe know of no device of yours\b",
    _FLAGS,
)
# Ours may be letters alone (CM-JQQC), so capitals and a hyphen will do.
NUMBER: Final = re.compile(
    r"(?-i:\b[A-Z]{2,6}-[0-9A-Z]{3,}\b)|\b[A-Z]{2,6}-?[0-9A-Z]*\d[0-9A-Z]*\b"
    r"|\b(?:no|nr|ref)[.:]? ?\d+",
    _FLAGS,
)

_MONTH: Final = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
    r"|जनवरी|फ़रवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर"
    r"|दिसंबर|दिसम्बर"
)
DAY: Final = re.compile(
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?[ -](?:{_MONTH})(?:,?[ -]\d{{4}})?"
    rf"|\b(?:{_MONTH}) \d{{1,2}}(?:st|nd|rd|th)?(?:, ?\d{{4}})?"
    r"|\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{1,2}-[a-z]{3}\b",
    _FLAGS,
)
WEEKDAY: Final = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|(?:सोम|मंगल|बुध|गुरु|शुक्र|शनि|रवि)वार",
    _FLAGS,
)
HOUR: Final = re.compile(
    r"\b\d{1,2}[:.]\d{2}\b|\b\d{1,2} ?(?:am|pm)\b|\bnoon\b|\bmidnight\b|\d बजे", _FLAGS
)
ZONE: Final = re.compile(
    r"\b(?:UTC|GMT|BST|CET|CEST|IST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|JST|SGT)\b|\btime zone\b"
    r"|\b\w+ (?:standard |summer |daylight )?time\b|समय",
    _FLAGS,
)


def _one_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), _FLAGS)


# A mail that says one of these asks something of its reader.
DEMAND: Final = _one_of(
    r"\b(?:you )?must\b",
    r"\b(?:is|are) (?:required|to be removed)\b",
    r"\bmandatory\b",
    r"\bremove\b",
    r"\buninstall\b",
    r"\bdelete\b",
    r"\bhave to\b",
    r"(?<!not )\bneed to\b",
    r"\baction (?:is )?(?:required|needed)\b",
    r"\bunless you\b",
    r"\bstop using\b",
    r"\b(?:please|kindly) (?:complete|confirm|install|update|switch|change|return|sign|register)\b",
    r"\bno longer (?:permitted|allowed)\b",
    r"हटा दें|हटाना|हटाएँ|अनिवार्य|ज़रूरी है|डिलीट|बंद कर दें|करना होगा|अपडेट कर|इंस्टॉल कर",
)
NOBODY_NAMED: Final = _one_of(
    r"^(?:dear|hello|hi|hey|greetings)?,? ?(?:all|everyone|everybody|team|colleagues?|users?"
    r"|employees?|staff|customers?|sir|madam|sir/madam|friends?)\b *[,:]? *$",
    r"^(?:प्रिय )?(?:सभी|साथियो|साथियों|सहकर्मी|सहकर्मियो|कर्मचारी|कर्मचारियो|महोदय|महोदया)[^\n]{0,20}$",
)
THROUGH_MAIL: Final = _one_of(
    r"\bclick (?:here|on|the|below)\b",
    r"\breply (?:to this|with)\b",
    r"\blog ?in (?:here|below|with|at the link)\b",
    r"\bopen the attach\w+",
    r"\bfill in the (?:form|attach)\w*",
    r"\b(?:confirm|verify|enter|update) your (?:password|account|credentials|identity)\b",
    r"यहाँ क्लिक करें|लिंक पर क्लिक|इस मेल का जवाब दें|अटैचमेंट खोलें|पासवर्ड (?:डालें|भरें|बताएँ)",
)
# What a mail in each language has to say; any one of the words will do.
SAYS: Final[Mapping[str, Mapping[str, re.Pattern[str]]]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                "issuer_missing": _one_of(
                    r"\b(?:ordered|issued|decided|signed) by\b.{1,200}\bapproved by\b"
                ),
                "action_missing": _one_of(
                    r"\b(?:remove|uninstall|delete|install|update|switch|stop using|do not use"
                    r"|take) [^.\n]{1,120}\b(?:from|off|on|in|to)\b"
                ),
                "consequence_missing": _one_of(
                    r"\bif the app is still\b|\bif (?:it is|you) (?:not|do not|don.t|have not)\b"
                    r"|\botherwise\b|\bafter that\b|\bpauses?\b|\bunless you\b"
                    r"|\bwill (?:lose|stop|be (?:blocked|suspended|closed))\b"
                    r"|\bto (?:keep|retain) [^.\n]{0,60}\b(?:access|mail|email)\b"
                    r"|\bnothing happens\b"
                ),
                "mail_not_bounded": _one_of(
                    r"\bnothing (?:on|is|will be)[^.\n]{0,60}\b(?:erased|deleted|wiped|read)\b"
                    r"|\berases nothing\b|\bdoes not pause company mail\b"
                ),
                "reason_missing": _one_of(
                    r"\bhow sure we are\b|\bhas been (?:observed|tested|stated|shown)\b"
                    r"|\bwe (?:found|saw|observed|tested|measured)\b|\baccording to\b"
                    r"|\bno evidence is recorded\b"
                ),
                "hearing_missing": _one_of(
                    r"\b(?:maker|vendor|developer|manufacturer|company behind)\b[^.\n]{0,80}\b"
                    r"(?:asked|answer\w*|recorded)\b"
                    r"|\basked (?:the )?(?:maker|vendor|developer|manufacturer)\b"
                ),
                "check_missing": _one_of(
                    r"\btype [^\n]{0,80}\b[\w-]{1,63}\.[\w./-]{1,200}"
                    r"[^\n]{0,160}\b(?:help desk|call|phone|extension|person)\b"
                ),
                "never_ask_missing": _one_of(r"\bnever ask (?:you )?for (?:a|your|any) password\b"),
                "exceptions_missing": _one_of(r"\bexceptions?\b|\bexempt\w*"),
                "report_missing": _one_of(r"\breport (?:it|this|them)\b|\breporting (?:it|this)\b"),
            }
        ),
        "hi": MappingProxyType(
            {
                "issuer_missing": _one_of(r"(?:जारी करने|आदेश देने) वाले.{1,200}मंज़ूरी"),
                "action_missing": _one_of(
                    r"हटा दें|हटाएँ|डिलीट कर(?:ें| दें)|इंस्टॉल करें|अपडेट करें|बंद कर दें|न खोलें"
                ),
                "consequence_missing": _one_of(
                    r"रुक(?:ती|ेगी| जाएगी| सकती)|रोक सकता|न हटे तो|अपने-आप कुछ नहीं"
                    r"|नहीं तो|वरना|बंद (?:हो|कर दी) जाएगी"
                ),
                "mail_not_bounded": _one_of(
                    r"नहीं मिटाया जाता|नहीं मिटाती|कंपनी-मेल नहीं रोकती|न मिटाई जाएगी|कुछ नहीं मिटे"
                ),
                "reason_missing": _one_of(
                    r"कितना पक्का|कोई सबूत दर्ज नहीं|देखा (?:है|गया)|जाँच (?:की|में)|के अनुसार"
                ),
                "hearing_missing": _one_of(r"ऐप बनाने वाल|निर्माता"),
                "check_missing": _one_of(
                    r"(?:[\w-]{1,63}\.[\w./-]{1,200}[^\n]{0,40}लिखें)[^\n]{0,160}(?:मदद|हेल्प|पूछ|फ़ोन)"
                ),
                "never_ask_missing": _one_of(r"कभी (?:आपका )?पासवर्ड"),
                "exceptions_missing": _one_of(r"छूट"),
                "report_missing": _one_of(r"ग़लत लगे|गलत लगे|बता दें।|शिकायत कर"),
            }
        ),
    }
)
