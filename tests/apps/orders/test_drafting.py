"""From the file to the approval: who may, what an edit voids, and what a plan says in numbers."""

from dataclasses import replace

import pytest

from countermand.domain.approvals import (
    DigestChanged,
    NotOpened,
    OwnApproval,
    Part,
    Role,
)
from countermand.domain.errors import FaultsFound
from countermand.domain.lifecycle import StepNotAllowed
from countermand.domain.verdict import LOCK_NOTICE_LEAD, MINIMUM_NOTICE, decide
from countermand.notices.models import Mailing, Notice
from countermand.orders import actions, door_outlook, queries
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Approval, Opening, Order, Revision
from countermand.orders.refusals import ModeIsFixed, NotYours, OrderNotKnown, OutsideYourUnits
from countermand.people.actions import grant_role
from tests.one_by_one import cells_in_scope
from tests.order_world import World, order_text


def test_a_faulty_file_makes_no_order(world: World) -> None:
    with pytest.raises(FaultsFound) as refused:
        world.plan(evidence=None, hearing=None, review_on=None)

    assert {"order.evidence_missing", "order.hearing_missing", "order.key_missing"} <= {
        fault.code for fault in refused.value.faults
    }
    assert Order.objects.count() == 0


def test_no_order_is_planned_whose_mails_would_lead_answers_nowhere(world: World) -> None:
    world.settings = replace(world.settings, reply_to="noreply@x.org", organisation="")

    with pytest.raises(FaultsFound) as refused:
        world.plan()

    assert {fault.key for fault in refused.value.faults} == {
        "COUNTERMAND_REPLY_TO",
        "COUNTERMAND_ORGANISATION",
    }
    assert Order.objects.count() == 0


def test_an_author_orders_people_of_their_own_units_alone(world: World) -> None:
    author = world.people["author"].pk
    for uid, unit in (("asha", "Sales"), ("ben", "Legal")):
        world.person(uid, unit=unit)
        world.device(uid)

    def may_order(*units: str) -> None:
        grant_role(
            person_id=author,
            role=Role.AUTHOR,
            outside_it=False,
            units=units,
            actor_id=None,
            now=world.now,
        )

    may_order("Sales")
    with pytest.raises(OutsideYourUnits) as refused:
        world.plan()
    assert refused.value.units == "Legal"
    assert Order.objects.count() == 0

    may_order("Sales", "Legal")
    assert world.plan()


def test_an_order_announces_no_pause_that_no_door_would_carry_out(world: World) -> None:
    strict = {"cannot_be_checked": "refuse-until-answered"}
    approvers = ["legal@example.org", "council@example.org", "operator@example.org"]
    world.staff(3, presence="unobservable")

    with pytest.raises(FaultsFound) as refused:
        world.plan(**strict, approvers=approvers)

    assert [fault.code for fault in refused.value.faults] == ["order.no_door_shuts_on_silence"]
    assert Order.objects.count() == 0
    assert world.plan(**strict | {"enforcement": "none", "steps": None}, approvers=approvers)


def test_an_order_announces_no_pause_in_a_cloud_whose_doors_nobody_closes(world: World) -> None:
    world.staff(3)

    with pytest.raises(FaultsFound) as refused:
        world.plan(enforcement="cloud")

    assert [fault.code for fault in refused.value.faults] == ["order.no_door_of_a_cloud"]
    assert Order.objects.count() == 0


def test_a_language_without_text_and_without_a_fallback_is_refused(world: World) -> None:
    world.person("kana", language="ja")
    world.device("kana")

    with pytest.raises(FaultsFound) as refused:
        world.plan()

    assert [fault.code for fault in refused.value.faults] == ["order.language_text_missing"]


def test_planning_registers_the_apps_as_named(world: World) -> None:
    assert queries.named_apps() == frozenset()

    world.plan()

    assert queries.named_apps() == {"tiktok"}


def test_devices_never_checked_count_as_affected_and_are_named_so(world: World) -> None:
    world.staff(3, presence=None)

    plan = queries.newest_revision(world.plan()).plan

    assert plan["devices"] == {
        "all": 3,
        "present": 0,
        "absent": 0,
        "unobservable": 0,
        "not_checked_yet": 3,
    }
    assert plan["would_lose_mail"] == {"people": 0, "devices": 0}


def test_only_an_author_plans(world: World) -> None:
    with pytest.raises(NotYours):
        actions.plan(
            order_text(),
            actor=world.actor("desk"),
            now=world.now,
            context=world.desk.context,
        )


def test_the_author_cannot_approve_even_with_the_role(world: World) -> None:
    world.person("both", Role.AUTHOR)
    number = world.plan()
    actions.submit(number, actor=world.actor("author"), now=world.now)

    for uid in ("author",):
        with pytest.raises(OwnApproval):
            world.open_and_approve(number, uid)


def test_whoever_submits_cannot_approve(world: World) -> None:
    person = world.people["legal"]
    person.grants.create(role="author", granted_at=world.now)
    number = world.plan()
    actions.submit(number, actor=world.actor("legal"), now=world.now)

    with pytest.raises(OwnApproval):
        world.open_and_approve(number, "legal")


