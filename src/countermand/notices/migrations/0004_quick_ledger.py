import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notices", "0003_ledger_guards")]

    operations = [
        migrations.CreateModel(
            name="ClaimBatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sender", models.CharField(max_length=60)),
                (
                    "notice_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="claimbatch",
            index=models.Index(fields=["sender"], name="claim_batches_by_sender"),
        ),
        migrations.RemoveIndex(model_name="notice", name="notices_to_take"),
        migrations.RemoveIndex(model_name="notice", name="notices_in_hand"),
        migrations.AddField(
            model_name="notice",
            name="is_waiting",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Q(("state__in", ["pending", "maybe"])),  # type: ignore[arg-type]
                output_field=models.BooleanField(),
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(
                condition=models.Q(("is_waiting", True)),
                fields=["order_number", "due_at", "id"],
                name="notices_to_take",
            ),
        ),
        migrations.AlterField(
            model_name="notice",
            name="message_id",
            field=models.CharField(max_length=200),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(fields=("message_id",), name="one_message_id"),
        ),
        migrations.RunSQL(
            "ALTER TABLE notices_notice SET (fillfactor = 60);",
            "ALTER TABLE notices_notice RESET (fillfactor);",
        ),
    ]
