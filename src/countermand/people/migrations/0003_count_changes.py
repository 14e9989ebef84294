from django.db import migrations, models

FORWARD = """
    CREATE FUNCTION people_count_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO people_directorychanges AS known (id, changes) VALUES (1, 1)
        ON CONFLICT (id) DO UPDATE SET changes = known.changes + 1;
        RETURN NULL;
    END $$;
    CREATE TRIGGER people_count_change AFTER INSERT OR UPDATE OR DELETE ON people_person
        FOR EACH STATEMENT EXECUTE FUNCTION people_count_change();
"""
BACKWARD = """
    DROP TRIGGER people_count_change ON people_person;
    DROP FUNCTION people_count_change();
"""


class Migration(migrations.Migration):
    dependencies = [("people", "0002_directories")]

    operations = [
        migrations.CreateModel(
            name="DirectoryChanges",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("changes", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
