"""The doctor reads configurations: the shipped ones are well, each planted fault is named."""

import re
from pathlib import Path

import pytest

from countermand.project.front_faults import Around, milliseconds
from countermand.project.front_files import Kind, faults, kind_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
LUA = "/etc/dovecot/device-passwords.lua"
SCRIPTS = {LUA: (DEPLOY / "dovecot-2.3/device-passwords.lua").read_text(encoding="utf-8")}

TOKEN = (DEPLOY / "dovecot-2.3/countermand-token.conf").read_text(encoding="utf-8")
ASKS = "!include_try /etc/dovecot/countermand-token.conf"
DOVECOT = (
    (DEPLOY / "dovecot-2.3/95-countermand.conf").read_text(encoding="utf-8").replace(ASKS, TOKEN)
    + f"""
passdb {{
  driver = lua
  args = file={LUA} blocking=yes
}}
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
  override_fields = allow_nets=127.0.0.1/32,::1/128 user_device=webmail nodelay=y
}}
"""
)
DOVECOT_24 = (
    (DEPLOY / "dovecot-2.4/95-countermand.conf").read_text(encoding="utf-8").replace(ASKS, TOKEN)
    + f"""
passdb lua {{
  lua_file = {LUA}
}}
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/users
  fields {{
    allow_nets = 127.0.0.1/32,::1/128
    user_device = webmail
  }}
  result_success = continue-ok
}}
passdb right-password {{
  driver = static
  fields {{
    nodelay = y
    nopassword = y
  }}
  skip = unauthenticated
}}
"""
)
# What Dovecot 2.4 prints of the same questions.
AS_PRINTED_BY_24 = (
    DOVECOT_24.partition("auth_policy_server_url")[0]
    + """
auth_policy {
  check_after_auth = yes
  check_before_auth = no
  hash_nonce = # hidden, use -P to show it
  reject_on_fail = no
  report_after_auth = no
  request_attributes {
    device = %{passdb:user_device | default('')}
    login = %{requested_username}
    mechanism = %{mechanism}
  }
  server_api_header = Authorization: Bearer a-token-for-the-tests
  server_url = http://127.0.0.1:8481/policy
  http_client_request_absolute_timeout = 2s
}
"""
    + DOVECOT_24[DOVECOT_24.index("\npassdb lua") :]
)
# As long as main passwords are limited group by group.
FROM_PHONES = """
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
  override_fields = nodelay=y
}
"""
PROTECTED = (DEPLOY / "nginx/countermand-groupware.conf").read_text(encoding="utf-8")
NGINX = "\n".join(
    (
        "http {",
        (DEPLOY / "nginx/countermand-gate-cached.conf").read_text(encoding="utf-8"),
        "server {",
        (DEPLOY / "nginx/countermand-doors.conf").read_text(encoding="utf-8"),
        PROTECTED,
        "}\n}",
    )
)
TRAEFIK = "\n".join(
    (DEPLOY / "traefik" / name).read_text(encoding="utf-8")
    for name in ("traefik.yaml", "dynamic.yaml")
)
ENVOY = (DEPLOY / "envoy/envoy.yaml").read_text(encoding="utf-8")
CADDY = (DEPLOY / "caddy/Caddyfile").read_text(encoding="utf-8")
POSTFIX = """
smtpd_sender_restrictions = check_policy_service inet:127.0.0.1:10099
smtpd_policy_service_default_action = DUNNO
"""
WELL = {
    Kind.DOVECOT: DOVECOT,
    Kind.NGINX: NGINX,
    Kind.TRAEFIK: TRAEFIK,
    Kind.ENVOY: ENVOY,
    Kind.CADDY: CADDY,
    Kind.POSTFIX: POSTFIX,
}


def found(text: str, *, files: str = "", passes_on: bool = False, lua: str = "") -> str:
    scripts = {LUA: lua} if lua else SCRIPTS
    around = Around(scripts=scripts, files=files, passes_on=passes_on)
    return " ".join(each.sentence for each in faults(text, around))


@pytest.mark.parametrize("kind", WELL)
def test_what_is_shipped_is_well(kind: Kind) -> None:
    assert kind_of(WELL[kind]) is kind
    assert found(WELL[kind]) == ""


