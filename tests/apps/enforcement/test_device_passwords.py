"""Passwords of devices: shown once, verified by Dovecot itself, gone at once when revoked."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from countermand.audit.models import Entry
from countermand.devices.models import Device
from countermand.domain.approvals import Role
from countermand.domain.device_password import shard_of
from countermand.domain.device_stages import Stage
from countermand.enforcement import (
    device_passwords,
    password_files,
    password_stages,
    queries,
)
from countermand.enforcement.device_passwords import (
    DeviceOfSomebodyElse,
    FilesNotWritten,
    LoginDoesNotFit,
    NotYourDevice,
    PasswordNotKnown,
    StillInFiles,
    TooEarly,
    TooManyPasswords,
)
from countermand.enforcement.models import DevicePassword
from countermand.enforcement.password_files import DeviceLine
from countermand.enforcement.password_stages import (
    GroupNotKnown,
    GroupNotKnownButNear,
    LeavesPeopleWithout,
)
from countermand.people import queries as people_queries
from countermand.people.models import Person
from countermand.people.queries import Actor, PersonView

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NewPerson = Callable[..., Person]


def person(uid: str = "asha", **facts: object) -> Person:
    given = {"groups": ["all-staff", "pilots"], "address": f"{uid}@amber.example", **facts}
    return Person.objects.create(uid=uid, name=uid.title(), **given)


def actor(person_id: int, *roles: Role) -> Actor:
    return Actor(person_id=person_id, name="", roles=frozenset(roles), outside_it=False)


HELP_DESK = actor(900, Role.HELP_DESK)
MAIL_ADMIN = actor(901, Role.MAIL_ADMIN)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "passwords"


@pytest.fixture
def asha(files: Path) -> Person:
    asha = person()
    password_stages.set_stage("pilots", Stage.VOLUNTEERS, actor=MAIL_ADMIN, now=NOW)
    return asha


def issue(who: Person, files: Path, **given: object) -> device_passwords.Issued:
    wanted = {"actor": HELP_DESK, "folder": files, "now": NOW, **given}
    return device_passwords.issue(who.pk, **wanted)  # type: ignore[arg-type]


def lines_of(files: Path, login: str = "asha@amber.example") -> list[list[str]]:
    path = files / "devices" / f"{shard_of(login):03x}"
    if not path.exists():
        return []
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def dovecot_verifies(stored: str, password: str) -> bool:
    answer = subprocess.run(
        ["doveadm", "pw", "-t", stored, "-p", password], check=False, capture_output=True
    )
    return answer.returncode == 0


def test_files_belong_to_the_group_that_the_folder_was_given(asha: Person, files: Path) -> None:
    group = 4242 if os.geteuid() == 0 else min(os.getgroups())
    issue(asha, files)
    os.chown(files, -1, group)

    issue(asha, files)
    device_passwords.follow(files, now=NOW)

    written = [path for path in files.rglob("*") if path.name != "lock"]
    assert {path.stat().st_gid for path in written} == {group}
    assert {path.stat().st_mode & 0o777 for path in written if path.is_file()} == {0o640}


def test_no_password_is_issued_that_the_mail_server_could_not_be_given(
    asha: Person, files: Path
) -> None:
    files.write_bytes(b"no folder")

    with pytest.raises(FilesNotWritten) as refused:
        issue(asha, files)
    files.unlink()

    assert refused.value.folder == str(files)
    assert not DevicePassword.objects.filter(revoked_at__isnull=True).exists()
    kept = issue(asha, files)
    assert [line[1] for line in lines_of(files)] == [kept.device_name]


def test_who_cannot_take_a_revoked_password_out_of_the_files_hears_so_and_may_try_again(
    asha: Person, files: Path
) -> None:
    lost = issue(asha, files)
    aside = files.rename(files.with_name("aside"))
    files.write_bytes(b"no folder")
    revoke = partial(
        device_passwords.revoke, lost.device_name, actor=HELP_DESK, folder=files, now=NOW
    )

    with pytest.raises(StillInFiles) as told:
        revoke()
    files.unlink()
    aside.rename(files)
    login = revoke()

    assert told.value.device_name == lost.device_name
    assert (login, lines_of(files)) == ("asha@amber.example", [])
    with pytest.raises(PasswordNotKnown):
        revoke()


def test_a_password_is_shown_once_and_kept_as_a_hash(asha: Person, files: Path) -> None:
    issued = issue(asha, files)

    row = DevicePassword.objects.get()
    assert row.hash.startswith("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$")
    secret = issued.text.removeprefix(f"{row.tag}-")
    everything = [str(value) for value in vars(row).values()]
    everything += [str(vars(entry)) for entry in Entry.objects.all()]
    everything += [path.read_text() for path in files.rglob("*") if path.is_file()]
    assert not [text for text in everything if secret in text]


@pytest.mark.skipif(shutil.which("doveadm") is None, reason="Dovecot is not installed")
def test_dovecot_itself_verifies_what_is_stored(asha: Person, files: Path) -> None:
    issued = issue(asha, files)
    [[_, _, stored, _]] = lines_of(files)

    assert dovecot_verifies(stored, issued.text)
    assert not dovecot_verifies(stored, f"{issued.text}x")
    assert not dovecot_verifies(stored, issued.text.upper())


def test_the_mail_server_finds_it_before_the_call_returns(asha: Person, files: Path) -> None:
    first, second = issue(asha, files), issue(asha, files)

    found = lines_of(files)

    assert {(login, name) for login, name, _, _ in found} == {
        ("asha@amber.example", first.device_name),
        ("asha@amber.example", second.device_name),
    }
    assert {tag for *_, tag in found} == {first.text[:4], second.text[:4]}


def test_a_revoked_one_is_gone_at_once_and_the_other_stays(asha: Person, files: Path) -> None:
    lost, kept = issue(asha, files), issue(asha, files)

    device_passwords.revoke(lost.device_name, actor=HELP_DESK, folder=files, now=NOW)

    assert [name for _, name, _, _ in lines_of(files)] == [kept.device_name]
    with pytest.raises(PasswordNotKnown):
        device_passwords.revoke(lost.device_name, actor=HELP_DESK, folder=files, now=NOW)


def test_a_mail_server_may_spell_a_domain_in_its_own_letters(asha: Person, files: Path) -> None:
    spellings = ("ram@xn--p1b6ci4b4b3a.xn--h2brj9c", "ram@उदाहरण.भारत")
    ram = person("ram", address=spellings[0])
    issue(asha, files)
    issued = issue(ram, files)

    for login in spellings:
        found = [line for line in lines_of(files, login) if line[0] == login]
        assert [name for _, name, _, _ in found] == [issued.device_name]
    assert device_passwords.passwd_file(files / "once", now=NOW) == 2  # Asha's and Ram's

    password_stages.set_stage("pilots", Stage.MAIN_PASSWORD_LIMITED, actor=MAIL_ADMIN, now=NOW)
    device_passwords.follow(files, now=NOW + HOUR)
    for login in spellings:
        limited = files / "limited" / f"{shard_of(login):03x}"
        assert login in limited.read_text(encoding="utf-8").splitlines()

    device_passwords.revoke(issued.device_name, actor=HELP_DESK, folder=files, now=NOW)
    for login in spellings:
        assert not [line for line in lines_of(files, login) if line[0] == login]


def named(files: Path, login: str) -> list[str]:
    return [name for own, name, _, _ in lines_of(files, login) if own == login]


def limited(files: Path, login: str) -> bool:
    path = files / "limited" / f"{shard_of(login):03x}"
    return path.exists() and login in path.read_text(encoding="utf-8").splitlines()


def test_a_password_stands_under_every_login_of_its_person(asha: Person, files: Path) -> None:
    ben = person("ben", logins=["shared"])
    Person.objects.filter(pk=asha.pk).update(logins=["averma", "shared", "a/b", "a b"])
    first, second, bens = issue(asha, files), issue(asha, files), issue(ben, files)
    both = [first.device_name, second.device_name]

    assert named(files, asha.address) == named(files, "averma") == both
    for nobodys in ("shared", "a/b", "a b"):  # what no line can hold, no line does
        assert named(files, nobodys) == []
    assert device_passwords.passwd_file(files / "once", now=NOW) == 3
    device_passwords.revoke(first.device_name, actor=HELP_DESK, folder=files, now=NOW)
    assert named(files, "averma") == [second.device_name]

    password_stages.set_stage("pilots", Stage.MAIN_PASSWORD_LIMITED, actor=MAIL_ADMIN, now=NOW)
    device_passwords.follow(files, now=NOW + HOUR)
    assert limited(files, "averma")
    assert not limited(files, "shared")

    Person.objects.filter(pk=asha.pk).update(logins=["shared"])
    Person.objects.filter(pk=ben.pk).update(logins=["averma"])
    device_passwords.follow(files, now=NOW + HOUR)
    assert named(files, asha.address) == named(files, "shared") == [second.device_name]
    assert named(files, "averma") == [bens.device_name]


def test_a_change_of_one_password_keeps_the_logins_of_others_in_the_same_file(
    asha: Person, files: Path
) -> None:
    Person.objects.filter(pk=asha.pk).update(logins=["averma"])
    of_asha = issue(asha, files)
    near = next(n for n in range(100_000) if shard_of(f"p{n}@amber.example") == shard_of("averma"))
    neighbour = person("neighbour", address=f"p{near}@amber.example")

    of_neighbour = issue(neighbour, files)

    assert named(files, "averma") == [of_asha.device_name]
    assert named(files, neighbour.address) == [of_neighbour.device_name]


def test_everybody_acts_for_themselves_and_the_help_desk_for_all(asha: Person, files: Path) -> None:
    ravi = person("ravi")
    own = issue(asha, files, actor=actor(asha.pk))

    with pytest.raises(NotYourDevice):
        issue(asha, files, actor=actor(ravi.pk))
    with pytest.raises(NotYourDevice):
        issue(asha, files, actor=actor(ravi.pk, Role.AUDITOR))
    with pytest.raises(NotYourDevice):
        device_passwords.revoke(own.device_name, actor=actor(ravi.pk), folder=files, now=NOW)
    assert device_passwords.revoke(
        own.device_name, actor=actor(asha.pk), folder=files, now=NOW
    ) == (asha.address)


def test_nobody_gets_one_before_their_group_has_begun(files: Path) -> None:
    with pytest.raises(TooEarly):
        issue(person("early", groups=["all-staff"]), files)

    assert not DevicePassword.objects.exists()


def test_whoever_has_left_gets_none_and_loses_what_they_have(asha: Person, files: Path) -> None:
    issue(asha, files)
    device_passwords.follow(files, now=NOW)
    assert lines_of(files)

    Person.objects.filter(pk=asha.pk).update(left_on=NOW.date())
    device_passwords.follow(files, now=NOW + HOUR)

    assert lines_of(files) == []
    with pytest.raises(LoginDoesNotFit):
        issue(asha, files)


def test_ten_are_enough_for_one_person(
    asha: Person, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_files, "hashed", lambda text: f"{{ARGON2ID}}{len(text)}")
    for _ in range(device_passwords.MOST_FOR_ONE_PERSON):
        issue(asha, files)

    with pytest.raises(TooManyPasswords):
        issue(asha, files)


def test_a_password_is_for_a_device_of_that_person_alone(asha: Person, files: Path) -> None:
    ravi = person("ravi")
    device = Device.objects.create(
        person_id=asha.pk, source="csv", source_device_id="d1", platform="ios", name="iPhone"
    )

    issued = issue(asha, files, device="d1")
    with pytest.raises(DeviceOfSomebodyElse):
        issue(ravi, files, device="d1")

    assert issued.device_name.startswith("phone-")
    assert queries.door_names([device.pk]) == {device.pk: (issued.device_name,)}
    assert [row.label for row in queries.passwords_of(asha.pk)] == ["iPhone"]


def test_the_files_follow_an_address_that_changes(asha: Person, files: Path) -> None:
    issued = issue(asha, files)
    Person.objects.filter(pk=asha.pk).update(address="asha.rao@amber.example")
    person("somebody-new")  # as after an import: the stamp of people is another one

    device_passwords.follow(files, now=NOW + HOUR)

    assert lines_of(files) == []
    assert [name for _, name, _, _ in lines_of(files, "asha.rao@amber.example")] == [
        issued.device_name
    ]


def test_the_sweep_finishes_what_a_cut_off_call_has_not_written(asha: Person, files: Path) -> None:
    issue(asha, files)
    device_passwords.follow(files, now=NOW)
    for path in (files / "devices").iterdir():
        path.unlink()

    device_passwords.follow(files, now=NOW + timedelta(minutes=1))

    assert len(lines_of(files)) == 1


def test_only_the_last_stage_limits_the_main_password(asha: Person, files: Path) -> None:
    def limited() -> list[str]:
        return [line for path in (files / "limited").iterdir() for line in path.read_text().split()]

    person("elsewhere", groups=["all-staff"])
    device_passwords.follow(files, now=NOW)
    assert limited() == []

    issue(asha, files)
    password_stages.set_stage("pilots", Stage.MAIN_PASSWORD_LIMITED, actor=MAIL_ADMIN, now=NOW)
    device_passwords.follow(files, now=NOW)
    assert limited() == [asha.address]

    password_stages.set_stage("pilots", Stage.NEW_DEVICES, actor=MAIL_ADMIN, now=NOW)
    device_passwords.follow(files, now=NOW)
    assert limited() == []


def test_the_help_desk_moves_no_group(asha: Person) -> None:
    with pytest.raises(password_stages.StageNotYours):
        password_stages.set_stage("pilots", Stage.NEW_DEVICES, actor=HELP_DESK, now=NOW)


@pytest.mark.parametrize(
    ("typed", "error", "told"),
    [("pilosts", GroupNotKnownButNear, "“pilots”"), ("al", GroupNotKnown, "how it is written")],
)
def test_a_group_that_nobody_is_in_is_refused(
    asha: Person, typed: str, error: type[GroupNotKnown], told: str
) -> None:
    person("gone", left_on=NOW.date(), groups=["pilosts", "al"])

    with pytest.raises(error) as refused:
        password_stages.set_stage(typed, Stage.MAIN_PASSWORD_LIMITED, actor=MAIL_ADMIN, now=NOW)

    assert told in refused.value.remedy.format(**refused.value.facts())
    assert typed not in queries.stages()


def test_a_group_that_has_gone_empty_can_be_moved_back(asha: Person) -> None:
    Person.objects.filter(pk=asha.pk).update(groups=[])

    password_stages.set_stage("pilots", Stage.ACTIVESYNC_ONLY, actor=MAIL_ADMIN, now=NOW)

    assert queries.stages() == {"pilots": Stage.ACTIVESYNC_ONLY}


@pytest.mark.parametrize(("group", "counted"), [("pilots", (2, 3)), ("*", (3, 4))])
def test_people_without_a_device_password_are_limited_only_when_it_is_asked_for(
    asha: Person, files: Path, group: str, counted: tuple[int, int]
) -> None:
    for uid in ("ravi", "ben"):
        person(uid)
    person("elsewhere", groups=["all-staff"])
    person("gone", left_on=NOW.date())
    issue(asha, files)
    limit = partial(
        password_stages.set_stage, group, Stage.MAIN_PASSWORD_LIMITED, actor=MAIL_ADMIN, now=NOW
    )

    with pytest.raises(LeavesPeopleWithout) as refused:
        limit()
    assert (refused.value.without, refused.value.people) == counted
    assert queries.stages().get(group) is not Stage.MAIN_PASSWORD_LIMITED

    limit(even_without=True)
    assert queries.stages()[group] is Stage.MAIN_PASSWORD_LIMITED
    limit()  # nobody is limited who was not before


def test_it_is_counted_who_stands_where(asha: Person, files: Path) -> None:
    person("ravi")
    person("elsewhere", groups=["all-staff"])
    person("gone", left_on=NOW.date())
    issue(asha, files)

    found = {each.stage: each for each in password_stages.standings(now=NOW)}

    volunteers = found[Stage.VOLUNTEERS]
    assert (volunteers.people, volunteers.with_password, volunteers.without_password) == (2, 1, 1)
    assert found[Stage.ACTIVESYNC_ONLY].people == 1
    assert list(found) == list(Stage)


def test_the_passwd_file_names_the_device_in_the_login(asha: Person, files: Path) -> None:
    issued = issue(asha, files)
    path = files / "passwd"

    assert device_passwords.passwd_file(path, now=NOW) == 1

    login, stored, *_, extra = path.read_text().strip().split(":")
    assert login == f"asha@amber.example/{issued.device_name}"
    assert stored.startswith("{ARGON2ID}")
    assert extra == (
        f"user=asha@amber.example user_device={issued.device_name}"
        f" userdb_user_device={issued.device_name} nodelay=y"
    )
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_passwd_file_follows_once_it_is_there(asha: Person, files: Path) -> None:
    lost, kept = issue(asha, files), issue(asha, files)
    assert not (files / "passwd").exists()  # nobody asked for it yet

    path, count = device_passwords.keep_up_passwd_file(files, now=NOW)
    assert (path, count) == (files / "passwd", 2)
    device_passwords.revoke(lost.device_name, actor=HELP_DESK, folder=files, now=NOW)
    assert lost.device_name not in path.read_text()
    assert kept.device_name in path.read_text()

    later = issue(asha, files)
    assert later.device_name in path.read_text()


@pytest.mark.parametrize("named", ["", "passwd", "devices/../passwd"])
def test_nobody_revokes_between_reading_and_writing_the_passwd_file(
    asha: Person, files: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    issue(asha, files)
    file = files / named if named else None
    read, write = people_queries.by_ids, password_files.write_passwd_file
    is_held: list[bool] = []

    def look() -> None:
        """Try to take the folder, as a revocation does."""
        with (files / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_held.append(True)
            else:
                is_held.append(False)

    def watched_read(ids: Iterable[int]) -> Mapping[int, PersonView]:
        look()
        return read(ids)

    def watched_write(path: Path, lines: Sequence[DeviceLine]) -> bool:
        look()
        return write(path, lines)

    monkeypatch.setattr(people_queries, "by_ids", watched_read)
    monkeypatch.setattr(password_files, "write_passwd_file", watched_write)

    device_passwords.export_passwd_file(file, folder=files, now=NOW)

    assert is_held == [True, True]


def test_another_file_is_written_this_once_and_without_the_folder(
    asha: Person, files: Path, tmp_path: Path
) -> None:
    issued = issue(asha, files)

    written, count = device_passwords.export_passwd_file(tmp_path / "once", folder=files, now=NOW)

    assert (written, count) == (tmp_path / "once", 1)
    assert issued.device_name in written.read_text()
    assert not (files / "passwd").exists()


def test_whoever_leaves_on_a_day_that_was_told_before_is_in_no_file(
    asha: Person, files: Path
) -> None:
    leaving = person("leaving", left_on=NOW.date() + timedelta(days=2))
    issue(leaving, files)
    for days in (0, 1):
        device_passwords.follow(files, now=NOW + timedelta(days=days))
    assert len(lines_of(files, leaving.address)) == 1

    device_passwords.follow(files, now=NOW + timedelta(days=3))

    assert lines_of(files, leaving.address) == []


def test_nothing_is_written_as_long_as_nobody_uses_device_passwords(files: Path) -> None:
    assert device_passwords.follow(files, now=NOW) == 0
    assert not files.exists()


def test_a_folder_that_a_mail_server_looks_into_is_begun_before_anybody_has_a_password(
    files: Path,
) -> None:
    """The script takes a folder without a form for a fault, and every wrong password with it."""
    files.mkdir()

    device_passwords.follow(files, now=NOW)

    assert password_files.state(files)["form"] == password_files.FORM
    assert device_passwords.follow(files, now=NOW) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files in others' folders")
def test_what_root_writes_belongs_to_whoever_the_folder_belongs_to(
    asha: Person, files: Path
) -> None:
    """Somebody runs one command as root, and the worker goes on as itself."""
    files.mkdir()
    os.chown(files, 65_123, -1)

    issue(asha, files)
    device_passwords.follow(files, now=NOW)

    assert {path.stat().st_uid for path in files.rglob("*")} == {65_123}


def test_a_label_may_be_as_long_as_somebody_likes(asha: Person, files: Path) -> None:
    issue(asha, files, label=" Asha's phone, " + "the blue one " * 20)

    [row] = queries.passwords_of(asha.pk)
    assert row.label.startswith("Asha's phone, the blue one")
    assert len(row.label) == 100
