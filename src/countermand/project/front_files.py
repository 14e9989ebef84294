"""What the configuration of a mail server says about a gate in trouble, read without running it.

Each reader takes the text that the server itself prints (`doveconf -n`, `nginx -T`) or a file, and
names what would keep people out, slow them down, or lead past the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from countermand.i18n import gettext as _

LONGEST_WAIT_MS: Final = 2000
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{};]|[^\s{};"\']+')
_LUA_COMMENT: Final = re.compile(r"--[^\n]*")
_IN_TROUBLE: Final = ("500", "502", "504")


class Kind(StrEnum):
    """Whose configuration a text is."""

    DOVECOT = "dovecot"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    ENVOY = "envoy"
    CADDY = "caddy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a configuration says and should not, and what to write instead.

    `may_wait` says that it is a step on the way, not a mistake.
    """

    sentence: str
    remedy: str
    may_wait: bool = False


@dataclass(slots=True)
class Block:
    """One block of a configuration: its words, its settings, and the blocks in it."""

    words: tuple[str, ...] = ()
    settings: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a setting."""
        return next((value for key, value in reversed(self.settings) if key == name), default)

    def all(self, name: str) -> list[str]:
        """Return every value of a setting."""
        return [value for key, value in self.settings if key == name]

    def walk(self) -> Iterator[Block]:
        """Yield every block inside, at any depth."""
        for each in self.blocks:
            yield each
            yield from each.walk()


def kind_of(text: str) -> Kind:
    """Tell whose configuration a text is."""
    signs = (
        (Kind.ENVOY, "static_resources:"),
        (Kind.TRAEFIK, "forwardAuth:"),
        (Kind.CADDY, "reverse_proxy"),
        (Kind.NGINX, "server {"),
        (Kind.DOVECOT, "passdb"),
        (Kind.DOVECOT, "auth_policy_server_url"),
    )
    return next((kind for kind, sign in signs if sign in text), Kind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Around:
    """What belongs to a configuration: the texts of its scripts by path, and all of its files.

    `passes_on` says that the gate puts Dovecot's questions to another policy server first,
    `limits_somebody` that some main passwords are good at the webmail alone by now.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    files: str = ""
    passes_on: bool = False
    limits_somebody: bool = False

    def code(self, path: str) -> str:
        """Return what a script says without its comments."""
        return _LUA_COMMENT.sub("", self.scripts.get(path, ""))


def faults(text: str, around: Around) -> list[Fault]:
    """Return what is wrong in a configuration of any kind."""
    match kind_of(text):
        case Kind.DOVECOT:
            return list(_dovecot(text, around))
        case Kind.NGINX:
            return list(_nginx(text))
        case Kind.TRAEFIK | Kind.ENVOY | Kind.CADDY as kind:
            return list(_proxy(kind, text))
        case Kind.UNKNOWN:
            return [
                Fault(
                    _("This is no configuration of a mail server or proxy that is known here."),
                    _("Name the output of doveconf -n or of nginx -T, or the proxy's own file."),
                )
            ]


# -- Dovecot --------------------------------------------------------------------------------------


def _dovecot_blocks(text: str) -> Block:
    top = Block()
    stack = [top]
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.endswith("{"):
            inner = Block(words=tuple(line[:-1].split()))
            stack[-1].blocks.append(inner)
            stack.append(inner)
        elif line == "}":
            if len(stack) > 1:
                stack.pop()
        else:
            name, _equals, value = line.partition("=")
            stack[-1].settings.append((name.strip(), value.strip()))
    return top


def _dovecot(text: str, around: Around) -> Iterator[Fault]:
    top = _dovecot_blocks(text)
    if not top.get("auth_policy_server_url"):
        yield Fault(
            _("Dovecot asks no gate."), _("Take over the file of deploy/ for this Dovecot.")
        )
    yield from _dovecot_question(top, passes_on=around.passes_on)
    yield from _dovecot_waiting(top)
    if _is_on(top.get("imap_hibernate_timeout", "0")):
        yield Fault(
            _("Sessions sleep in a process that many people share, so none can be ended."),
            _("Set imap_hibernate_timeout to 0."),
        )
    for passdb in (each for each in top.blocks if each.words[:1] == ("passdb",)):
        yield from _passdb(passdb, around)
    others = set(re.findall(r"auth_policy_server_url\s*=\s*(\S+)", f"{around.files}\n{text}"))
    others -= {top.get("auth_policy_server_url")}
    if others and not around.passes_on:
        yield Fault(
            _("Another policy server was asked before: {urls}. Now nobody asks it.").format(
                urls=", ".join(sorted(others))
            ),
            _("Let the gate put every question to it first; the howto for Dovecot says how."),
        )