@pytest.mark.parametrize("text", [DOVECOT_24, AS_PRINTED_BY_24], ids=["written", "printed"])
def test_what_is_shipped_for_the_newer_dovecot_is_well(text: str) -> None:
    assert kind_of(text) is Kind.DOVECOT
    assert found(text) == ""


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    return text.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("reject_on_fail = no", "reject_on_fail = yes", "lets nobody in"),
        ("timeout_msecs = 2000", "timeout_msecs = 9000", "waits 9000 ms"),
        ("check_before_auth = no", "check_before_auth = yes", "more or less often"),
        ("check_after_auth = yes", "check_after_auth = no", "more or less often"),
        ("report_after_auth = no", "report_after_auth = yes", "more or less often"),
        ("device=%{passdb:user_device}", "", "which device asks"),
        ("auth_policy_server_url", "#auth_policy_server_url", "asks no gate"),
        ("auth_policy_server_api_header", "#auth_policy_server_api_header", "carries no token"),
        ("allow_nets=127.0.0.1/32,::1/128 ", "", "good from everywhere"),
        ("allow_nets=127.0.0.1/32,::1/128 ", "", "counts as the webmail's"),
        (" mechanism=%m", "", "OAuth is not counted"),
        (" nodelay=y", "", "slows down everybody"),
        ("blocking=yes", "blocking=yes cache_key=%u", "remembers a wrong device password"),
        ("#auth_policy_log_only", "auth_policy_log_only", "refuses nothing"),
        ("127.0.0.1/32,::1/128", "0.0.0.0/0", "good from everywhere"),
        (",::1/128", "", "says localhost comes over IPv6 and is not let in"),
        ("::1/128", "::/0", "good from everywhere"),
    ],
)
def test_each_fault_of_a_dovecot_is_named(before: str, after: str, sentence: str) -> None:
    lua = SCRIPTS[LUA].replace("is_limited", "nobody")

    assert sentence in found(changed(DOVECOT, before, after), lua=lua)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("reject_on_fail = no", "reject_on_fail = yes", "lets nobody in"),
        ("absolute_timeout = 2s", "absolute_timeout = 9s", "waits 9000 ms"),
        ("check_before_auth = no", "check_before_auth = yes", "more or less often"),
        ("device = %{passdb:user_device | default('')}", "", "which device asks"),
        ("mechanism = %{mechanism}", "", "OAuth is not counted"),
        ("server_url = http://127.0.0.1:8481/policy", "", "asks no gate"),
        ("server_api_header = ", "#", "carries no token"),
        ("nodelay = y", "", "slows down everybody"),
        ("skip = unauthenticated", "", "guesses passwords is not slowed down"),
        ("user_device = webmail", "nodelay = y", "guesses passwords is not slowed down"),
        ("allow_nets = 127.0.0.1/32,::1/128", "", "counts as the webmail's"),
        ("127.0.0.1/32,::1/128", "::/0", "counts as the webmail's"),
        (",::1/128", "", "says localhost comes over IPv6 and is not let in"),
        ("reject_on_fail = no", "reject_on_fail = no\n  log_only = yes", "refuses nothing"),
    ],
)
def test_each_fault_that_a_newer_dovecot_prints_is_named(
    before: str, after: str, sentence: str
) -> None:
    assert sentence in found(changed(AS_PRINTED_BY_24, before, after))


@pytest.mark.parametrize(
    "networks", ["10.0.0.7/32", "local,127.0.0.1/32", "::1/128,127.0.0.0/8", "127.0.0.9/32"]
)
def test_a_webmail_is_asked_for_no_way_in_that_it_has_or_needs_not(networks: str) -> None:
    assert found(changed(DOVECOT, "127.0.0.1/32,::1/128", networks)) == ""


