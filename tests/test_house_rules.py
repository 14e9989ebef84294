"""The rules of the house that neither ruff, mypy nor import-linter can see."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "countermand"
# Feature apps from the ground floor up; the ones on one floor do not know each other.
FLOORS = (
    {"audit"},
    {"catalogue", "people"},
    {"devices"},
    {"enforcement", "notices"},
    {"orders"},
)
APPS = frozenset().union(*FLOORS)
# One table is touched by a function that is not its app's: the permit (docs/decisions).
LEAN = ("countermand.gate", "countermand.sender", "countermand.stop")


def modules(folder: Path = PACKAGE) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    """The first folder below the package, or the name of a module that lies right in it."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def loaded_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `statement`."""
    answer = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print('\\n'.join(sys.modules))"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return set(answer.stdout.split())


def every_module_of(package: str) -> str:
    """A statement that imports a package with everything in it."""
    folder = ROOT / "src" / Path(*package.split("."))
    names = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in modules(folder)
        if path.name != "__main__.py"
    ]
    return f"import {', '.join(names)}"


@pytest.mark.parametrize("package", LEAN)
def test_a_lean_process_never_loads_django(package: str) -> None:
    loaded = loaded_after(every_module_of(package))

    assert "django" not in loaded


def test_the_stop_path_loads_the_standard_library_alone() -> None:
    before = loaded_after("pass")

    loaded = {name.split(".")[0] for name in loaded_after(every_module_of("countermand.stop"))}

    ours_and_theirs = loaded - {name.split(".")[0] for name in before} - sys.stdlib_module_names
    assert ours_and_theirs <= {"countermand"}


def test_the_domain_imports_nothing_of_ours_but_itself() -> None:
    foreign = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(PACKAGE / "domain")
        for name in imported(path)
        if name.startswith("countermand.") and not name.startswith("countermand.domain")
    }

    assert foreign == set()


def test_a_table_is_touched_by_its_own_app_alone() -> None:
    trespassers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name in imported(path)
        if (match := re.match(r"countermand\.(\w+)\.models\b", name)) and match[1] != room_of(path)
    }

    assert trespassers == set()


def test_no_connector_knows_another() -> None:
    folder = PACKAGE / "connectors"
    acquaintances = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(folder)
        for name in imported(path)
        if (match := re.match(r"countermand\.connectors\.(\w+)", name))
        and path.parent != folder
        and match[1] != path.relative_to(folder).parts[0]
    }

    assert acquaintances == set()


def foreign_keys() -> Iterator[tuple[str, str, str]]:
    """App, app that is pointed at, and the place, for every relation in a models file."""
    for app in sorted(APPS):
        path = PACKAGE / app / "models.py"
        if not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in {"ForeignKey", "OneToOneField", "ManyToManyField"}:
                continue
            target = node.args[0] if node.args else None
            label = target.value if isinstance(target, ast.Constant) else ""
            other = str(label).split(".")[0] if "." in str(label) else app
            yield app, other, f"{app}/models.py:{node.lineno}"


def test_foreign_keys_point_only_downstairs() -> None:
    floor = {app: number for number, apps in enumerate(FLOORS) for app in apps}

    upstairs = [
        f"{place} points at {other}"
        for app, other, place in foreign_keys()
        if other in floor and app != other and floor[other] >= floor[app]
    ]

    assert upstairs == []


# `now` reaches a rule as an argument. A database's clock may say when a row was written or
# whether a lease still holds; it may never decide anything about a person.
SQL_CLOCK = re.compile(
    r"\b(now\(\)|current_timestamp|clock_timestamp\(\)|statement_timestamp\(\)|localtimestamp)",
    re.IGNORECASE,
)


def test_no_rule_in_sql_asks_the_database_for_the_time_unless_a_comment_says_why() -> None:
    clocks = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.sql"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if SQL_CLOCK.search(line.split("--")[0]) and "-- clock:" not in line
    ]

    assert clocks == []


# What would let somebody wipe a device: the verbs of the programming interfaces and of ActiveSync.
WIPE = re.compile(
    r"remote_?wipe|wipe_?device|device_?wipe|factory_?reset|erase_?device|\bwipe\(|"
    r"EraseDevice|RemoteWipe|AccountOnlyRemoteWipe|retire_?device",
    re.IGNORECASE,
)
# A gate that refuses says 403; these would make a phone ask for the password, or delete its mail.
FORBIDDEN_STATUS = re.compile(r"\b(401|449|500)\b|UNAUTHORIZED|INTERNAL_SERVER_ERROR")


def test_the_code_has_no_word_for_wiping_a_device() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WIPE.search(line)
    ]

    assert places == []


def test_the_gate_knows_no_status_that_asks_for_a_password_or_means_an_outage() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules(PACKAGE / "gate")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and FORBIDDEN_STATUS.search(node.attr))
        or (isinstance(node, ast.Constant) and node.value in {401, 449, 500})
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | bytes)
            and re.match(r"(HTTP/1\.[01] )?(401|449|500)\b", text_of(node.value))
        )
    ]

    assert places == []


def text_of(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_the_type_checker_knows_the_apps_that_the_project_has() -> None:
    def installed(path: Path) -> list[str]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INSTALLED_APPS":
                return [str(name) for name in ast.literal_eval(node.value)]
        return []

    of_project = installed(PACKAGE / "project" / "settings.py")
    of_type_checker = installed(ROOT / "tools" / "typing_settings.py")

    assert of_project == of_type_checker
