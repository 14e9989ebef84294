from pathlib import Path

import django.contrib.postgres.fields
from django.db import migrations, models

HERE = Path(__file__).parent
FORWARD = "".join(
    (HERE / name).read_text(encoding="utf-8") for name in ("ledger_verbs.sql", "ledger_guards.sql")
)
# Senders may be at work: they wait until this is done, and go on with what they have in hand.
WRITE_DOWN = """
LOCK TABLE notices_notice, notices_claimbatch, notices_openbatch IN ACCESS EXCLUSIVE MODE;
DO $$
DECLARE
    v_order text;
BEGIN
    FOR v_order IN SELECT DISTINCT b.order_number FROM notices_openbatch b LOOP
        PERFORM ledger_fold(v_order, NULL);
    END LOOP;
END
$$;
DELETE FROM notices_claimbatch;
"""
LIST = """
INSERT INTO notices_claimbatch
    (sender, order_number, kind, wave, epoch, notice_ids, permitted_ids)
SELECT n.claimed_by, n.order_number, n.kind, n.wave, n.epoch,
       coalesce(array_agg(n.id) FILTER (WHERE n.state = 'claimed'), '{}'),
       coalesce(array_agg(n.id) FILTER (WHERE n.state = 'permitted'), '{}')
FROM notices_notice n WHERE n.state IN ('claimed', 'permitted')
GROUP BY n.claimed_by, n.order_number, n.kind, n.wave, n.epoch;
INSERT INTO notices_duemail (notice_id, order_number, is_correction, kind, wave, due_at)
SELECT n.id, n.order_number, n.kind = 'correction', n.kind, n.wave, n.due_at
FROM notices_notice n
WHERE n.is_waiting AND (n.state = 'pending' OR n.attempts < 3 OR n.kind = 'correction');
"""
# What earlier versions left; a verb may have changed in a way that cannot be replaced.
BEFORE = "DROP FUNCTION IF EXISTS ledger_corrections(text);"
BACKWARD = """
DROP TRIGGER notices_queue_again ON notices_notice;
DROP TRIGGER notices_queue_born ON notices_notice;
DROP TRIGGER notices_guard_intent ON notices_openbatch;
DROP TRIGGER notices_guard_frozen ON notices_notice;
DROP TRIGGER notices_guard_notice ON notices_notice;
DROP TRIGGER notices_guard_birth ON notices_notice;
DROP TRIGGER notices_guard_mailing ON notices_mailing;
DROP FUNCTION notices_queue_again, notices_queue_born, notices_guard_intent,
    notices_guard_frozen, notices_guard_notice, notices_guard_birth, notices_guard_mailing;
DROP INDEX notices_permitbatch_by_order;
DROP FUNCTION ledger_evidence, ledger_corrections, ledger_settle, ledger_stop, ledger_catch_up,
    ledger_lock_exclusive, ledger_recover, ledger_exchange, ledger_note, ledger_claim,
    ledger_list_hands, ledger_write_down, ledger_fold, ledger_lock_hands, ledger_template,
    ledger_lease, ledger_mode, ledger_retry_after, ledger_refusal, ledger_lock_shared,
    ledger_lock_class;
"""
_IDS = django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list)


class Migration(migrations.Migration):
    dependencies = [("notices", "0008_heard_time")]

    operations = [
        migrations.RunSQL(WRITE_DOWN, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="DueMail",
            fields=[
                ("notice_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("order_number", models.CharField(max_length=12)),
                ("is_correction", models.BooleanField()),
                ("kind", models.CharField(max_length=12)),
                ("wave", models.IntegerField()),
                ("due_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(model_name="notice", name="notices_to_take"),
        *(
            migrations.AddField(model, name, field, preserve_default=False)
            for model, name, field in (
                ("claimbatch", "order_number", models.CharField(default="", max_length=12)),
                ("claimbatch", "kind", models.CharField(default="", max_length=12)),
                ("claimbatch", "wave", models.IntegerField(default=0)),
                ("claimbatch", "epoch", models.BigIntegerField(default=0)),
                ("claimbatch", "permitted_ids", _IDS),
                ("openbatch", "epoch", models.BigIntegerField(default=0)),
                ("openbatch", "digest", models.CharField(default="", max_length=64)),
            )
        ),
        migrations.RunSQL(LIST, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="duemail",
            index=models.Index(
                fields=["order_number", "is_correction", "due_at", "notice_id"],
                name="mails_to_take",
            ),
        ),
        # A row is written once more after its birth, in the same page: no index is touched then.
        migrations.RunSQL(
            "ALTER TABLE notices_notice SET (fillfactor = 45);",
            "ALTER TABLE notices_notice SET (fillfactor = 60);",
        ),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
