from pathlib import Path

from django.db import migrations

FORWARD = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
BACKWARD = """
DROP FUNCTION ledger_evidence, ledger_corrections, ledger_settle, ledger_stop,
    ledger_lock_exclusive, ledger_recover, ledger_exchange, ledger_claim, ledger_template,
    ledger_lease, ledger_mode, ledger_retry_after, ledger_refusal, ledger_lock_shared,
    ledger_lock_class;
"""


class Migration(migrations.Migration):
    dependencies = [("notices", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
