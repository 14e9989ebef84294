from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notices", "0004_quick_ledger")]

    operations = [
        migrations.RemoveConstraint(model_name="notice", name="one_notice_each"),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(
                fields=("order_number", "person_id", "kind", "step", "revision_number", "address"),
                name="one_notice_each",
            ),
        ),
        migrations.RemoveIndex(model_name="notice", name="notices_by_person"),
    ]
