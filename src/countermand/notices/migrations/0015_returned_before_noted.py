"""Once loaded the ledger's functions, which the newest migration now loads whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notices", "0014_claims_read_what_they_hand_out")]

    operations = []
