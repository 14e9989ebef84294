-- What no program may do to the ledger, by whatever way it comes.

CREATE OR REPLACE FUNCTION notices_guard_frozen() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.order_number, NEW.revision_number, NEW.kind, NEW.step, NEW.person_id, NEW.address,
        NEW.language, NEW.wave, NEW.template_id, NEW.values, NEW.message_id, NEW.in_reply_to,
        NEW.dated_at)
       IS DISTINCT FROM
       (OLD.order_number, OLD.revision_number, OLD.kind, OLD.step, OLD.person_id, OLD.address,
        OLD.language, OLD.wave, OLD.template_id, OLD.values, OLD.message_id, OLD.in_reply_to,
        OLD.dated_at)
    THEN
        RAISE EXCEPTION 'a mail is frozen at birth' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

-- The same guard without a search path of its own, whose setting cost more than the look itself:
-- senders come here only through verbs that have set theirs.
CREATE OR REPLACE FUNCTION notices_guard_notice() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.exposure < OLD.exposure AND NOT (
        -- the dot was provably not written, or the server refused it
        (OLD.state = 'permitted' AND NEW.exposure = OLD.exposure_before
            AND NEW.state IN ('pending', 'refused', 'maybe'))
        -- the relay took this copy out of its queue undelivered
        OR (OLD.state = 'sent' AND NEW.state = 'pulled_queue'
            AND NEW.exposure = OLD.exposure_before AND EXISTS (
                SELECT 1 FROM public.notices_noticeevidence e
                WHERE e.notice_id = OLD.id AND e.kind = 'pulled_from_queue'))
        -- the relay's complete log shows that it took no copy
        OR (OLD.state = 'maybe' AND NEW.state IN ('pending', 'skipped') AND EXISTS (
                SELECT 1 FROM public.notices_noticeevidence e
                WHERE e.notice_id = OLD.id AND e.kind = 'relay_log_not_accepted'))
    ) THEN
        RAISE EXCEPTION 'who got a mail is never made less certain without proof'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'permitted' AND OLD.state <> 'permitted' AND NOT EXISTS (
        SELECT 1 FROM public.notices_mailing m
        WHERE m.order_number = NEW.order_number
          AND CASE WHEN NEW.kind = 'correction' THEN m.withdrawn AND m.barrier_at IS NOT NULL
                   ELSE NOT m.withdrawn AND m.epoch > m.stopped_epoch END)
    THEN
        RAISE EXCEPTION 'no mail may leave in this state of its order'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION notices_guard_birth() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.state <> 'pending' OR NEW.exposure <> 0 THEN
        RAISE EXCEPTION 'a mail is born unsent' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'correction' AND NOT EXISTS (
        SELECT 1 FROM notices_notice n
        WHERE n.order_number = NEW.order_number AND n.person_id = NEW.person_id
          AND n.kind <> 'correction'
          AND (n.exposure > 0 OR EXISTS (
              SELECT 1 FROM notices_openbatch b
              WHERE b.order_number = n.order_number
                AND (n.id = ANY (b.accepted)
                     OR n.id = ANY (b.permitted) AND n.claim = coalesce(
                         b.claims[array_position(b.permitted, n.id)], 0)))))
    THEN
        RAISE EXCEPTION 'nobody learns of an order through its withdrawal'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION notices_guard_mailing() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.mode <> OLD.mode THEN
        RAISE EXCEPTION 'an order is live or an exercise, for ever'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.epoch < OLD.epoch OR NEW.stopped_epoch < OLD.stopped_epoch
       OR (OLD.withdrawn AND NOT NEW.withdrawn)
    THEN
        RAISE EXCEPTION 'a stop is never undone; resuming is a higher epoch'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.digest <> OLD.digest AND EXISTS (
        SELECT 1 FROM notices_permitbatch b WHERE b.order_number = OLD.order_number)
    THEN
        RAISE EXCEPTION 'mails of this order left under another digest'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION notices_guard_intent() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM public.notices_mailing m
        WHERE m.order_number = NEW.order_number
          AND CASE WHEN m.withdrawn THEN m.barrier_at IS NOT NULL
                   ELSE m.epoch > m.stopped_epoch END)
    THEN
        RAISE EXCEPTION 'no mail may leave in this state of its order'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS notices_guard_frozen ON notices_notice;
