-- ledger_exchange asks ledger_refusal about every permit in the very statement that gives it. The
-- guard, which asked once more for each row, took a quarter of the ledger's time; it now watches
-- every other way to a permit, and the setting stands for that one statement alone.
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

CREATE OR REPLACE TRIGGER notices_guard_notice BEFORE UPDATE ON notices_notice
    FOR EACH ROW
    WHEN (NEW.exposure < OLD.exposure
          OR (NEW.state = 'permitted' AND OLD.state IS DISTINCT FROM 'permitted'
              AND current_setting('countermand.permits', true) IS DISTINCT FROM 'judged'))
    EXECUTE FUNCTION notices_guard_notice();
