from pathlib import Path

from django.db import migrations

FORWARD = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
BACKWARD = """
DROP TRIGGER notices_guard_frozen ON notices_notice;
DROP TRIGGER notices_guard_notice ON notices_notice;
DROP TRIGGER notices_guard_birth ON notices_notice;
DROP TRIGGER notices_guard_mailing ON notices_mailing;
DROP FUNCTION notices_guard_frozen, notices_guard_notice, notices_guard_birth, notices_guard_mailing;
DROP INDEX notices_permitbatch_by_order;
"""


class Migration(migrations.Migration):
    dependencies = [("notices", "0002_ledger_functions")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
