"""Once loaded the ledger's functions, which the newest migration now loads whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notices", "0006_open_batches")]

    operations = []
