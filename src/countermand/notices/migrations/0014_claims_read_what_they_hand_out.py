"""Once loaded the ledger's functions, too, which the newest migration now loads whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notices", "0013_senders_elsewhere")]

    operations = [
        # A mail's row is written twice while it leaves. Where a page has room for both, the second
        # writing leaves the indexes alone.
        migrations.RunSQL(
            "ALTER TABLE notices_notice SET (fillfactor = 50)",
            "ALTER TABLE notices_notice RESET (fillfactor)",
        ),
    ]