def test_every_recipe_takes_this_machine_over_both_of_its_addresses() -> None:
    recipes = [
        *DEPLOY.glob("dovecot-*/*.conf"),
        DEPLOY / "dovecot-2.3/device-passwords.lua",
    ]
    networks = [
        each
        for path in recipes
        for each in re.findall(r"allow_nets ?= ?(127\S+)", path.read_text(encoding="utf-8"))
    ]

    assert set(networks) == {"127.0.0.1/32,::1/128"}
    assert len(networks) == 8


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_no_file_that_everybody_has_to_be_able_to_read_has_the_token_in_it(version: str) -> None:
    asking = [
        path.read_text(encoding="utf-8")
        for path in (DEPLOY / f"dovecot-{version}").glob("*.conf")
        if path.name != "countermand-token.conf"
    ]

    assert sum(ASKS in text for text in asking) == 2
    assert not any("GATE-TOKEN" in text for text in asking)
    assert "Authorization: Bearer GATE-TOKEN" in TOKEN


def test_a_token_that_the_doctor_may_not_read_is_no_mistake() -> None:
    unread = DOVECOT.replace(TOKEN, "")

    [said] = faults(unread, Around(scripts=SCRIPTS, sees_all=False))
    assert said.may_wait
    assert "carries no token" in said.sentence
    # A file that is read by itself says where the token is.
    assert found(unread + ASKS) == ""


def test_a_script_without_nodelay_is_named() -> None:
    lua = changed(SCRIPTS[LUA], ', nodelay = "y"', "")
    assert "nodelay" in lua  # in a comment

    assert "slows down everybody" in found(DOVECOT, lua=lua)


def test_a_script_that_cannot_be_read_is_no_script_that_is_well() -> None:
    said = " ".join(each.sentence for each in faults(DOVECOT, Around(scripts={LUA: ""})))

    assert f"The script {LUA} cannot be read" in said


def test_a_week_of_writing_down_is_a_step_and_no_mistake() -> None:
    dry = changed(DOVECOT, "#auth_policy_log_only", "auth_policy_log_only")

    [said] = faults(dry, Around(scripts=SCRIPTS))

    assert said.may_wait


def test_where_main_passwords_are_limited_group_by_group_nothing_is_wrong() -> None:
    whole = DOVECOT + FROM_PHONES

    assert faults(whole, Around(scripts=SCRIPTS, limits_somebody=True)) == []


def test_before_the_first_group_is_limited_it_is_said_and_no_mistake() -> None:
    [said] = faults(DOVECOT + FROM_PHONES, Around(scripts=SCRIPTS))

    assert "is limited yet" in said.sentence
    assert said.may_wait


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_what_is_shipped_for_a_policy_server_behind_the_gate_is_well(version: str) -> None:
    asks = DEPLOY / f"dovecot-{version}"
    alone = (asks / "95-countermand.conf").read_text(encoding="utf-8")
    both = (asks / "95-countermand-with-upstream.conf").read_text(encoding="utf-8")
    alone, both = (each.replace(ASKS, TOKEN) for each in (alone, both))
    whole = changed(DOVECOT if version == "2.3" else DOVECOT_24, alone, both)

    assert found(whole, passes_on=True) == ""
    assert "more or less often" in found(whole)


@pytest.mark.parametrize(
    ("written", "wait_ms"),
    [
        ("300ms", 300),
        ("2000 msecs", 2000),
        ("1", 1000),
        ("0.25s", 250),
        ("1m30s", 90_000),
        ("1h 2m", 3_720_000),
        ("soon", None),
        ("", None),
        ("1s and more", None),
    ],
)
def test_a_duration_is_read_as_any_server_writes_it(written: str, wait_ms: int | None) -> None:
    assert milliseconds(written) == wait_ms


def test_sleeping_sessions_are_named() -> None:
    assert "none can be ended" in found(f"{DOVECOT}\nimap_hibernate_timeout = 30 s\n")
    within = "protocol imap {\n  imap_hibernate_timeout = 30 secs\n}"
    assert "none can be ended" in found(f"{DOVECOT}\n{within}\n")
    assert found(f"{DOVECOT}\nimap_hibernate_timeout = 0\n") == ""


def test_a_policy_server_that_nobody_asks_any_more_is_named() -> None:
    before = "#auth_policy_server_url = http://127.0.0.1:8084/?command=\n"

    assert "http://127.0.0.1:8084/" in found(DOVECOT, files=before)
    whole = changed(DOVECOT, "before_auth = no", "before_auth = yes")
    whole = changed(whole, "report_after_auth = no", "report_after_auth = yes")
    assert found(whole, files=before, passes_on=True) == ""


