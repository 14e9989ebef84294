-- The ledger's verbs. Senders may call these and little else; the rule lives here once, for every
-- client. `domain.delivery` and `domain.notice_life` say the same in Python, and a differential
-- test drives both.
--
-- Every verb that changes a notice first takes the order's advisory lock: shared for senders,
-- exclusive for stop and settle. That queue is fair (row locks taken FOR SHARE starve a stop for
-- seconds), and several statements in plpgsql see what was committed before the lock was given.
--
-- The newest migration loads this file; a change of it needs a migration that loads it again.
--
--   notices_duemail      a mail that waits and is in nobody's hands; who deletes its row has the mail
--   notices_claimbatch   what a sender has in its hands
--   notices_openbatch    what one commit of a sender noted
--   notices_notice       the mails: what is noted is folded into them later
--
-- In the usual case a mail is written once, when it has been let out and answered, and no index
-- depends on what is written. Until then its row says that it waits. Whatever is not the usual case
-- first writes down all that is noted of the order. Generic plans: planning anew cost more than the
-- work.

CREATE OR REPLACE FUNCTION ledger_lock_class() RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT 1129137997 $$;  -- "CMTM"

CREATE OR REPLACE FUNCTION ledger_lock_shared(p_orders text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_order text;
BEGIN
    FOR v_order IN SELECT DISTINCT o FROM unnest(p_orders) o ORDER BY o LOOP
        PERFORM pg_advisory_xact_lock_shared(public.ledger_lock_class(), hashtext(v_order));
    END LOOP;
END
$$;

-- Why a mail claimed in p_epoch may not leave now; NULL if it may. The twin of may_not_leave().
CREATE OR REPLACE FUNCTION ledger_refusal(
    p_kind text, p_wave integer, p_epoch bigint, p_phase text, p_mailing_epoch bigint,
    p_stopped_epoch bigint, p_withdrawn boolean, p_barrier_at timestamptz,
    p_not_after timestamptz, p_now timestamptz
) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_kind = 'correction' THEN
            CASE WHEN p_withdrawn AND p_phase IN ('stopping', 'correcting', 'corrected')
                      AND p_barrier_at IS NOT NULL
                 THEN NULL ELSE 'state' END
        WHEN p_withdrawn OR p_epoch <> p_mailing_epoch OR p_epoch <= p_stopped_epoch THEN 'stopped'
        WHEN NOT (p_phase IN ('sending', 'notified', 'enforcing', 'collecting', 'handed_over')
                  OR (p_kind = 'notice' AND p_phase = 'canary' AND p_wave <= 0)
                  OR (p_kind = 'closing' AND p_phase = 'closed')) THEN 'state'
        WHEN p_now >= p_not_after THEN 'too_late'
    END
$$;

CREATE OR REPLACE FUNCTION ledger_retry_after(p_attempts integer) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT interval '60 seconds' * (1 << least(greatest(p_attempts, 1) - 1, 5))
$$;

-- The mode of a sender whose lease holds; NULL otherwise. Told time may run fast or stand still,
-- so whether a sender lives is judged by the database's own clock, the same for all hosts.
CREATE OR REPLACE FUNCTION ledger_mode(p_sender text) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT mode FROM public.notices_senderlease
    WHERE name = p_sender AND lease_until > clock_timestamp()  -- clock: a lease is real time
$$;

-- Take or renew the lease of a sender. False: another host holds this name.
CREATE OR REPLACE FUNCTION ledger_lease(
    p_sender text, p_mode text, p_host text, p_pid integer, p_seconds double precision
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_until timestamptz := clock_timestamp()  -- clock: a lease is real time
                           + make_interval(secs => p_seconds);
BEGIN
    INSERT INTO notices_senderlease AS held (name, mode, host, pid, lease_until)
    VALUES (p_sender, p_mode, p_host, p_pid, v_until)
    ON CONFLICT (name) DO UPDATE
        SET mode = excluded.mode, host = excluded.host, pid = excluded.pid,
            lease_until = excluded.lease_until
        WHERE held.host = excluded.host  -- on one host the sender's own file lock decides
           OR held.lease_until <= clock_timestamp();  -- clock: a lease is real time
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION ledger_template(p_template_id bigint)
RETURNS TABLE (subject text, words text, html text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.subject, t.text, t.html FROM notices_template t WHERE t.id = p_template_id
$$;

-- What senders noted of an order becomes the state of its mails (N4, N5), and one permit batch for
-- each note with permits; p_sender NULL: everybody's notes. The caller holds the order's lock. Two
-- at once: the second waits for the first, and finds nothing left. Nothing is judged here: it was,
-- when it was noted.
CREATE OR REPLACE FUNCTION ledger_fold(p_order text, p_sender text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_let bigint[];
    v_accepted bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM notices_openbatch b WHERE b.order_number = p_order
                   AND (p_sender IS NULL OR b.sender = p_sender)) THEN
        RETURN;
    END IF;
    PERFORM ledger_lock_hands(p_order, p_sender);
    PERFORM set_config('countermand.permits', 'judged', true);
    WITH gone AS (
        DELETE FROM notices_openbatch b
        WHERE b.order_number = p_order AND (p_sender IS NULL OR b.sender = p_sender)
        RETURNING b.*
    ), said AS (
        SELECT DISTINCT ON (u.id) u.id, u.words, u.queue_id, g.at, g.sender, g.epoch
        FROM gone g, unnest(g.accepted, g.replies, g.queue_ids) AS u (id, words, queue_id)
        ORDER BY u.id, g.id
    ), let AS (
        SELECT DISTINCT ON (u.id) u.id, g.sender, g.epoch FROM gone g, unnest(g.permitted) AS u (id)
    ), touched AS (
        SELECT coalesce(said.id, let.id) AS id, let.id IS NOT NULL AS was_let,
               said.id IS NOT NULL AS was_accepted, said.words, said.queue_id, said.at,
               coalesce(let.sender, said.sender) AS sender, coalesce(let.epoch, said.epoch) AS epoch
        FROM said FULL JOIN let ON let.id = said.id
    ), moved AS (
        UPDATE notices_notice n
        SET state = CASE WHEN t.was_accepted THEN 'sent' ELSE 'permitted' END,
            exposure = CASE WHEN t.was_accepted THEN 2 ELSE greatest(n.exposure, 1) END,
            -- Claimed, and not written down until now.
            exposure_before = CASE WHEN n.is_waiting THEN n.exposure ELSE n.exposure_before END,
            epoch = CASE WHEN n.is_waiting THEN t.epoch ELSE n.epoch END,
            attempts = n.attempts + CASE WHEN t.was_let THEN 1 ELSE 0 END,
            accepted_at = CASE WHEN t.was_accepted THEN coalesce(n.accepted_at, t.at)
                               ELSE n.accepted_at END,
            queue_id = CASE WHEN t.was_accepted THEN t.queue_id ELSE n.queue_id END,
            last_reply = CASE WHEN t.was_accepted THEN t.words ELSE n.last_reply END,
            claimed_by = CASE WHEN t.was_accepted THEN '' ELSE t.sender END
        FROM touched t
        WHERE n.id = t.id
          AND (n.state IN ('claimed', 'permitted', 'pending', 'maybe')
               OR (t.was_accepted AND n.state IN ('refused', 'skipped')))
    ), batched AS (
        INSERT INTO notices_permitbatch
            (order_number, epoch, digest, sender, at, message_ids, logged)
        SELECT g.order_number, g.epoch, g.digest, g.sender, g.at,
               jsonb_agg(n.message_id), false
        FROM gone g JOIN notices_notice n ON n.id = ANY (g.permitted)
        GROUP BY g.id, g.order_number, g.epoch, g.digest, g.sender, g.at
        ORDER BY g.id
    )
    SELECT array_agg(t.id) FILTER (WHERE NOT t.was_accepted),
           array_agg(t.id) FILTER (WHERE t.was_accepted)
    INTO v_let, v_accepted FROM touched t;
    PERFORM set_config('countermand.permits', '', true);
    UPDATE notices_claimbatch b
    SET notice_ids = ARRAY(
            SELECT u FROM unnest(b.notice_ids) u
            WHERE u <> ALL (coalesce(v_let, '{}') || coalesce(v_accepted, '{}'))),
        permitted_ids = ARRAY(
            SELECT u FROM unnest(b.permitted_ids) u WHERE u <> ALL (coalesce(v_accepted, '{}'))
            UNION ALL
            SELECT u FROM unnest(b.notice_ids) u WHERE u = ANY (v_let))
    WHERE b.order_number = p_order AND (p_sender IS NULL OR b.sender = p_sender);
    DELETE FROM notices_claimbatch b
    WHERE b.order_number = p_order AND cardinality(b.notice_ids || b.permitted_ids) = 0;
END
$$;

-- Whoever changes what stands in claim batches takes them first, so that two never work on one.
CREATE OR REPLACE FUNCTION ledger_lock_hands(p_order text, p_sender text) RETURNS void
LANGUAGE sql AS $$
    SELECT FROM notices_claimbatch b
    WHERE b.order_number = p_order AND (p_sender IS NULL OR b.sender = p_sender)
    ORDER BY b.id FOR UPDATE
$$;

-- All that is noted of an order becomes the state of its mails: what was let out and answered, and
-- what is in somebody's hands. The caller holds the order's lock.
CREATE OR REPLACE FUNCTION ledger_write_down(p_order text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger_fold(p_order, NULL);
    PERFORM ledger_lock_hands(p_order, NULL);
    UPDATE notices_notice n
    SET state = 'claimed', claimed_by = b.sender, exposure_before = n.exposure, epoch = b.epoch
    FROM notices_claimbatch b, unnest(b.notice_ids) AS u (id)
    WHERE b.order_number = p_order AND n.id = u.id AND n.is_waiting;
END
$$;

-- After mails that were written down have changed, claim batches name again what is in hand.
CREATE OR REPLACE FUNCTION ledger_list_hands(p_order text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE notices_claimbatch b
    SET notice_ids = ARRAY(
            SELECT n.id FROM notices_notice n
            WHERE n.id = ANY (b.notice_ids)
              AND (n.state = 'claimed' AND n.claimed_by = b.sender
                   -- Claimed since, and not written down: it waits by its row, and is in no queue.
                   OR n.is_waiting
                      AND (n.state = 'pending' OR n.attempts < 3 OR n.kind = 'correction')
                      AND NOT EXISTS (
                          SELECT FROM notices_duemail d WHERE d.notice_id = n.id))),
        permitted_ids = ARRAY(
            SELECT n.id FROM notices_notice n
            WHERE n.id = ANY (b.notice_ids || b.permitted_ids) AND n.state = 'permitted'
              AND n.claimed_by = b.sender)
    WHERE b.order_number = p_order;
    DELETE FROM notices_claimbatch b
    WHERE b.order_number = p_order AND cardinality(b.notice_ids || b.permitted_ids) = 0;
END
$$;

CREATE OR REPLACE FUNCTION ledger_claim(p_sender text, p_limit integer, p_now timestamptz)
RETURNS TABLE (
    notice_id bigint, order_number text, epoch bigint, kind text, address text, language text,
    template_id bigint, slots jsonb, message_id text, in_reply_to text, dated_at timestamptz,
    attempts integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
-- However many wait: the next ones are read off their index, never sorted out of all.
SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_mode text := public.ledger_mode(p_sender);
    v_mailing notices_mailing%ROWTYPE;
    v_corrections boolean;
    v_left integer := p_limit;
    v_found integer;
    v_ids bigint[];
    v_order text;
BEGIN
    FOR v_order IN SELECT DISTINCT b.order_number FROM notices_openbatch b
                   WHERE b.sender = p_sender ORDER BY b.order_number LOOP
        IF pg_try_advisory_xact_lock_shared(ledger_lock_class(), hashtext(v_order)) THEN
            PERFORM ledger_fold(v_order, p_sender);
        END IF;
    END LOOP;
    IF v_mode IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    FOREACH v_corrections IN ARRAY ARRAY[true, false] LOOP
        FOR v_order IN
            SELECT m.order_number FROM notices_mailing m
            WHERE m.mode = v_mode
              AND CASE WHEN v_corrections THEN m.withdrawn AND m.barrier_at IS NOT NULL
                       ELSE NOT m.withdrawn AND m.epoch > m.stopped_epoch END
            ORDER BY m.order_number
        LOOP
            EXIT WHEN v_left <= 0;
            -- A stop that waits for this lock is not made to wait for one more claim.
            CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(
                public.ledger_lock_class(), hashtext(v_order));
            SELECT * INTO v_mailing FROM notices_mailing m WHERE m.order_number = v_order;
            LOOP
                WITH next AS (
                    SELECT d.notice_id FROM notices_duemail d
                    WHERE d.order_number = v_order
                      AND d.is_correction = v_corrections
                      AND d.due_at <= p_now
                      AND ledger_refusal(
                          d.kind, d.wave, v_mailing.epoch, v_mailing.phase, v_mailing.epoch,
                          v_mailing.stopped_epoch, v_mailing.withdrawn, v_mailing.barrier_at,
                          v_mailing.not_after, p_now) IS NULL
                    ORDER BY d.due_at, d.notice_id
                    LIMIT v_left
                    FOR UPDATE SKIP LOCKED
                ), taken AS (
                    DELETE FROM notices_duemail d USING next
                    WHERE d.notice_id = next.notice_id RETURNING d.notice_id
                )
                SELECT array_agg(t.notice_id) INTO v_ids FROM taken t;
                EXIT WHEN v_ids IS NULL;
                RETURN QUERY
                WITH mail AS MATERIALIZED (
                    SELECT n.id, n.kind, n.wave, n.address, n.language, n.template_id, n.values,
                           n.message_id, n.in_reply_to, n.dated_at, n.attempts, n.due_at
                    FROM notices_notice n
                    WHERE n.id = ANY (v_ids) AND n.is_waiting
                ), listed AS (
                    INSERT INTO notices_claimbatch (sender, order_number, kind, wave, epoch,
                        notice_ids, permitted_ids)
                    SELECT p_sender, v_order, mail.kind, mail.wave, v_mailing.epoch,
                           array_agg(mail.id), '{}'
                    FROM mail GROUP BY mail.kind, mail.wave
                )
                SELECT mail.id, v_order, v_mailing.epoch, mail.kind::text, mail.address::text,
                       mail.language::text, mail.template_id, mail.values, mail.message_id::text,
                       mail.in_reply_to::text, mail.dated_at, mail.attempts::integer
                FROM mail ORDER BY mail.due_at, mail.id;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                v_left := v_left - v_found;
                EXIT WHEN v_left <= 0;
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;

-- Note permits that may all be given and 250s for mails that are all in this sender's hands.
-- False: something else is among them, and nothing was done.
CREATE OR REPLACE FUNCTION ledger_note(
    p_sender text, p_order text, p_permits bigint[], p_replied bigint[], p_reply_texts text[],
    p_queue_ids text[], p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_mailing notices_mailing%ROWTYPE;
    v_batch notices_claimbatch%ROWTYPE;
    v_held bigint[] := '{}';
    v_free bigint[] := '{}';  -- of them, what may be let out
BEGIN
    SELECT * INTO v_mailing FROM notices_mailing m WHERE m.order_number = p_order;
    FOR v_batch IN SELECT * FROM notices_claimbatch b
                   WHERE b.sender = p_sender AND b.order_number = p_order LOOP
        v_held := v_held || v_batch.notice_ids || v_batch.permitted_ids;
        IF ledger_refusal(v_batch.kind, v_batch.wave, v_batch.epoch, v_mailing.phase,
                          v_mailing.epoch, v_mailing.stopped_epoch, v_mailing.withdrawn,
                          v_mailing.barrier_at, v_mailing.not_after, p_now) IS NULL
        THEN
            v_free := v_free || v_batch.notice_ids;
        END IF;
    END LOOP;
    IF NOT (p_permits <@ v_free AND p_replied <@ v_held)
       OR EXISTS (SELECT FROM notices_openbatch b WHERE b.order_number = p_order
                  AND (b.permitted && p_permits OR b.accepted && (p_permits || p_replied)))
       OR (cardinality(p_permits) > 0
           AND ledger_mode(p_sender) IS DISTINCT FROM v_mailing.mode)
    THEN
        RETURN false;
    END IF;
    INSERT INTO notices_openbatch (order_number, epoch, digest, sender, at, permitted, accepted,
        replies, queue_ids)
    VALUES (p_order, v_mailing.epoch, v_mailing.digest, p_sender, p_now, p_permits, p_replied,
        p_reply_texts, p_queue_ids);
    RETURN true;
END
$$;

-- One commit of a sender: what servers answered (N3, N5 to N7), what was given back with its dot
-- provably unwritten (N2), and the intents to send (N4). One answer per permit asked for.
-- What usually happens is noted in one row and folded into the mails later; anything else first
-- writes down what is noted, and then changes the mails themselves.
-- It asks ledger_refusal about every permit in the very statement that gives it, so the guard of a
-- mail, which would ask once more for each row, is told to watch every other way to a permit.
CREATE OR REPLACE FUNCTION ledger_exchange(
    p_sender text, p_permits bigint[],
    p_replied bigint[], p_reply_kinds text[], p_reply_texts text[], p_queue_ids text[],
    p_aborted bigint[], p_now timestamptz
) RETURNS TABLE (notice_id bigint, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_mode text;
    v_permitted bigint[];
    v_order text;
    v_orders text[];
BEGIN
    IF cardinality(p_aborted) = 0 AND 'accepted' = ALL (p_reply_kinds)
       AND NOT p_permits && p_replied
    THEN
        -- Nearly always one order.
        SELECT CASE WHEN min(b.order_number) = max(b.order_number) THEN min(b.order_number) END
        INTO v_order FROM notices_claimbatch b WHERE b.sender = p_sender;
        IF v_order IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock_shared(ledger_lock_class(), hashtext(v_order));
            IF ledger_note(p_sender, v_order, p_permits, p_replied, p_reply_texts, p_queue_ids,
                           p_now)
            THEN
                RETURN QUERY SELECT u, NULL::text FROM unnest(p_permits) u;
                RETURN;
            END IF;
        END IF;
    END IF;
    v_orders := ARRAY(
        SELECT DISTINCT n.order_number::text FROM notices_notice n
        WHERE n.id = ANY (p_permits || p_replied || p_aborted) ORDER BY 1);
    PERFORM ledger_lock_shared(v_orders);
    PERFORM ledger_write_down(o) FROM unnest(v_orders) o;

    IF cardinality(p_replied) > 0 THEN
        -- A 250 is the truth, whoever holds the row by now (N5, N15).
        UPDATE notices_notice n
        SET state = 'sent', exposure = 2, accepted_at = coalesce(n.accepted_at, p_now),
            queue_id = coalesce(r.queue_id, ''), last_reply = r.words, claimed_by = ''
        FROM unnest(p_replied, p_reply_kinds, p_reply_texts, p_queue_ids)
             AS r (id, kind, words, queue_id)
        WHERE n.id = r.id AND r.kind = 'accepted'
          AND n.state IN ('claimed', 'permitted', 'maybe', 'pending', 'refused', 'skipped');
    END IF;

    IF 'accepted' <> ANY (p_reply_kinds) THEN
        UPDATE notices_notice n
        SET state = CASE WHEN r.kind = 'lost' OR n.exposure_before > 0 THEN 'maybe'
                         WHEN r.kind = 'refused' THEN 'refused' ELSE 'pending' END,
            exposure = CASE WHEN r.kind = 'lost' THEN n.exposure ELSE n.exposure_before END,
            due_at = p_now + ledger_retry_after(n.attempts),
            last_reply = r.words, claimed_by = ''
        FROM unnest(p_replied, p_reply_kinds, p_reply_texts) AS r (id, kind, words)
        WHERE n.id = r.id AND n.claimed_by = p_sender
          AND ((r.kind = 'lost' AND n.state = 'permitted')
               OR (r.kind IN ('deferred', 'refused') AND n.state IN ('claimed', 'permitted')));
    END IF;

    IF cardinality(p_aborted) > 0 THEN
        UPDATE notices_notice n
        SET state = CASE WHEN n.exposure_before > 0 THEN 'maybe' ELSE 'pending' END,
            exposure = n.exposure_before,
            attempts = n.attempts - CASE WHEN n.state = 'permitted' THEN 1 ELSE 0 END,
            claimed_by = ''
        WHERE n.id = ANY (p_aborted) AND n.claimed_by = p_sender
          AND n.state IN ('claimed', 'permitted');
    END IF;

    IF cardinality(p_permits) = 0 THEN
        PERFORM ledger_list_hands(o) FROM unnest(v_orders) o;
        RETURN;
    END IF;
    v_mode := ledger_mode(p_sender);
    PERFORM set_config('countermand.permits', 'judged', true);
    WITH permitted AS (
        UPDATE notices_notice n
        SET state = 'permitted', exposure = greatest(n.exposure, 1), attempts = n.attempts + 1
        FROM notices_mailing m
        WHERE n.id = ANY (p_permits) AND n.state = 'claimed' AND n.claimed_by = p_sender
          -- Joined by an expression, so that nothing but the ids is used to find the mails.
          AND m.order_number = n.order_number || '' AND m.mode = v_mode
          AND ledger_refusal(n.kind, n.wave, n.epoch, m.phase, m.epoch, m.stopped_epoch,
                             m.withdrawn, m.barrier_at, m.not_after, p_now) IS NULL
        RETURNING n.id, n.message_id, m.order_number, m.epoch, m.digest
    ), batched AS (
        INSERT INTO notices_permitbatch
            (order_number, epoch, digest, sender, at, message_ids, logged)
        SELECT p.order_number, p.epoch, p.digest, p_sender, p_now,
               jsonb_agg(p.message_id ORDER BY p.message_id), false
        FROM permitted p
        GROUP BY p.order_number, p.epoch, p.digest
    )
    SELECT array_agg(p.id) INTO v_permitted FROM permitted p;
    PERFORM set_config('countermand.permits', '', true);
    PERFORM ledger_list_hands(o) FROM unnest(v_orders) o;

    RETURN QUERY SELECT u, NULL::text FROM unnest(v_permitted) u;
    IF v_permitted @> p_permits THEN
        RETURN;
    END IF;
    -- Only now, and only for those, why not.
    RETURN QUERY
    SELECT a.id,
           CASE
               WHEN n.id IS NULL OR n.state <> 'claimed' OR n.claimed_by <> p_sender
                   THEN 'not_claimed'
               WHEN v_mode IS NULL THEN 'lease'
               WHEN v_mode <> m.mode THEN 'mode'
               ELSE coalesce(
                   ledger_refusal(n.kind, n.wave, n.epoch, m.phase, m.epoch, m.stopped_epoch,
                                  m.withdrawn, m.barrier_at, m.not_after, p_now), 'not_claimed')
           END
    FROM (SELECT DISTINCT u AS id FROM unnest(p_permits) u
          WHERE v_permitted IS NULL OR u <> ALL (v_permitted)) a
    LEFT JOIN notices_notice n ON n.id = a.id
    LEFT JOIN notices_mailing m ON m.order_number = n.order_number;
END
$$;

-- What dead senders left behind: this sender's own former life, and everyone whose lease is over.
-- Permitted rows may have got through (N7); claimed ones were never sent (N2).
CREATE OR REPLACE FUNCTION ledger_recover(p_sender text, p_own boolean, p_now timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_dead text[] := ARRAY(
        SELECT DISTINCT b.sender FROM notices_claimbatch b
        WHERE CASE WHEN b.sender = p_sender THEN p_own ELSE NOT EXISTS (
              SELECT 1 FROM notices_senderlease l WHERE l.name = b.sender
                 AND l.lease_until > clock_timestamp()) END);  -- clock: a lease is real time
    v_orders text[];
    v_ids bigint[];
    v_count integer;
BEGIN
    IF cardinality(v_dead) = 0 THEN
        RETURN 0;
    END IF;
    v_orders := ARRAY(
        SELECT DISTINCT b.order_number::text FROM notices_claimbatch b
        WHERE b.sender = ANY (v_dead));
    PERFORM ledger_lock_shared(v_orders);
    PERFORM ledger_write_down(o) FROM unnest(v_orders) o;
    v_ids := ARRAY(
        SELECT u.id FROM notices_claimbatch b, unnest(b.notice_ids || b.permitted_ids) AS u (id)
        WHERE b.sender = ANY (v_dead) AND b.order_number = ANY (v_orders));
    UPDATE notices_notice n
    SET state = CASE WHEN n.state = 'permitted' OR n.exposure_before > 0
                     THEN 'maybe' ELSE 'pending' END,
        exposure = CASE WHEN n.state = 'permitted' THEN n.exposure ELSE n.exposure_before END,
        due_at = CASE WHEN n.state = 'permitted'
                      THEN p_now + ledger_retry_after(n.attempts) ELSE n.due_at END,
        claimed_by = ''
    WHERE n.id = ANY (v_ids) AND n.claimed_by = ANY (v_dead)
      AND n.state IN ('claimed', 'permitted');
    GET DIAGNOSTICS v_count = ROW_COUNT;
    PERFORM ledger_list_hands(o) FROM unnest(v_orders) o;
    RETURN v_count;
END
$$;

-- The rest belongs to the program itself, not to senders.

-- What senders noted of an order is in its mails afterwards.
CREATE OR REPLACE FUNCTION ledger_catch_up(p_order text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM ledger_lock_shared(ARRAY[p_order]);
    PERFORM ledger_write_down(p_order);
END
$$;

CREATE OR REPLACE FUNCTION ledger_lock_exclusive(p_order text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT pg_advisory_xact_lock(ledger_lock_class(), hashtext(p_order))
$$;

-- Raise the stopped epoch: monotone, idempotent. After its commit no permit of that epoch commits.
CREATE OR REPLACE FUNCTION ledger_stop(p_order text, p_stopped_epoch bigint, p_final boolean)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM ledger_lock_exclusive(p_order);
    PERFORM ledger_fold(p_order, NULL);
    UPDATE notices_mailing m
    SET stopped_epoch = greatest(m.stopped_epoch, p_stopped_epoch),
        withdrawn = m.withdrawn OR p_final,
        -- A new stop needs a new proof that the senders are dead.
        barrier_at = CASE WHEN (p_final AND NOT m.withdrawn) OR p_stopped_epoch > m.stopped_epoch
                          THEN NULL ELSE m.barrier_at END
    WHERE m.order_number = p_order;
END
$$;

-- After every sender is proven dead. The exclusive lock also drains commits that a dead sender's
-- session still carries out. Returns how matters stand with all mails but corrections.
CREATE OR REPLACE FUNCTION ledger_settle(p_order text, p_now timestamptz)
RETURNS TABLE (maybe bigint, skipped bigint, certain bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_mailing notices_mailing%ROWTYPE;
BEGIN
    PERFORM ledger_lock_exclusive(p_order);
    PERFORM ledger_write_down(p_order);
    SELECT * INTO v_mailing FROM notices_mailing m WHERE m.order_number = p_order;
    IF FOUND AND NOT (v_mailing.withdrawn OR v_mailing.stopped_epoch >= v_mailing.epoch) THEN
        RAISE EXCEPTION 'order % is not stopped, so nothing of it can be settled', p_order
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE notices_notice n
    SET state = CASE
            WHEN n.state = 'permitted' OR n.exposure > 0 THEN 'maybe'
            WHEN v_mailing.withdrawn AND n.kind <> 'correction' THEN 'skipped'
            ELSE 'pending' END,
        due_at = CASE WHEN n.state = 'permitted'
                      THEN p_now + ledger_retry_after(n.attempts) ELSE n.due_at END,
        claimed_by = ''
    WHERE n.order_number = p_order
      AND (n.state IN ('claimed', 'permitted')
           OR (n.state = 'pending' AND v_mailing.withdrawn AND n.kind <> 'correction'));
    DELETE FROM notices_claimbatch b WHERE b.order_number = p_order;
    UPDATE notices_mailing m SET barrier_at = p_now
    WHERE m.order_number = p_order AND m.barrier_at IS NULL;
    RETURN QUERY
    SELECT count(*) FILTER (WHERE n.exposure = 1), count(*) FILTER (WHERE n.state = 'skipped'),
           count(*) FILTER (WHERE n.exposure = 2)
    FROM notices_notice n WHERE n.order_number = p_order AND n.kind <> 'correction';
END
$$;

-- Whoever was reached, or may have been, and has no correction yet: one row per person and address.
CREATE OR REPLACE FUNCTION ledger_corrections(p_order text)
RETURNS TABLE (person_id bigint, address text, language text, exposure integer, message_id text)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM ledger_lock_shared(ARRAY[p_order]);
    PERFORM ledger_fold(p_order, NULL);
    RETURN QUERY
    SELECT DISTINCT ON (n.person_id, n.address)
           n.person_id, n.address::text, n.language::text,
           (max(n.exposure) OVER (PARTITION BY n.person_id, n.address))::integer,
           n.message_id::text
    FROM notices_notice n
    WHERE n.order_number = p_order AND n.kind <> 'correction' AND n.exposure > 0
      AND NOT EXISTS (
          SELECT 1 FROM notices_notice c
          WHERE c.order_number = p_order AND c.kind = 'correction'
            AND c.person_id = n.person_id AND c.address = n.address)
    ORDER BY n.person_id, n.address, n.kind <> 'notice', n.id;
END
$$;

-- Later knowledge about one mail (N8, N8b, N11 to N15). False: it changes nothing any more.
CREATE OR REPLACE FUNCTION ledger_evidence(p_notice bigint, p_kind text, p_at timestamptz, p_detail text)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_order text := (SELECT n.order_number FROM notices_notice n WHERE n.id = p_notice);
    v_changed boolean;
BEGIN
    IF v_order IS NULL THEN
        RETURN false;
    END IF;
    PERFORM ledger_lock_shared(ARRAY[v_order]);
    PERFORM ledger_write_down(v_order);
    INSERT INTO notices_noticeevidence (notice_id, kind, at, detail)
    VALUES (p_notice, p_kind, p_at, p_detail);
    CASE p_kind
    WHEN 'dsn_delivered', 'check_code' THEN
        UPDATE notices_notice n
        SET state = 'delivered', exposure = 2, claimed_by = '',
            accepted_at = coalesce(n.accepted_at, p_at), proven_at = coalesce(n.proven_at, p_at)
        WHERE n.id = p_notice
          AND (p_kind = 'check_code' OR n.state NOT IN ('delivered', 'pulled_unread'));
    WHEN 'relay_log_accepted' THEN
        UPDATE notices_notice n
        SET state = 'sent', exposure = 2, claimed_by = '',
            accepted_at = coalesce(n.accepted_at, p_at)
        WHERE n.id = p_notice
          AND n.state IN ('claimed', 'permitted', 'maybe', 'pending', 'refused', 'skipped');
    WHEN 'dsn_failed' THEN
        UPDATE notices_notice n
        SET state = 'bounced', bounced_at = coalesce(n.bounced_at, p_at)
        WHERE n.id = p_notice AND n.state IN ('sent', 'maybe');
    WHEN 'relay_log_not_accepted' THEN
        UPDATE notices_notice n
        SET state = CASE WHEN n.kind <> 'correction' AND EXISTS (
                SELECT 1 FROM notices_mailing m
                WHERE m.order_number = n.order_number AND m.withdrawn)
            THEN 'skipped' ELSE 'pending' END, exposure = 0
        WHERE n.id = p_notice AND n.state = 'maybe';
    WHEN 'pulled_from_queue' THEN
        UPDATE notices_notice n SET state = 'pulled_queue', exposure = n.exposure_before
        WHERE n.id = p_notice AND n.state = 'sent';
    WHEN 'pulled_unread' THEN
        UPDATE notices_notice n SET state = 'pulled_unread'
        WHERE n.id = p_notice AND n.state IN ('sent', 'delivered');
    ELSE
        RAISE EXCEPTION 'no such evidence: %', p_kind USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    v_changed := FOUND;
    PERFORM ledger_list_hands(v_order);
    RETURN v_changed;
END
$$;
