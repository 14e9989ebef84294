"""Once made the guards of the ledger, which the newest migration now loads whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notices", "0002_ledger_functions")]

    operations = []
