"""Once loaded the ledger's functions, too, which the newest migration now loads whole."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notices", "0009_lost_lines")]

    operations = [
        migrations.AddField(
            model_name="notice",
            name="claim",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="claimbatch",
            name="claim",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="claimbatch",
            name="heard",
            field=models.BooleanField(db_default=True),
        ),
        migrations.AddField(
            model_name="openbatch",
            name="claims",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), db_default=[], size=None
            ),
        ),
    ]
