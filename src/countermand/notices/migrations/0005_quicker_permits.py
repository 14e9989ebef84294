from pathlib import Path

from django.db import migrations, models

FORWARD = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
BEFORE = Path(__file__).with_name("0004_quick_ledger.sql").read_text(encoding="utf-8")
_BEGIN = BEFORE.index("CREATE OR REPLACE FUNCTION ledger_exchange(")
BACKWARD = (
    BEFORE[_BEGIN : BEFORE.index("\n$$;\n", _BEGIN) + 5]
    + """
CREATE OR REPLACE TRIGGER notices_guard_notice BEFORE UPDATE ON notices_notice
    FOR EACH ROW
    WHEN (NEW.exposure < OLD.exposure
          OR (NEW.state = 'permitted' AND OLD.state IS DISTINCT FROM 'permitted'))
    EXECUTE FUNCTION notices_guard_notice();
"""
)


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
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
