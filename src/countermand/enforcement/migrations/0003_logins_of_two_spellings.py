"""An index of the few logins that have two spellings, so that no change looks at all passwords."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("enforcement", "0002_device_passwords_counts_and_endings")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="devicepassword",
            index=models.Index(
                fields=["login"],
                condition=models.Q(login__contains="xn--"),
                name="password_by_two_spellings",
            ),
        ),
    ]
