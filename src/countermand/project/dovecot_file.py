"""What a Dovecot's configuration says about the gate; 2.3 and 2.4 print it in different forms.

2.3 writes `auth_policy_server_url = ...`; 2.4 prints the same as `auth_policy { server_url = ... }`
and gives passdbs a name. In 2.3 what a passdb adds comes with a right password, in 2.4 before it
was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from countermand.i18n import gettext as _
from countermand.project.front_faults import LONGEST_WAIT_MS, Around, Block, Fault, milliseconds

_POLICY: Final = "auth_policy"
_SERVER: Final = re.compile(r"(?<!\w)(?:auth_policy_)?server_url\s*=\s*(\S+)")
_LOCALHOST: Final = frozenset({"127.0.0.1", "127.0.0.1/32", "127.0.0.0/8"})
_NETWORKS: Final = re.compile(r"allow_nets\s*=\s*(\S+)")
# What a login waits for the gate: 2.3 counts in milliseconds, 2.4 names the unit.
_WAITS: Final = (
    ("auth_policy_server_timeout_msecs", "ms", str(LONGEST_WAIT_MS)),
    ("auth_policy_http_client_request_absolute_timeout", "s", "2s"),
)


def dovecot_faults(text: str, around: Around) -> Iterator[Fault]:
    """Yield what is wrong in what `doveconf -n` printed, or in a file."""
    top = _read(text)
    if not top.get("auth_policy_server_url"):
        yield Fault(
            _("Dovecot asks no gate."), _("Take over the file of deploy/ for this Dovecot.")
        )
    yield from _question(top, around)
    yield from _waiting(top)
    # Also where it stands in `protocol imap { }`, as Dovecot's own pages show it.
    if any(_is_on(each.get("imap_hibernate_timeout", "0")) for each in (top, *top.walk())):
        yield Fault(
            _("Sessions sleep in a process that many people share, so none can be ended."),
            _("Set imap_hibernate_timeout to 0."),
        )
    passdbs = [_Passdb(each) for each in top.named("passdb")]
    says_it_last = any(each.comes_last and each.says_nodelay for each in passdbs)
    for passdb in passdbs:
        yield from _passdb(passdb, around, says_it_last=says_it_last)
    yield from _forgotten(top, text, around)


def _read(text: str) -> Block:
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
    for policy in top.named(_POLICY):
        top.settings += [(f"{_POLICY}_{name}", value) for name, value in policy.settings]
        for inner in policy.blocks:
            inner.words = (f"{_POLICY}_{' '.join(inner.words)}",)
            top.blocks.append(inner)
    return top


def _question(top: Block, around: Around) -> Iterator[Fault]:
    # Another policy server behind the gate wants what comes before and after, too.
    wanted = {
        "auth_policy_check_before_auth": "yes" if around.passes_on else "no",
        "auth_policy_check_after_auth": "yes",
        "auth_policy_report_after_auth": "yes" if around.passes_on else "no",
    }
    for name, value in wanted.items():
        if top.get(name, "yes") != value:
            yield Fault(
                _("Dovecot asks more or less often than it should."),
                _("Set {name} to {value}.").format(name=name, value=value),
            )
    asked = top.get("auth_policy_request_attributes")
    for each in top.named("auth_policy_request_attributes"):
        asked += " ".join(f"{name}={value}" for name, value in each.settings)
    if not top.get("auth_policy_server_url"):
        return
    includes = any(name.startswith("!include") for name, _value in top.settings)
    if not top.get("auth_policy_server_api_header") and not includes:
        yield Fault(
            _("The question carries no token: the gate does not answer it, and all are let in."),
            _(
                "Put the token into countermand-token.conf. Root alone may read it, so run the"
                " doctor as root."
            ),
            may_wait=not around.sees_all,
        )
    remedy = _("Take auth_policy_request_attributes over from the file of deploy/.")
    if "user_device" not in asked:
        yield Fault(_("Dovecot does not say which device asks."), remedy)
    if "mechanism=" not in asked:
        yield Fault(
            _("Dovecot does not say how somebody logs in, so OAuth is not counted."), remedy
        )


def _waiting(top: Block) -> Iterator[Fault]:
    if top.get("auth_policy_reject_on_fail", "no") == "yes":
        yield Fault(
            _("Without an answer of the gate Dovecot lets nobody in."),
            _("Set {name} to {value}.").format(name="auth_policy_reject_on_fail", value="no"),
        )
    if top.get("auth_policy_log_only", "no") == "yes":
        yield Fault(
            _("Dovecot writes down what the gate refuses, and refuses nothing."),
            _("Set {name} to {value} after the first week.").format(
                name="auth_policy_log_only", value="no"
            ),
            may_wait=True,
        )
    for name, unit, wanted in _WAITS:
        wait = milliseconds(top.get(name, wanted), bare=unit)
        if wait is not None and wait > LONGEST_WAIT_MS:
            yield Fault(
                _("A login waits {wait} ms for a gate that does not answer.").format(wait=wait),
                _("Set {name} to {value}.").format(name=name, value=wanted),
            )


class _Passdb:
    """A passdb as far as the doctor looks into it."""

    def __init__(self, block: Block) -> None:
        """Read it."""
        self.is_of_24 = len(block.words) > 1
        self.driver = block.get("driver") or " ".join(block.words[1:2])
        self.own = " ".join(value for _name, value in block.settings)
        inner = " ".join(f"{key}={value}" for each in block.walk() for key, value in each.settings)
        self.said = f"{self.own} {inner}"
        self.says_nodelay = "nodelay" in self.said
        networks = " ".join(_NETWORKS.findall(self.said)).replace(",", " ").split()
        self.knows_one_of_two = (
            any(each in _LOCALHOST for each in networks)
            and "local" not in networks
            and not any(each.startswith("::") for each in networks)
        )
        # A network of no bits is everybody.
        self.is_for_some_places = bool(networks) and not any(
            each.endswith("/0") for each in networks
        )
        # It is asked after a right password alone, and only adds to the answer.
        self.comes_last = block.get("skip") == "unauthenticated"
        self.goes_on = block.get("result_success").startswith("continue")
        self.is_for_few = block.get("deny") == "yes" or block.get("master") == "yes"


def _passdb(passdb: _Passdb, around: Around, *, says_it_last: bool) -> Iterator[Fault]:
    if passdb.driver == "lua":
        yield from _script(passdb, around)
        return
    if passdb.comes_last:
        return
    if passdb.is_of_24 and passdb.says_nodelay:
        yield Fault(
            _("Whoever guesses passwords is not slowed down ({driver}).").format(
                driver=passdb.driver
            ),
            _("Move nodelay into a last passdb with skip = unauthenticated, as in deploy/."),
        )
    if passdb.is_for_few:
        return
    if not (passdb.says_nodelay or (passdb.goes_on and says_it_last)):
        yield _without_nodelay(passdb.driver)
    if passdb.knows_one_of_two:
        yield Fault(
            _("A webmail that says localhost comes over IPv6 and is not let in ({driver}).").format(
                driver=passdb.driver
            ),
            _("Write ::1/128 beside it in allow_nets, as in deploy/."),
            may_wait=True,
        )
    if not passdb.is_for_some_places:
        yield from _main_password(passdb, around)


def _script(passdb: _Passdb, around: Around) -> Iterator[Fault]:
    if around.lacks_lua:
        yield Fault(
            _("Dovecot's module for Lua is missing: once it is started anew, nobody can log in."),
            _("Install it (dovecot-auth-lua in Debian), and start Dovecot anew."),
        )
    if "cache_key" in passdb.own:
        yield Fault(
            _("Dovecot remembers a wrong device password and refuses the next right one."),
            _("Take cache_key out of the passdb with the Lua script."),
        )
    script = "".join(around.code(path) for path in around.scripts if path in passdb.said)
    for path in around.unreadable:
        yield Fault(
            _("The script {path} cannot be read, so nobody knows what it returns.").format(
                path=path
            ),
            _("Run the doctor where it lies, as somebody who may read it."),
            may_wait=True,
        )
    if script and "nodelay" not in script:
        yield _without_nodelay(passdb.driver)


def _main_password(passdb: _Passdb, around: Around) -> Iterator[Fault]:
    driver = passdb.driver
    if "user_device=webmail" in passdb.said:
        yield Fault(
            _("The main password ({driver}) counts as the webmail's, wherever it is used.").format(
                driver=driver
            ),
            _("Say user_device=webmail together with allow_nets only, as in deploy/."),
        )
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


def _forgotten(top: Block, text: str, around: Around) -> Iterator[Fault]:
    others = set(_SERVER.findall(f"{around.files}\n{text}"))
    others -= {top.get("auth_policy_server_url")}
    if others and not around.passes_on:
        yield Fault(
            _("Another policy server was asked before: {urls}. Now nobody asks it.").format(
                urls=", ".join(sorted(others))
            ),
            _("Let the gate put every question to it first; the howto for Dovecot says how."),
        )


def _is_on(value: str) -> bool:
    return value.split()[:1] not in ([], ["0"], ["0s"])
