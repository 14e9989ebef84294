"""Names to invent people with, by where they might live; nobody real is meant.

Every name stands in Latin letters and as it is written at home, so that each screen and mail is
tried with every script from the first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the organisation: where, how its people are called, and what they speak.

    `weight` is its share among the people who speak one of `languages`.
    """

    country: str
    zones: tuple[str, ...]
    languages: tuple[str, ...]
    weight: int
    given: tuple[tuple[str, str], ...]
    family: tuple[tuple[str, str], ...]
    family_first: bool = False  # in the local script


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read `Latin=local` words; a name without an equals sign is written in Latin letters."""
    pairs = (word.partition("=") for word in text.split())
    return tuple((latin, local) for latin, _, local in pairs)


PLACES: Final = (
    Place(
        country="IN",
        zones=("Asia/Kolkata",),
        languages=("hi", "en"),
        weight=52,
        given=_pairs(
            "Asha=आशा Ravi=रवि Meera=मीरा Imran=इमरान Kavita=कविता Suresh=सुरेश Pooja=पूजा "
            "Vikram=विक्रम Sunita=सुनीता Farhan=फ़रहान Neha=नेहा Manoj=मनोज Shabnam=शबनम "
            "Deepak=दीपक Rekha=रेखा Anil=अनिल Zoya=ज़ोया Harpreet=हरप्रीत Lakshmi=लक्ष्मी "
            "Girish=गिरीश Shraddha=श्रद्धा Dnyaneshwar=ज्ञानेश्वर"
        ),
        family=_pairs(
            "Verma=वर्मा Kulkarni=कुलकर्णी Sharma=शर्मा Qureshi=क़ुरैशी Singh=सिंह Mishra=मिश्रा "
            "Yadav=यादव Patil=पाटिल Joshi=जोशी Gupta=गुप्ता Ansari=अंसारी Chauhan=चौहान "
            "Thakur=ठाकुर Deshpande=देशपांडे Tripathi=त्रिपाठी"
        ),
    ),
    Place(
        country="IN",
        zones=("Asia/Kolkata",),
        languages=("ta", "en", "hi"),
        weight=8,
        given=_pairs(
            "Kavya=காவ்யா Murugan=முருகன் Anitha=அனிதா Senthil=செந்தில் Selvi=செல்வி "
            "Karthik=கார்த்திக் Priya=பிரியா"
        ),
        family=_pairs("Iyer=ஐயர் Raman=ராமன் Subramaniam=சுப்பிரமணியம் Pillai=பிள்ளை"),
    ),
    Place(
        country="BD",
        zones=("Asia/Dhaka",),
        languages=("bn", "en"),
        weight=6,
        given=_pairs("Nasrin=নাসরিন Rafiq=রফিক Shirin=শিরিন Anwar=আনোয়ার Tania=তানিয়া"),
        family=_pairs("Akter=আক্তার Hossain=হোসেন Chowdhury=চৌধুরী Rahman=রহমান"),
    ),
    Place(
        country="AE",
        zones=("Asia/Dubai",),
        languages=("ar", "en"),
        weight=6,
        given=_pairs("Layla=ليلى Omar=عمر Huda=هدى Yusuf=يوسف Mariam=مريم"),
        family=_pairs("Haddad=حداد Mansour=منصور Nasser=ناصر Khalil=خليل"),
    ),
    Place(
        country="RS",
        zones=("Europe/Belgrade",),
        languages=("sr", "en"),
        weight=5,
        given=_pairs("Jelena=Јелена Nikola=Никола Milica=Милица Stefan=Стефан Zeljko=Жељко"),
        family=_pairs("Petrovic=Петровић Jovanovic=Јовановић Nikolic=Николић"),
    ),
    Place(
        country="TW",
        zones=("Asia/Taipei",),
        languages=("zh", "en"),
        weight=5,
        given=_pairs("Mei=美玲 Jun=俊傑 Ling=玲 Wei=偉 Yi=怡君"),
        family=_pairs("Chen=陳 Lin=林 Huang=黃 Wang=王"),
        family_first=True,
    ),
    Place(
        country="DE",
        zones=("Europe/Berlin",),
        languages=("de", "en"),
        weight=8,
        given=_pairs("Lena Jürgen Käthe Sören Anneliese Björn Günther Zoë"),
        family=_pairs("Brandt Müller Großmann Weiß Schröder Löffler von-Österreich"),
    ),
    Place(
        country="BR",
        zones=("America/Sao_Paulo", "America/Manaus"),
        languages=("pt-BR", "en"),
        weight=6,
        given=_pairs("Tomás João Conceição Inês Antônio Luísa"),
        family=_pairs("Ferreira Gonçalves Araújo D'Ávila Magalhães"),
    ),
    Place(
        country="IE",
        zones=("Europe/Dublin",),
        languages=("en",),
        weight=6,
        given=_pairs("Siobhán Aoife Pádraig Niamh Seán Caoimhe"),
        family=_pairs("O'Neil Ó-Briain Murphy Ní-Chonaill Walsh"),
    ),
    Place(
        country="US",
        zones=("America/New_York", "America/Chicago", "America/Los_Angeles", "Pacific/Honolulu"),
        languages=("en",),
        weight=8,
        given=_pairs("Grace Marcus Denise Tyrone Zoe Hector Amy"),
        family=_pairs("Washington Nguyen Ortiz Kowalski Johnson Lee"),
    ),
)
UNITS: Final = (
    "Payments",
    "Logistics",
    "Field Sales",
    "Finance",
    "Engineering",
    "Legal",
    "Security",
    "Warehouse",
    "People and Culture",
    "Customer Care",
)
GROUP_OF_UNIT: Final = MappingProxyType(
    {"Field Sales": "field", "Engineering": "it", "Security": "it", "Warehouse": "shop-floor"}
)
SMALL_GROUPS: Final = ("social-media-team", "drivers", "board")

UNRELATED_APPS: Final = MappingProxyType(
    {
        "android": (
            ("org.example.payroll", "Payroll Canary"),
            ("org.example.ticktock", "Tick Tock Timer"),
            ("org.example.clinic", "Clinic Diary"),
            ("org.example.prayer", "Prayer Times"),
            ("org.example.dating", "Second Date"),
            ("org.example.chess", "शतरंज"),
        ),
        "apple": (
            ("org.example.payroll", "Payroll Canary"),
            ("org.example.ticktock.ios", "Tick Tock Timer"),
            ("org.example.therapy", "Therapy Notes"),
            ("org.example.union", "Union Chat"),
        ),
        "computer": (
            ("org.example.editor", "Example Editor"),
            ("org.example.payroll.desktop", "Payroll Canary"),
        ),
    }
)
"""Apps that no order names: none of them may ever be found in a database, a log or a queue."""
