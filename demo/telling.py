"""The story in words, English and Hindi side by side: every line exists in both."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO

LINES: dict[str, tuple[str, str]] = {
    "title": (
        "Countermand: an order that was sent by mistake, taken back, and then done rightly",
        "Countermand: एक आदेश जो ग़लती से भेजा गया, वापस लिया गया, और फिर सही तरीक़े से दिया गया",
    ),
    "clock": (
        (
            "The clock of this demo hurries: one hour of the story takes about {seconds} s. "
            "Everything else is real: database, sender, mail server, gate."
        ),
        (
            "इस डेमो की घड़ी तेज़ चलती है: कहानी का एक घंटा यहाँ लगभग {seconds} सेकंड का है। "
            "बाकी सब असली है: डेटाबेस, मेल भेजने वाला, मेल-सर्वर, गेट।"
        ),
    ),
    "stage": (
        "A sample organisation of {people} people with {devices} devices is being set up …",
        "{people} लोगों और {devices} डिवाइस वाला एक नमूना संगठन तैयार हो रहा है …",
    ),
    "act1": ("Act 1: the mistake", "पहला भाग: ग़लती"),
    "act2": ("Act 2: done rightly", "दूसरा भाग: सही तरीक़े से"),
    "as_sent_refused": (
        (
            "The order as it was sent in 2020 is refused: {count} faults, all named at once. "
            "The mail server has seen {connections} connections."
        ),
        (
            "2020 में जैसा भेजा गया था, वैसा आदेश अस्वीकार हुआ: {count} कमियाँ, सब एक साथ बताई गईं। "
            "मेल-सर्वर पर अब तक {connections} कनेक्शन आए।"
        ),
    ),
    "planned": (
        (
            "The repaired order {number} is planned: {people} people affected, {present} devices "
            "carry the app, {unseen} cannot be checked."
        ),
        (
            "सुधारे गए आदेश {number} की योजना बनी: {people} लोगों पर असर, {present} डिवाइस पर ऐप है, "
            "{unseen} डिवाइस जाँचे नहीं जा सकते।"
        ),
    ),
    "own_approval_refused": (
        "The author tries to approve it alone: refused ({code}).",
        "लिखने वाले ने ख़ुद मंज़ूरी देनी चाही: मंज़ूरी नहीं मानी गई ({code})।",
    ),
    "edit_voids": (
        "One word is edited after the first approval: the approval no longer counts.",
        "पहली मंज़ूरी के बाद एक शब्द बदला गया: वह मंज़ूरी अब मान्य नहीं।",
    ),
    "approved": (
        "Two others open plan, notice and correction, and approve exactly this text ({digest}).",
        "दो और लोगों ने योजना, सूचना और सुधार खोलकर देखे और ठीक इसी पाठ को मंज़ूर किया ({digest})।",
    ),
    "held": (
        "It is held until {until}: nothing leaves.",
        "{until} तक रुका हुआ है: कुछ भी नहीं भेजा जाता।",
    ),
    "first_group": (
        "The first small group gets it: {count} people.",
        "पहले छोटे समूह को मिला: {count} लोग।",
    ),
    "waves": (
        "It goes out wave by wave, to each in their own language: {count} mails so far.",
        "यह एक-एक लहर में जा रहा है, हर किसी को अपनी भाषा में: अब तक {count} मेल।",
    ),
    "sender_killed": (
        "A sender is killed in the middle of a wave (SIGKILL). Another takes over; nobody is lost.",
        ("लहर के बीच में मेल भेजने वाला प्रोग्राम बंद कर दिया गया (SIGKILL)। दूसरे ने काम सँभाला; कोई छूटा नहीं।"),
    ),
    "five_hours": (
        (
            "Five hours after the first mail somebody sees the mistake. {share} of the people "
            "affected have got it, and the next wave is on its way."
        ),
        (
            "पहली मेल के पाँच घंटे बाद ग़लती पकड़ में आई। जिन पर असर है उनमें से {share} को मिल चुका है, "
            "और अगली लहर निकल रही है।"
        ),
    ),
    "taken_back": (
        (
            "One person takes it back, in one step. The stop is durable after {durable} ms; the "
            "doors are open after {gate} ms; the last correction leaves {last} s after the press."
        ),
        (
            "एक व्यक्ति ने एक ही क़दम में इसे वापस लिया। रोक {durable} ms में पक्की; दरवाज़े {gate} ms में "
            "खुले; आख़िरी सुधार {last} सेकंड बाद निकला।"
        ),
    ),
    "corrections": (
        (
            "{sent} corrections, in the same thread and language: {missed} of those reached were "
            "missed, and {stray} went to people to whom nothing was on its way. {precautionary} "
            "are a precaution: their mail was just leaving when it was stopped."
        ),
        (
            "{sent} सुधार, उसी सिलसिले और उसी भाषा में: जिन तक आदेश पहुँचा, उनमें से {missed} छूटे, और "
            "{stray} ऐसे लोगों को गए जिनकी ओर कुछ नहीं निकला था। {precautionary} एहतियात के तौर पर: "
            "रोकते समय उनकी मेल बस निकल ही रही थी।"
        ),
    ),
    "statement": (
        "Only now is the statement for press and maker ready.",
        "प्रेस और ऐप बनाने वाली कंपनी के लिए बयान अब जाकर तैयार है।",
    ),
    "nothing_in_force": (
        "What applies now? `rules` says: nothing is in force.",
        "अब क्या लागू है? `rules` कहता है: कुछ भी लागू नहीं।",
    ),
    "done_rightly": (
        (
            "Order {number}: the maker was asked, the evidence is in it, the deadline is by each "
            "person's own clock."
        ),
        (
            "आदेश {number}: ऐप बनाने वाली कंपनी से पूछा गया, सबूत साथ हैं, समय-सीमा हर व्यक्ति की अपनी "
            "घड़ी से है।"
        ),
    ),
    "all_told": (
        "{count} people have been told.",
        "{count} लोगों को बताया जा चुका है।",
    ),
    "reminders": (
        "{count} reminders went out before the deadline, then {locks} last notices.",
        "समय-सीमा से पहले {count} याद दिलाने वाली मेल गईं, फिर {locks} आख़िरी सूचनाएँ।",
    ),
    "gate_closed": (
        (
            "After the deadline the gate was asked about {asked} devices: mail is paused on the "
            "{closed} that still carry the app, and on no other ({wrong} wrong answers)."
        ),
        (
            "समय-सीमा के बाद गेट से {asked} डिवाइस के बारे में पूछा गया: मेल सिर्फ़ उन {closed} पर रुकी है "
            "जिन पर ऐप अब भी है, और किसी पर नहीं ({wrong} ग़लत जवाब)।"
        ),
    ),
    "removed": (
        '{name} says "I removed it": mail is back on that phone after {ms} ms.',
        '{name} ने कहा "ऐप हटा दिया": उस फ़ोन पर मेल {ms} ms में लौट आई।',
    ),
    "confirmed": (
        "The next inventory confirms it: {count} phones still carry the app.",
        "अगली सूची ने इसकी पुष्टि की: {count} फ़ोन पर ऐप अब भी है।",
    ),
    "late_joiner": (
        (
            "{name} joined today with the app on the phone: told on the same day, own deadline "
            "{deadline}."
        ),
        "{name} आज ही जुड़े हैं और फ़ोन पर ऐप है: उसी दिन बताया गया, अपनी समय-सीमा {deadline}।",
    ),
    "amendment_out": (
        "An amendment {number} goes out by mistake; {count} people get it before it is taken back.",
        "एक संशोधन {number} ग़लती से निकल गया; वापस लिए जाने से पहले {count} लोगों को मिला।",
    ),
    "amendment_back": (
        (
            "It is taken back. The first order {number} stands, and every correction says so "
            "({untrue} untrue sentences)."
        ),
        (
            "उसे वापस लिया गया। पहला आदेश {number} बना हुआ है, और हर सुधार यही कहता है "
            "({untrue} ग़लत वाक्य)।"
        ),
    ),
    "log_verified": (
        (
            "The log is whole: {entries} entries, {checkpoints} signed heads, and the whole story "
            "replays from it."
        ),
        (
            "लॉग पूरा है: {entries} प्रविष्टियाँ, {checkpoints} हस्ताक्षरित शीर्ष, और पूरी कहानी इसी से "
            "दोहराई जा सकती है।"
        ),
    ),
    "timeline": ("The life of order {number}:", "आदेश {number} का पूरा क्रम:"),
    "figures": (
        "Figures, from the mail server's own record: {path}",
        "आँकड़े, मेल-सर्वर के अपने रिकॉर्ड से: {path}",
    ),
    "go_on": (
        (
            "To go on: `make up` starts it for you, with the look-up page and everything the "
            "command line needs; `.venv/bin/countermand --help` teaches the rest."
        ),
        (
            "आगे: `make up` इसे आपके लिए चलाता है, जाँच वाले पेज और कमांड-लाइन के साथ; बाकी "
            "`.venv/bin/countermand --help` सिखाता है।"
        ),
    ),
    "failed": (
        "The story did not end as promised: {what}",
        "कहानी वैसी पूरी नहीं हुई जैसा वादा था: {what}",
    ),
}


@dataclass
class Telling:
    """Prints the story in one language, a line at a time."""

    language: str
    out: TextIO = sys.stdout

    def line(self, key: str, **facts: object) -> str:
        """Return one line of the story in this language."""
        english, hindi = LINES[key]
        return (hindi if self.language == "hi" else english).format(**facts)

    def heading(self, key: str, **facts: object) -> None:
        """Print a heading."""
        text = self.line(key, **facts)
        print(f"\n== {text} ==\n", file=self.out, flush=True)

    def say(self, key: str, *, told_at: str = "", **facts: object) -> None:
        """Print one line, with the told time in front when there is one."""
        head = f"[{told_at}] " if told_at else ""
        print(f"{head}{self.line(key, **facts)}", file=self.out, flush=True)

    def quote(self, text: str) -> None:
        """Print what a program said, indented."""
        for row in text.rstrip().splitlines():
            print(f"    {row}", file=self.out, flush=True)