def test_an_approval_needs_everything_opened(world: World) -> None:
    number = world.plan()
    actions.submit(number, actor=world.actor("author"), now=world.now)
    actions.opened(number, Part.PLAN, actor=world.actor("legal"), now=world.now)

    with pytest.raises(NotOpened):
        actions.approve(number, actor=world.actor("legal"), now=world.now)


def test_what_was_shown_before_an_edit_does_not_count_as_opened(world: World) -> None:
    number = world.plan()
    shown = queries.newest_revision(number).digest
    world.plan(number, title={"en": "Another title", "hi": "दूसरा शीर्षक"})

    with pytest.raises(DigestChanged):
        actions.opened(number, Part.PLAN, actor=world.actor("legal"), now=world.now, digest=shown)
    assert Opening.objects.count() == 0


def test_an_edit_voids_every_approval(world: World) -> None:
    world.staff(3)
    number = world.approved()
    old = queries.newest_revision(number).digest

    world.plan(number, title={"en": "Another title", "hi": "दूसरा शीर्षक"})

    assert world.order(number).phase == "planned"
    assert Approval.objects.filter(void_at__isnull=True).count() == 0
    assert Approval.objects.count() == 2
    actions.submit(number, actor=world.actor("author"), now=world.now)
    for part in Part:
        actions.opened(number, part, actor=world.actor("legal"), now=world.now)
    with pytest.raises(DigestChanged):
        actions.approve(number, actor=world.actor("legal"), now=world.now, digest=old)


def test_planning_the_very_same_again_keeps_approvals(world: World) -> None:
    world.staff(3)
    number = world.approved()

    world.plan(number)

    assert world.order(number).phase == "approved"
    assert Approval.objects.filter(void_at__isnull=True).count() == 2
    assert Revision.objects.count() == 1


def test_what_was_released_is_not_planned_again_not_even_with_the_same_words(
    world: World,
) -> None:
    world.staff(3)
    number = world.released()
    figures = queries.newest_revision(number).plan
    world.staff(2)

    with pytest.raises(StepNotAllowed) as refused:
        world.plan(number)
    assert refused.value.step == "plan"
    assert queries.newest_revision(number).plan == figures
    with pytest.raises(StepNotAllowed):
        world.plan(number, title={"en": "Another title", "hi": "दूसरा शीर्षक"})


def test_a_returned_order_is_a_draft_without_approvals(world: World) -> None:
    number = world.plan()
    actions.submit(number, actor=world.actor("author"), now=world.now)
    world.open_and_approve(number, "legal")

    actions.send_back(number, actor=world.actor("council"), now=world.now, because="Too vague.")

    assert world.order(number).phase == "draft"
    assert Approval.objects.filter(void_at__isnull=True).count() == 0


def test_an_exercise_never_becomes_a_live_order(world: World) -> None:
    number = world.plan()

    with pytest.raises(ModeIsFixed):
        world.plan(number, mode="exercise")


def test_an_abandoned_order_takes_no_step_any_more(world: World) -> None:
    number = world.plan()
    actions.abandon(number, actor=world.actor("author"), now=world.now, because="Not needed.")

    with pytest.raises(StepNotAllowed):
        actions.submit(number, actor=world.actor("author"), now=world.now)


def test_an_unknown_number_offers_the_nearest(world: World) -> None:
    number = world.plan()
    wrong = number[:-1] + ("3" if number.endswith("2") else "2")

    with pytest.raises(OrderNotKnown) as refused:
        actions.submit(wrong, actor=world.actor("author"), now=world.now)

    assert number in str(refused.value)


def test_the_figures_of_a_plan_are_the_verdicts_of_doors_cell_by_cell(world: World) -> None:
    world.staff(7)
    world.staff(3, "absent")
    world.staff(2, "unobservable")
    stale = world.device("p7")
    world.observe(stale, "present")
    stale.observations.update(may_close=False)
    number = world.plan()
    revision = Revision.objects.get(order_id=number)
    document = document_of(revision)

    states = door_outlook.states_at_deadline(number, document.enforcement)
    closed = [
        decide(
            [
                cell.entry(
                    number,
                    closes_at=world.now,
                    noticed_at=world.now - MINIMUM_NOTICE,
                    lock_accepted_at=world.now - LOCK_NOTICE_LEAD,
                )
            ],
            states,
            world.now,
        ).closed
        for whole in cells_in_scope(document, now=world.now)
        for cell in whole.cells
        if cell.in_scope
    ]

    assert revision.plan["would_lose_mail"]["devices"] == sum(closed) == 7


def test_the_author_and_one_approver_get_what_everybody_gets(world: World) -> None:
    world.staff(6)

    number = world.plan(approvers=["legal@example.org", "council@example.org"])

    reasons = dict(Affected.objects.filter(order_id=number).values_list("person_id", "reason"))
    assert reasons[world.people["author"].pk] == "author"
    assert reasons[world.people["legal"].pk] == "approver"
    assert world.people["council"].pk not in reasons
    waves = dict(Affected.objects.filter(order_id=number).values_list("person_id", "wave"))
    assert waves[world.people["author"].pk] == waves[world.people["legal"].pk] == 0


def test_nothing_reaches_the_ledger_before_release(world: World) -> None:
    world.staff(3)

    world.approved()

    assert Mailing.objects.count() == 0
    assert Notice.objects.count() == 0