-- Fires only for an UPDATE that names one of these columns, which no verb does: costs nothing.
CREATE TRIGGER notices_guard_frozen
    BEFORE UPDATE OF order_number, revision_number, kind, step, person_id, address, language,
        wave, template_id, values, message_id, in_reply_to, dated_at
    ON notices_notice FOR EACH ROW EXECUTE FUNCTION notices_guard_frozen();
DROP TRIGGER IF EXISTS notices_guard_notice ON notices_notice;
CREATE TRIGGER notices_guard_notice BEFORE UPDATE ON notices_notice
    FOR EACH ROW
    WHEN (NEW.exposure < OLD.exposure
          OR (NEW.state = 'permitted' AND OLD.state IS DISTINCT FROM 'permitted'
              AND current_setting('countermand.permits', true) IS DISTINCT FROM 'judged'))
    EXECUTE FUNCTION notices_guard_notice();
DROP TRIGGER IF EXISTS notices_guard_birth ON notices_notice;
CREATE TRIGGER notices_guard_birth BEFORE INSERT ON notices_notice
    FOR EACH ROW EXECUTE FUNCTION notices_guard_birth();
DROP TRIGGER IF EXISTS notices_guard_mailing ON notices_mailing;
CREATE TRIGGER notices_guard_mailing BEFORE UPDATE ON notices_mailing
    FOR EACH ROW EXECUTE FUNCTION notices_guard_mailing();
DROP TRIGGER IF EXISTS notices_guard_intent ON notices_openbatch;
CREATE TRIGGER notices_guard_intent BEFORE INSERT ON notices_openbatch
    FOR EACH ROW WHEN (cardinality(NEW.permitted) > 0)
    EXECUTE FUNCTION notices_guard_intent();

CREATE INDEX IF NOT EXISTS notices_permitbatch_by_order ON notices_permitbatch (order_number);

-- Senders: a role of their own that may call the verbs and nothing else.
REVOKE ALL ON FUNCTION
    ledger_lease(text, text, text, integer, double precision),
    ledger_leave(text, text), ledger_stop_hashes(),
    ledger_template(bigint),
    ledger_claim(text, integer, bigint, bigint, timestamptz),
    ledger_claim(text, integer, timestamptz),
    ledger_exchange(text, bigint[], bigint[], bigint[], bigint[], text[], text[], text[],
                    bigint[], bigint[], timestamptz),
    ledger_exchange(text, bigint[], bigint[], text[], text[], text[], bigint[], timestamptz),
    ledger_recover(text, boolean, timestamptz),
    ledger_lock_shared(text[]), ledger_lock_senders(text[]), ledger_lock_exclusive(text),
    ledger_mode(text), ledger_take_unheard_back(text, bigint),
    ledger_next(text, boolean, integer, timestamptz),
    ledger_keep_limits(bigint[], timestamptz), ledger_lock_limits(),
    ledger_keep_quiet(bigint[], bigint[], timestamptz), ledger_day_begins(text, timestamptz),
    ledger_fold(text, text), ledger_catch_up(text),
    ledger_note(text, text, bigint[], bigint[], bigint[], bigint[], text[], text[], timestamptz),
    ledger_stop(text, bigint, boolean), ledger_settle(text, timestamptz),
    ledger_corrections(text), ledger_evidence(bigint, text, timestamptz, text)
FROM PUBLIC;

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'countermand_sender') THEN
        CREATE ROLE countermand_sender NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- made by somebody else just now
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'this role may not make the role countermand_sender; senders use the main one';
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'countermand_sender') THEN
        GRANT USAGE ON SCHEMA public TO countermand_sender;
        GRANT EXECUTE ON FUNCTION
            ledger_lease(text, text, text, integer, double precision),
            ledger_leave(text, text), ledger_stop_hashes(),
            ledger_template(bigint),
            ledger_claim(text, integer, bigint, bigint, timestamptz),
            ledger_claim(text, integer, timestamptz),
            ledger_exchange(text, bigint[], bigint[], bigint[], bigint[], text[], text[], text[],
                            bigint[], bigint[], timestamptz),
            ledger_exchange(text, bigint[], bigint[], text[], text[], text[], bigint[],
                            timestamptz),
            ledger_recover(text, boolean, timestamptz)
        TO countermand_sender;
    END IF;
END
$$;
