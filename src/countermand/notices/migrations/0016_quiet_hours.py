from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
FORWARD = "".join(
    (HERE / name).read_text(encoding="utf-8") for name in ("ledger_verbs.sql", "ledger_guards.sql")
)
# What earlier versions left; a verb may have changed in a way that cannot be replaced.
BEFORE = """
DROP FUNCTION IF EXISTS ledger_corrections(text);
DROP FUNCTION IF EXISTS
    ledger_note(text, text, bigint[], bigint[], text[], text[], timestamptz);
"""
BACKWARD = """
DROP TRIGGER notices_guard_intent ON notices_openbatch;
DROP TRIGGER notices_guard_frozen ON notices_notice;
DROP TRIGGER notices_guard_notice ON notices_notice;
DROP TRIGGER notices_guard_birth ON notices_notice;
DROP TRIGGER notices_guard_mailing ON notices_mailing;
DROP FUNCTION notices_guard_intent, notices_guard_frozen, notices_guard_notice,
    notices_guard_birth, notices_guard_mailing;
DROP INDEX notices_permitbatch_by_order;
DROP FUNCTION ledger_evidence, ledger_corrections, ledger_settle, ledger_stop, ledger_catch_up,
    ledger_lock_exclusive, ledger_lock_limits, ledger_next, ledger_keep_limits, ledger_keep_quiet,
    ledger_day_begins, ledger_recover,
    ledger_note, ledger_fold, ledger_take_unheard_back,
    ledger_exchange(text, bigint[], bigint[], text[], text[], text[], bigint[], timestamptz),
    ledger_exchange(text, bigint[], bigint[], bigint[], bigint[], text[], text[], text[],
                    bigint[], bigint[], timestamptz),
    ledger_claim(text, integer, timestamptz),
    ledger_claim(text, integer, bigint, bigint, timestamptz),
    ledger_template, ledger_lease, ledger_leave, ledger_stop_hashes, ledger_mode,
    ledger_retry_after, ledger_refusal, ledger_lock_senders, ledger_lock_shared, ledger_lock_class;
"""


class Migration(migrations.Migration):
    dependencies = [("notices", "0015_returned_before_noted")]

    operations = [
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