def test_a_policy_server_behind_the_gate_that_hears_half_is_named() -> None:
    assert "more or less often" in found(DOVECOT, passes_on=True)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("proxy_intercept_errors on;", "", "does not answer"),
        ("error_page 403 = @countermand-no;", "", "in the gate's place (403)"),
        ("if ($upstream_http_x_countermand_order", "if ($uri", "in the gate's place (403)"),
        ("502 503 504 505", "505", "does not answer"),
        ('proxy_set_header Authorization "Bearer GATE-TOKEN";', "", "carries no token"),
        ("proxy_read_timeout 1s;", "proxy_read_timeout 1m;", "60000 ms"),
        ("proxy_connect_timeout 300ms;", "", "waits 60000 ms"),
        (" 401 ", " ", "something else answers in the gate's place (401)"),
        ("402 404", "402 403 404", "no lets people in"),
        ("return 204;", "return 403;", "does not answer"),
        ("proxy_read_timeout 3600s;", "", "get 504 after 60000 ms"),
        ("proxy_read_timeout 3600s;", "proxy_read_timeout 5m;", "get 504 after 300000 ms"),
        ("error_page 500 = @active-sync;", "", "something else listens"),
        ("$http_x_remote_user|", "$http_x_remote_user|$args|", "one in the cache"),
        ("|$http_x_original_uri", "|$query_string", "one in the cache"),
        ("$http_x_remote_user|", "", "Several people or devices are one"),
        ("|$http_x_original_uri", "|$uri", "Several people or devices are one"),
        ("204 403 59s", "204 403 10m", "lasts longer than a minute"),
        (
            "proxy_cache countermand;",
            "proxy_cache countermand; proxy_cache_use_stale error;",
            "lasts longer than a minute",
        ),
        ("proxy_cache_bypass 1;", "", "a take-back is felt late"),
        ("auth_request /countermand-question;", "", "asks no gate"),
        (
            "auth_request /countermand-question;",
            "satisfy any; allow 10.0.0.0/8; auth_request /countermand-question;",
            "another rule lets in",
        ),
        ("server {\n# In", "server {\nsatisfy any;\n# In", "another rule lets in"),
    ],
)
def test_each_fault_of_an_nginx_is_named(before: str, after: str, sentence: str) -> None:
    assert sentence in found(changed(NGINX, before, after))


def test_an_nginx_that_asks_for_all_of_a_server_is_well_and_its_faults_are_named() -> None:
    door = "location = /Microsoft-Server-ActiveSync { proxy_pass http://groupware; }"
    door = door.replace("{", "{ proxy_read_timeout 1h;")
    asks = "auth_request /countermand-question;\nerror_page 500 = @active-sync;\nserver_tokens off;"
    whole = changed(NGINX, PROTECTED, f"{asks}\n{door}")

    assert found(whole) == ""
    assert "something else listens" in found(changed(whole, "error_page 500 = @active-sync;", ""))
    off = changed(whole, "proxy_pass http://groupware;", "auth_request off;")
    assert "without a question" in found(off)


def test_a_cache_of_other_things_is_none_of_our_business() -> None:
    others = "server { listen 8080; proxy_cache pictures; proxy_cache_key $uri$is_args$args; } }"

    assert found(NGINX.removesuffix("}") + others) == ""


def test_an_nginx_that_hands_passwords_on_is_named() -> None:
    without_token = changed(NGINX, 'proxy_set_header Authorization "Bearer GATE-TOKEN";', "")

    said = found(changed(without_token, "proxy_pass_request_headers off;", ""))

    assert "password of every phone" in said
    assert "carries no token" not in said


