"""A small office in July 2020: eight people, whom one order reaches as the people in charge do it.

Everything goes through the commands and the clock of `demo.stage`, on a Countermand that `up` runs.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from demo.stage import Stage
from demo.story import AUDITOR, OPERATOR, ROLES

EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "july-2020"
BEGIN = datetime(2020, 7, 13, 3, 0, tzinfo=UTC)
EVE = datetime(2020, 7, 23, 1, 0, tzinfo=UTC)
LOCK = datetime(2020, 7, 23, 10, 40, tzinfo=UTC)  # five minutes before the last notice in India
DEADLINE = datetime(2020, 7, 23, 11, 30, tzinfo=UTC)  # 17:00 in India
CARRIERS: Final = ("asha", "kavya")  # both live in India, and read Hindi
_APPROVERS: Final = ("siobhan.oneil@example.org", "kavya.iyer@example.org")
_AUTHOR: Final = "lena.brandt@example.org"


def staff() -> dict[str, str]:
    """Return everybody's login by first name."""
    with (EXAMPLES / "people.csv").open(encoding="utf-8") as rows:
        logins = [row["email"] for row in csv.DictReader(rows)]
    return {login.partition(".")[0]: login for login in logins}


@dataclass
class Office:
    """Countermand, and the order that it carries out here."""

    stage: Stage
    number: str = ""

    def walk_to(self, told: datetime) -> None:
        """Let the clock hurry to that moment, and walk from there."""
        stretch_s = (told - self.stage.now()).total_seconds()
        self.stage.run_clock_to(told, rate=max(14_400.0, stretch_s / 2.0))

    def phase(self) -> str:
        """Return where the order stands."""
        shown = self.stage.countermand("order", "show", self.number, actor=AUDITOR).json
        return str(shown["phase"])

    def wait_for_phase(self, *phases: str) -> None:
        """Wait until the order stands there."""
        self.stage.wait_until(str(phases), lambda: self.phase() in phases, every_s=0.3)

    def import_devices(self, folder: Path, as_of: datetime) -> None:
        """Load an inventory of everybody's phone; two of them carry the app."""
        devices, apps = folder / "devices.csv", folder / "apps.csv"
        seen = as_of.isoformat()
        with devices.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            names = "device_id owner_email platform ownership last_seen eas_device_id"
            rows.writerow([*names.split(), "device_password_id", "inventory_at", "coverage"])
            for name, login in staff().items():
                ids = (f"d-{name}", login, "android", "corporate", seen, f"phone0of{name}")
                rows.writerow([*ids, f"password-{name}", seen, "full"])
        with apps.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["device_id", "app_id", "app_name", "version", "seen_at"])
            for name in staff():
                carried = ("com.zhiliaoapp.musically", "TikTok", "16.6.4")
                other = ("org.example.payroll", "Payroll", "1.0")
                rows.writerow([f"d-{name}", *(carried if name in CARRIERS else other), seen])
        words = ("--source", "csv", "--as-of", seen)
        self.stage.countermand("import", "devices", *words, str(devices), str(apps))

    def give_out_the_notice(self, folder: Path) -> None:
        """From the file of the order to everybody told, as the people in charge do it."""
        stage = self.stage
        stage.countermand("import", "people", str(EXAMPLES / "people.csv"))
        for person, role, options in ROLES:
            stage.countermand("staff", "grant", person, role, *options)
            stage.tokens[person] = stage.countermand("staff", "token", person).json["token"]
        plan = ("order", "plan", str(EXAMPLES / "order-done-rightly.yaml"))
        self.number = str(stage.countermand(*plan, actor=_AUTHOR).json["number"])
        self.import_devices(folder, BEGIN - timedelta(hours=1))
        stage.countermand(*plan, "--number", self.number, actor=_AUTHOR)
        stage.countermand("order", "submit", self.number, actor=_AUTHOR)
        for approver in _APPROVERS:
            stage.countermand("order", "review", self.number, actor=approver)
            stage.countermand("order", "approve", self.number, actor=approver)
        stage.countermand("order", "release", self.number, actor=OPERATOR)
        for _ in range(8):
            self.walk_to(stage.now() + timedelta(hours=2))
            if self.phase() in {"notified", "enforcing"}:
                break
        self.wait_for_phase("notified", "enforcing")

    def reach_the_deadline(self, folder: Path) -> None:
        """A last inventory, the last notice, and the deadline in India."""
        self.walk_to(EVE)
        self.import_devices(folder, EVE)
        self.walk_to(LOCK)
        self.walk_to(DEADLINE + timedelta(minutes=20))
        self.wait_for_phase("enforcing")
