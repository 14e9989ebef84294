"""Once loaded the ledger's functions, which the newest migration now loads whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notices", "0011_mail_limits")]

    operations = []