@pytest.mark.parametrize(
    "place", ["/Microsoft-Server-ActiveSync", "~* ^/microsoft-server-activesync"]
)
def test_a_second_way_to_active_sync_is_named(place: str) -> None:
    second = NGINX.removesuffix("}") + (
        f"server {{ location {place} {{ proxy_pass http://groupware; }} }} }}"
    )

    assert "without a question" in found(second)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (TRAEFIK, "statusRewrites:", "other:"),
        (TRAEFIK, "responseHeaderTimeout:", "other:"),
        (TRAEFIK, "[countermand-open, countermand-token]", "[countermand-token]"),
        (ENVOY, "failure_mode_allow: true", "failure_mode_allow: false"),
        (ENVOY, "envoy_on_response", "other"),
        (CADDY, "handle_errors", "handle"),
        (CADDY, "import countermand", "forward_auth 127.0.0.1:8481"),
    ],
)
def test_a_proxy_that_would_refuse_phones_is_named(text: str, before: str, after: str) -> None:
    assert "refuses phones" in found(changed(text, before, after))


@pytest.mark.parametrize(
    ("text", "before", "after", "sentence"),
    [
        (TRAEFIK, "dialTimeout: 300ms", "dialTimeout: 60s", "waits 60000 ms"),
        (TRAEFIK, "responseHeaderTimeout: 1s", "responseHeaderTimeout: 1m", "waits 60000 ms"),
        (TRAEFIK, "HeaderTimeout: 1s", 'HeaderTimeout: "30s"', "waits 30000 ms"),
        (TRAEFIK, "trustForwardHeader: false", "trustForwardHeader: true", "is believed"),
        (TRAEFIK, '"404-599"]', '"500-503"]', "in the gate's place (404–599)"),
        (TRAEFIK, '"404-599": 203', '"500-599": 203', "in the gate's place (404–499)"),
        (TRAEFIK, '"300-402"', '"300-403"', "no lets people in"),
        (ENVOY, "x-countermand-order", "x-other", "in the gate's place (403)"),
        (CADDY, "\t\t\theader X-Countermand-Order CM-*\n", "", "in the gate's place (403)"),
        (ENVOY, "timeout: 1.5s", "timeout: 60s", "waits 60000 ms"),
        (CADDY, "dial_timeout 300ms", "dial_timeout 60s", "waits 60000 ms"),
        (CADDY, "response_header_timeout 1s", "response_header_timeout 1m", "waits 60000 ms"),
        (CADDY, "header_up -X-Remote-User", "", "X-Remote-User is believed"),
        (CADDY, "header_up -X-Original-Uri", "", "X-Original-Uri is believed"),
        (POSTFIX, "smtpd_policy_service_default_action = DUNNO", "", "stops everybody's mail (451"),
        (POSTFIX, "DUNNO", "DEFER 4.7.1 later", "stops everybody's mail (DEFER"),
        (POSTFIX, "smtpd_policy_service_default", "#smtpd_policy_service_default", "(451"),
    ],
)
def test_what_a_setting_says_is_read_and_not_that_it_is_there(
    text: str, before: str, after: str, sentence: str
) -> None:
    assert sentence in found(text.replace(before, after))
    assert before in text


def test_limits_of_the_groupware_are_its_own() -> None:
    slow = "\n    groupware:\n      forwardingTimeouts:\n        responseHeaderTimeout: 1h\n"
    assert found(TRAEFIK + slow) == ""
    own = "reverse_proxy 127.0.0.1:20000 {\ntransport http {\nresponse_header_timeout 1h\n}\n}\n"
    assert found(CADDY + own) == ""


def test_each_of_the_two_files_of_traefik_is_read_alone() -> None:
    static = (DEPLOY / "traefik/traefik.yaml").read_text(encoding="utf-8")
    rules = (DEPLOY / "traefik/dynamic.yaml").read_text(encoding="utf-8")

    assert [kind_of(static), kind_of(rules)] == [Kind.TRAEFIK, Kind.TRAEFIK]
    assert found(static) == found(rules) == ""
    # Traefik throws X-Forwarded-Uri away there, and asks for nothing but /auth.
    untrusting = changed(static, 'trustedIPs: ["127.0.0.1/32"]', "insecure: false")
    assert "nobody is refused" in found(untrusting)
    assert "nobody is refused" in found(changed(TRAEFIK, "trustedIPs:", "others:"))


def test_what_is_no_configuration_is_said_to_be_none() -> None:
    assert "known here" in found("hello")
