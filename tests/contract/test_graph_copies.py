"""Unread copies in Microsoft 365: moved, looked at again, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_socket import enable_socket

from countermand import environment, wiring
from countermand.connectors.graph_mail.copies import FOLDER, GraphCopies
from countermand.domain.withdrawal import CopyState, MailCopy
from countermand.testing.cloud_doubles import GraphDouble
from countermand.testing.graph_mailboxes import (
    DELETED,
    INBOX,
    RECOVERABLE,
    GraphMailboxes,
    Message,
)
from countermand.testing.http_double import HttpDouble, TestAuthority
from countermand.wire import tokens
from countermand.wire.http import SourceRefused

MINE = "<CM-7Q4K.1.notice.0.o'brien@example.org>"
ASHA = "asha@example.org"


@pytest.fixture
def graph() -> GraphMailboxes:
    return GraphMailboxes({ASHA: [], "ravi@example.org": []})


@pytest.fixture
def remover(graph: GraphMailboxes, socket_enabled: None) -> Iterator[GraphCopies]:
    with HttpDouble(graph.routes()) as server, httpx.Client(timeout=60) as client:
        yield GraphCopies(client, lambda: graph.token, base=f"{server.base}/v1.0")


def test_an_unread_copy_is_moved_once_and_a_second_time_changes_nothing(
    graph: GraphMailboxes, remover: GraphCopies
) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE), Message("2", "<other@example.org>")]

    for _ in range(2):
        (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])
        assert answer.state is CopyState.WITHDRAWN
        ours = graph.folders[ASHA][FOLDER]
        assert [m.folder for m in graph.mailboxes[ASHA]] == [ours, INBOX]


@pytest.mark.parametrize("folder", [DELETED, RECOVERABLE])
def test_what_its_owner_deleted_unread_was_not_taken_away_by_us(
    graph: GraphMailboxes, remover: GraphCopies, folder: str
) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE, folder=folder)]

    for _ in range(2):
        (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])
        assert answer.state is CopyState.NOT_FOUND
        assert graph.mailboxes[ASHA] == [Message("1", MINE, folder=folder)]
    assert graph.folders.get(ASHA, {}) == {}  # no folder without need


def test_of_two_copies_one_that_its_owner_deleted_stays_deleted(
    graph: GraphMailboxes, remover: GraphCopies
) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE, folder=DELETED), Message("2", MINE)]

    (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])

    assert answer.state is CopyState.WITHDRAWN
    assert [m.folder for m in graph.mailboxes[ASHA]] == [DELETED, graph.folders[ASHA][FOLDER]]


def test_a_move_whose_answer_was_lost_is_known_to_be_ours_when_asked_again(
    graph: GraphMailboxes, remover: GraphCopies
) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE)]
    graph.lost = 1

    states = [remover.withdraw([MailCopy(ASHA, MINE)])[0].state for _ in range(2)]

    assert states == [CopyState.UNKNOWN, CopyState.WITHDRAWN]


def test_what_was_read_and_then_deleted_counts_as_read(
    graph: GraphMailboxes, remover: GraphCopies
) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE, is_read=True, folder=DELETED)]

    (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])

    assert answer.state is CopyState.ALREADY_READ


def test_what_was_read_stays_where_it_is(graph: GraphMailboxes, remover: GraphCopies) -> None:
    graph.mailboxes[ASHA] = [Message("1", MINE, is_read=True)]

    (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])

    assert answer.state is CopyState.ALREADY_READ
    assert graph.mailboxes[ASHA][0].folder == INBOX


def test_what_is_not_there_is_not_found_and_what_is_not_answered_is_unknown(
    graph: GraphMailboxes, remover: GraphCopies
) -> None:
    states = [
        answer.state
        for answer in remover.withdraw(
            [MailCopy("ravi@example.org", MINE), MailCopy("nobody@example.org", MINE)]
        )
    ]
    assert states == [CopyState.NOT_FOUND, CopyState.UNKNOWN]

    graph.mailboxes[ASHA] = [Message("1", MINE)]
    graph.throttled = 1
    (first,) = remover.withdraw([MailCopy(ASHA, MINE)])
    (second,) = remover.withdraw([MailCopy(ASHA, MINE)])
    assert (first.state, first.detail) == (CopyState.UNKNOWN, "HTTP 429")
    assert second.state is CopyState.WITHDRAWN


def test_a_token_that_is_refused_leaves_it_unknown(graph: GraphMailboxes) -> None:
    enable_socket()
    with HttpDouble(graph.routes()) as server, httpx.Client(timeout=60) as client:
        remover = GraphCopies(client, lambda: "old", base=f"{server.base}/v1.0")
        (answer,) = remover.withdraw([MailCopy(ASHA, MINE)])

    assert (answer.state, answer.detail) == (CopyState.UNKNOWN, "HTTP 401")


def test_no_token_leaves_it_unknown(graph: GraphMailboxes, socket_enabled: None) -> None:
    def refused() -> str:
        raise SourceRefused(host="login.example", status=401)

    with HttpDouble(graph.routes()) as server, httpx.Client(timeout=60) as client:
        (answer,) = GraphCopies(client, refused, base=f"{server.base}/v1.0").withdraw(
            [MailCopy(ASHA, MINE)]
        )
        assert server.asked == []

    assert (answer.state, answer.detail) == (CopyState.UNKNOWN, "SourceRefused")


def test_one_token_serves_as_long_as_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    authority = TestAuthority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    double = GraphDouble()
    with HttpDouble(double.routes(), authority=authority) as server:
        double.base = server.base
        token = tokens.entra(
            None,
            authority=f"{server.base}/tenant",
            client_id="app",
            secret="invented",
            scope=f"{server.base}/.default",
        )

        assert [token() for _ in range(3)] == [double.token] * 3
        asked = [each.path for each in server.asked if each.method == "POST"]

    assert len(asked) == 1


def test_every_sweep_of_a_process_uses_the_same_tokens(tmp_path: Path) -> None:
    environ = {
        "COUNTERMAND_WITHDRAW_COPIES": "graph",
        "COUNTERMAND_GRAPH_TENANT": "tenant",
        "COUNTERMAND_GRAPH_CLIENT": "app",
        "COUNTERMAND_GRAPH_SECRET": "invented",
    }
    found = []
    for _ in range(2):
        with wiring.copy_remover(environment.load(environ, data=tmp_path)) as remover:
            assert isinstance(remover, GraphCopies)
            found.append(remover.token)

    assert found[0] is found[1]
