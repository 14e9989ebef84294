from django.db import migrations, models

# The row of a source is held while it is loaded, as its own lock is; that of the answers for as
# long as one answer takes.
FORWARD = """
    CREATE FUNCTION devices_learn(what text) RETURNS void LANGUAGE sql AS $$
        INSERT INTO devices_learned AS known (topic, times) VALUES (what, 1)
        ON CONFLICT (topic) DO UPDATE SET times = known.times + 1;
    $$;
    CREATE FUNCTION devices_learn_run() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM devices_learn('run ' || NEW.source);
        RETURN NULL;
    END $$;
    CREATE FUNCTION devices_learn_topic() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM devices_learn(TG_ARGV[0]);
        RETURN NULL;
    END $$;
    CREATE TRIGGER devices_learn_run AFTER INSERT ON devices_importrun
        FOR EACH ROW EXECUTE FUNCTION devices_learn_run();
    CREATE TRIGGER devices_learn_answer AFTER INSERT OR UPDATE OR DELETE ON devices_attestation
        FOR EACH STATEMENT EXECUTE FUNCTION devices_learn_topic('said');
    CREATE TRIGGER devices_learn_custodian AFTER UPDATE OF custodian_id ON devices_device
        FOR EACH ROW WHEN (OLD.custodian_id IS DISTINCT FROM NEW.custodian_id)
        EXECUTE FUNCTION devices_learn_topic('custodian');
"""
BACKWARD = """
    DROP TRIGGER devices_learn_custodian ON devices_device;
    DROP TRIGGER devices_learn_answer ON devices_attestation;
    DROP TRIGGER devices_learn_run ON devices_importrun;
    DROP FUNCTION devices_learn_topic();
    DROP FUNCTION devices_learn_run();
    DROP FUNCTION devices_learn(text);
"""


class Migration(migrations.Migration):
    dependencies = [("devices", "0003_hints_and_same_phone")]

    operations = [
        migrations.CreateModel(
            name="Learned",
            fields=[
                ("topic", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("times", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