def _dovecot_question(top: Block, *, passes_on: bool) -> Iterator[Fault]:
    # Another policy server behind the gate wants what comes before and after, too.
    wanted = {
        "auth_policy_check_before_auth": "yes" if passes_on else "no",
        "auth_policy_check_after_auth": "yes",
        "auth_policy_report_after_auth": "yes" if passes_on else "no",
    }
    for name, value in wanted.items():
        if top.get(name, "yes") != value:
            yield Fault(
                _("Dovecot asks more or less often than it should."),
                _("Set {name} to {value}.").format(name=name, value=value),
            )
    asked = top.get("auth_policy_request_attributes")
    for each in top.blocks:
        if each.words[:1] == ("auth_policy_request_attributes",):
            asked += each.get("device")
    if top.get("auth_policy_server_url") and "user_device" not in asked:
        yield Fault(
            _("Dovecot does not say which device asks."),
            _("Take auth_policy_request_attributes over from the file of deploy/."),
        )


def _dovecot_waiting(top: Block) -> Iterator[Fault]:
    if top.get("auth_policy_reject_on_fail", "no") == "yes":
        yield Fault(
            _("Without an answer of the gate Dovecot lets nobody in."),
            _("Set {name} to {value}.").format(name="auth_policy_reject_on_fail", value="no"),
        )
    wait = top.get("auth_policy_server_timeout_msecs", str(LONGEST_WAIT_MS))
    if wait.isdigit() and int(wait) > LONGEST_WAIT_MS:
        yield Fault(
            _("A login waits {wait} ms for a gate that does not answer.").format(wait=wait),
            _("Set {name} to {value}.").format(
                name="auth_policy_server_timeout_msecs", value=LONGEST_WAIT_MS
            ),
        )


def _passdb(passdb: Block, around: Around) -> Iterator[Fault]:
    driver = passdb.get("driver") or " ".join(passdb.words[1:2])
    inner = " ".join(f"{key}={value}" for each in passdb.walk() for key, value in each.settings)
    own = " ".join(value for _key, value in passdb.settings)
    said = f"{own} {inner}"
    script = "".join(around.code(path) for path in around.scripts if path in said)
    if driver == "lua":
        if "cache_key" in own:
            yield Fault(
                _("Dovecot remembers a wrong device password and refuses the next right one."),
                _("Take cache_key out of the passdb with the Lua script."),
            )
        if script and "nodelay" not in script:
            yield _without_nodelay(driver)
        return
    if passdb.get("deny") == "yes" or passdb.get("master") == "yes":
        return
    if "nodelay" not in said:
        yield _without_nodelay(driver)
    if "allow_nets" not in said:
        yield from _main_password(driver, around)


def _main_password(driver: str, around: Around) -> Iterator[Fault]:
    if not any("is_limited" in around.code(each) for each in around.scripts):
        yield Fault(
            _("The main password ({driver}) is good from everywhere, past every device.").format(
                driver=driver
            ),
            _("Limit it to the webmail's own machine with allow_nets, or group by group."),
        )
    elif not around.limits_somebody:
        yield Fault(
            _(
                "Nobody's main password ({driver}) is limited yet; it leads past every device."
            ).format(driver=driver),
            _("Move groups on with countermand device stage, until each is at the last one."),
            may_wait=True,
        )


def _without_nodelay(driver: str) -> Fault:
    return Fault(
        _("Whoever is refused slows down everybody at the same address ({driver}).").format(
            driver=driver
        ),
        _("Return nodelay=y together with a right password."),
    )


def _is_on(value: str) -> bool:
    return value.split()[:1] not in ([], ["0"], ["0s"])


# -- nginx ----------------------------------------------------------------------------------------


def _nginx_blocks(text: str) -> Block:
    plain = "\n".join(
        line.partition(" #")[0] for line in text.splitlines() if line.strip()[:1] != "#"
    )
    top = Block()
    stack = [top]
    words: list[str] = []
    for word in _WORD.findall(plain):
        if word == "{":
            inner = Block(words=tuple(words))
            stack[-1].blocks.append(inner)
            stack.append(inner)
        elif word == "}":
            if len(stack) > 1:
                stack.pop()
        elif word == ";":
            if words:
                stack[-1].settings.append((words[0], " ".join(words[1:])))
        else:
            words.append(word)
            continue
        words = []
    return top


