-- The same verbs, made to cost less per mail. What a sender holds stands in its claim batches, so
-- no index depends on the state of a mail: from the claim on, a row is changed in place (HOT),
-- with the room that the fill factor leaves. Generic plans: planning anew cost more than the work.

ALTER TABLE notices_notice SET (fillfactor = 60);

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
    v_mailing record;
    v_corrections boolean;
    v_left integer := p_limit;
    v_ids bigint[];
BEGIN
    IF v_mode IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    FOREACH v_corrections IN ARRAY ARRAY[true, false] LOOP
        FOR v_mailing IN
            SELECT m.order_number FROM notices_mailing m
            WHERE m.mode = v_mode
              AND CASE WHEN v_corrections THEN m.withdrawn AND m.barrier_at IS NOT NULL
                       ELSE NOT m.withdrawn AND m.epoch > m.stopped_epoch END
            ORDER BY m.order_number
        LOOP
            EXIT WHEN v_left <= 0;
            -- A stop that waits for this lock is not made to wait for one more claim.
            CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(
                public.ledger_lock_class(), hashtext(v_mailing.order_number));
            v_ids := ARRAY(
                SELECT n.id
                FROM notices_notice n JOIN notices_mailing m ON m.order_number = n.order_number
                WHERE n.order_number = v_mailing.order_number
                  AND n.is_waiting
                  AND n.due_at <= p_now
                  AND (n.kind = 'correction') = v_corrections
                  AND (n.state = 'pending' OR n.attempts < 3 OR n.kind = 'correction')
                  AND ledger_refusal(n.kind, n.wave, m.epoch, m.phase, m.epoch, m.stopped_epoch,
                                     m.withdrawn, m.barrier_at, m.not_after, p_now) IS NULL
                ORDER BY n.due_at, n.id
                LIMIT v_left
                FOR UPDATE OF n SKIP LOCKED);
            CONTINUE WHEN cardinality(v_ids) = 0;
            INSERT INTO notices_claimbatch (sender, notice_ids) VALUES (p_sender, v_ids);
            RETURN QUERY
            WITH taken AS (
                UPDATE notices_notice n
                SET state = 'claimed', claimed_by = p_sender, exposure_before = n.exposure,
                    epoch = (SELECT m.epoch FROM notices_mailing m
                             WHERE m.order_number = v_mailing.order_number)
                WHERE n.id = ANY (v_ids)
                RETURNING n.*
            )
            SELECT t.id, t.order_number::text, t.epoch, t.kind::text, t.address::text,
                   t.language::text, t.template_id, t.values, t.message_id::text,
                   t.in_reply_to::text, t.dated_at, t.attempts::integer
            FROM taken t ORDER BY t.due_at, t.id;
            v_left := v_left - cardinality(v_ids);
        END LOOP;
    END LOOP;
END
$$;

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
BEGIN
    PERFORM ledger_lock_shared(ARRAY(
        SELECT DISTINCT n.order_number FROM notices_notice n
        WHERE n.id = ANY (p_permits || p_replied || p_aborted)));

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
        RETURN;
    END IF;
    v_mode := ledger_mode(p_sender);
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
    v_dead text[];
    v_ids bigint[];
    v_count integer;
BEGIN
    -- A living sender's batches go when all their mails have left its hands.
    DELETE FROM notices_claimbatch b
    WHERE b.sender = p_sender AND NOT EXISTS (
        SELECT 1 FROM notices_notice n
        WHERE n.id = ANY (b.notice_ids) AND n.state IN ('claimed', 'permitted')
          AND n.claimed_by = b.sender);
    v_dead := ARRAY(
        SELECT DISTINCT b.sender FROM notices_claimbatch b
        WHERE CASE WHEN b.sender = p_sender THEN p_own ELSE NOT EXISTS (
              SELECT 1 FROM notices_senderlease l WHERE l.name = b.sender
                 AND l.lease_until > clock_timestamp()) END);  -- clock: a lease is real time
    IF cardinality(v_dead) = 0 THEN
        RETURN 0;
    END IF;
    v_ids := ARRAY(
        SELECT u.id FROM notices_claimbatch b, unnest(b.notice_ids) AS u (id)
        WHERE b.sender = ANY (v_dead));
    PERFORM ledger_lock_shared(ARRAY(
        SELECT DISTINCT n.order_number FROM notices_notice n WHERE n.id = ANY (v_ids)));
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
    -- What was claimed since by such a name stays noted down.
    DELETE FROM notices_claimbatch b
    WHERE b.sender = ANY (v_dead) AND b.notice_ids <@ v_ids;
    RETURN v_count;
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
