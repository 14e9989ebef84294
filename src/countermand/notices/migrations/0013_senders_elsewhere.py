"""Once loaded the ledger's functions, too, which the newest migration now loads whole."""

from django.db import migrations, models

# Senders called their machine by its name alone; each takes its lease anew within seconds.
LEASES = "DELETE FROM notices_senderlease"


class Migration(migrations.Migration):
    dependencies = [("notices", "0012_folds_by_number")]

    operations = [
        migrations.AddField(
            "mailing",
            "stop_hash",
            models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.RunSQL(LEASES, migrations.RunSQL.noop),
    ]