def _nginx(text: str) -> Iterator[Fault]:
    blocks = list(_nginx_blocks(text).walk())
    places = [each for each in blocks if each.words[:1] == ("location",)]
    asking = [each for each in places if _asks(each)]
    if not asking:
        yield Fault(
            _("nginx asks no gate."),
            _("Take over the files of deploy/nginx, and the lines of its README."),
        )
    else:
        yield from _nginx_doors(places, asking)
    for each in places:
        if each.words[-1] in {place.get("auth_request") for place in asking}:
            yield from _nginx_question(each)
    if any(re.search(r"\$args\b", each.get("proxy_cache_key")) for each in blocks):
        yield Fault(
            _("All devices of a person are one in the cache: $args is empty there."),
            _("Use the whole request in proxy_cache_key, as deploy/nginx does."),
        )


def _asks(place: Block) -> bool:
    return place.get("auth_request", "off") != "off"


def _nginx_doors(places: Sequence[Block], asking: Sequence[Block]) -> Iterator[Fault]:
    for each in places:
        name = " ".join(each.words)
        if "Microsoft-Server-ActiveSync" in name and not _asks(each):
            yield Fault(
                _("ActiveSync is reached without a question ({place}).").format(place=name),
                _("Put auth_request into this location."),
            )
    lacking = [
        " ".join(each.words)
        for each in asking
        if not any("500" in value.split()[:-1] for value in each.all("error_page"))
    ]
    if lacking:
        yield Fault(
            _(
                "Phones get 500 when something else listens where the gate should be: {places}."
            ).format(places=", ".join(lacking)),
            _("Put error_page 500 into the location that asks; deploy/README.md shows it."),
        )


def _nginx_question(place: Block) -> Iterator[Fault]:
    caught = {status for value in place.all("error_page") for status in value.split()[:-1]}
    if place.get("proxy_intercept_errors", "off") != "on" or not caught.issuperset(_IN_TROUBLE):
        yield Fault(
            _("Phones get 500 when the gate does not answer or is in trouble."),
            _("Take over countermand-doors.conf whole; every status but 403 lets people in there."),
        )
    sent = dict(value.partition(" ")[::2] for value in place.all("proxy_set_header"))
    if "Authorization" not in sent:
        hands_on = place.get("proxy_pass_request_headers", "on") == "on"
        yield Fault(
            _("The password of every phone goes to the gate.")
            if hands_on
            else _(
                "The question carries no token: the gate does not answer it, and all are let in."
            ),
            _("Set the header Authorization to the gate's token in the question."),
        )
    if _ms(place.get("proxy_read_timeout", "60s")) > LONGEST_WAIT_MS:
        yield Fault(
            _("A phone waits {wait} ms for a gate that does not answer.").format(
                wait=_ms(place.get("proxy_read_timeout", "60s"))
            ),
            _("Set {name} to {value}.").format(name="proxy_read_timeout", value="1s"),
        )


def _ms(text: str) -> int:
    found = re.fullmatch(r"(\d+)(ms|s|m|h)?", text)
    if found is None:
        return LONGEST_WAIT_MS + 1
    return int(found[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[found[2] or "s"]


# -- Traefik, Envoy, Caddy ------------------------------------------------------------------------

_NEEDED: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.TRAEFIK: ("statusRewrites:", "responseHeaderTimeout:"),
    Kind.ENVOY: ("failure_mode_allow: true", "envoy_on_response"),
    Kind.CADDY: ("handle_errors", "response_header_timeout"),
}


def _proxy(kind: Kind, text: str) -> Iterator[Fault]:
    written = "\n".join(line.partition("#")[0] for line in text.splitlines())
    missing = [words for words in _NEEDED[kind] if words not in written]
    if kind is Kind.TRAEFIK and not missing and not _is_used(written):
        missing.append("middlewares")
    if kind is Kind.CADDY and re.search(r"^\s*forward_auth\b", written, re.MULTILINE):
        missing.append("reverse_proxy")
    if missing:
        yield Fault(
            _("Without an answer of the gate {proxy} refuses phones: it lacks {words}.").format(
                proxy=kind.value, words=", ".join(missing)
            ),
            _("Take over the file of deploy/{proxy}.").format(proxy=kind.value),
        )


def _is_used(written: str) -> bool:
    """Tell whether a router goes through the middleware that turns every odd answer into yes."""
    opens = re.findall(r"^\s*([\w-]+):\n\s*errors:", written, re.MULTILINE)
    used = " ".join(re.findall(r"middlewares:\s*\[([^\]]*)\]", written))
    used += " ".join(re.findall(r"^\s*-\s*([\w@-]+)\s*$", written, re.MULTILINE))
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", used) for name in opens)
