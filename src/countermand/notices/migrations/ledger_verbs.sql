-- The ledger's verbs. Senders may call these and little else; the rule lives here once, for every
-- client. `domain.delivery` and `domain.notice_life` say the same in Python, and a differential
-- test drives both.
--
-- Every verb that changes a notice first takes the order's advisory lock: shared for senders,
-- exclusive for stop and settle. That queue is fair (row locks taken FOR SHARE starve a stop for
-- seconds), and several statements in plpgsql see what was committed before the lock was given.
--
-- Whoever noted something down, or gives back what a sender holds, has that sender's own lock, too:
-- shared to note, exclusive to give back. A note is judged without a lock on its mails, so nobody
-- may take them from its sender before it is committed and can be seen.
--
-- A claim has a number that its sender thought of, and the mails know the newest claim of theirs.
-- Whoever names another one changes nothing: it slept, or was told nothing, and they were claimed
-- anew. The database would think of the same number twice, should it forget a claim as it dies.
--
-- The newest migration loads this file; a change of it needs a migration that loads it again.
-- What a sender holds stands in its claim batches, and what it noted stands in open batches until
-- it is folded into the mails: no index depends on the state of a mail, and what comes with every
-- commit is one small row. Generic plans: planning anew cost more than the work.

CREATE OR REPLACE FUNCTION ledger_lock_class() RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT 1129137997 $$;  -- "CMTM"

-- Whoever names several orders goes up by their numbers, or two would wait for each other.
CREATE OR REPLACE FUNCTION ledger_lock_shared(p_orders text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_order text;
BEGIN
    FOREACH v_order IN ARRAY p_orders LOOP
        PERFORM pg_advisory_xact_lock_shared(ledger_lock_class(), hashtext(v_order));
    END LOOP;
END
$$;

-- Keep this sender's notes from being written while what it holds is given back. Taken after the
-- locks of orders, by everybody.
CREATE OR REPLACE FUNCTION ledger_lock_senders(p_senders text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_sender text;
BEGIN
    FOR v_sender IN SELECT DISTINCT s FROM unnest(p_senders) s ORDER BY s LOOP
        PERFORM pg_advisory_xact_lock(public.ledger_lock_class() + 1, hashtext(v_sender));
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

-- Take or renew the lease of a sender. False: another place holds this name.
CREATE OR REPLACE FUNCTION ledger_lease(
    p_sender text, p_mode text, p_host text, p_pid integer, p_seconds double precision
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_until timestamptz := clock_timestamp()  -- clock: a lease is real time
                           + make_interval(secs => p_seconds);
BEGIN
    DELETE FROM notices_senderlease
    WHERE name <> p_sender AND lease_until < clock_timestamp() - interval '1 day';  -- clock: as above
    -- Whose lease another place lets run out may only sleep: that it had one stays on record.
    INSERT INTO notices_senderlease AS left_over (name, mode, host, pid, lease_until)
    SELECT 'was:' || md5(gone.host || ' ' || gone.name),
           gone.mode, gone.host, gone.pid, gone.lease_until
    FROM notices_senderlease gone
    WHERE gone.name = p_sender AND gone.host <> p_host
      AND gone.lease_until <= clock_timestamp()  -- clock: a lease is real time
    ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until;
    INSERT INTO notices_senderlease AS held (name, mode, host, pid, lease_until)
    VALUES (p_sender, p_mode, p_host, p_pid, v_until)
    ON CONFLICT (name) DO UPDATE
        SET mode = excluded.mode, host = excluded.host, pid = excluded.pid,
            lease_until = excluded.lease_until
        WHERE held.host = excluded.host  -- in one place the sender's own file lock decides
           OR held.lease_until <= clock_timestamp();  -- clock: a lease is real time
    RETURN FOUND;
END
$$;

-- The end of a sender that holds nothing any more. A lease that ran out instead is the sign of one
-- that nobody has heard of since, and is waited for.
CREATE OR REPLACE FUNCTION ledger_leave(p_sender text, p_host text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM notices_senderlease WHERE name = p_sender AND host = p_host
$$;

-- What a machine that only sends needs to know an order's emergency code by, and no more.
CREATE OR REPLACE FUNCTION ledger_stop_hashes()
RETURNS TABLE (order_number text, epoch bigint, stop_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.order_number, m.epoch, m.stop_hash FROM notices_mailing m
    WHERE m.stop_hash <> '' AND NOT m.withdrawn
$$;

CREATE OR REPLACE FUNCTION ledger_template(p_template_id bigint)
RETURNS TABLE (subject text, words text, html text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.subject, t.text, t.html FROM notices_template t WHERE t.id = p_template_id
$$;

-- What the senders noted of an order becomes the state of its mails (N4, N5); p_sender NULL:
-- everybody's notes. The caller holds the order's lock. Two at once: the second waits for the
-- first, and finds nothing left. So whoever folds several orders goes up by their numbers, or two
-- would wait for each other. Nothing is judged here: it was, when it was noted down. A 250 is the
-- truth for whatever became of the mail since; a permit is one for the claim that it names.
CREATE OR REPLACE FUNCTION ledger_fold(p_order text, p_sender text) RETURNS void
LANGUAGE plpgsql
-- A session keeps the plan that was good for its first mails: it has to be good for many, too.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM notices_openbatch b WHERE b.order_number = p_order
                   AND (p_sender IS NULL OR b.sender = p_sender)) THEN
        RETURN;
    END IF;
    PERFORM set_config('countermand.permits', 'judged', true);
    WITH gone AS (
        DELETE FROM notices_openbatch b
        WHERE b.order_number = p_order AND (p_sender IS NULL OR b.sender = p_sender)
        RETURNING b.*
    ), said AS (
        SELECT DISTINCT ON (u.id) u.id, u.words, u.queue_id, g.at
        FROM gone g, unnest(g.accepted, g.replies, g.queue_ids) AS u (id, words, queue_id)
        ORDER BY u.id, g.id
    ), let AS (
        SELECT u.id, coalesce(u.claim, 0) AS claim
        FROM gone g, unnest(g.permitted, g.claims) AS u (id, claim)
    ), touched AS (
        SELECT coalesce(said.id, let.id) AS id, let.id IS NOT NULL AS was_let, let.claim,
               said.id IS NOT NULL AS was_accepted, said.words, said.queue_id, said.at
        FROM said FULL JOIN let ON let.id = said.id
    )
    UPDATE notices_notice n
    SET state = CASE WHEN t.was_accepted THEN 'sent' ELSE 'permitted' END,
        exposure = CASE WHEN t.was_accepted THEN 2 ELSE greatest(n.exposure, 1) END,
        attempts = n.attempts + CASE WHEN t.was_let THEN 1 ELSE 0 END,
        accepted_at = CASE WHEN t.was_accepted THEN coalesce(n.accepted_at, t.at)
                           ELSE n.accepted_at END,
        queue_id = CASE WHEN t.was_accepted THEN t.queue_id ELSE n.queue_id END,
        last_reply = CASE WHEN t.was_accepted THEN t.words ELSE n.last_reply END,
        claimed_by = CASE WHEN t.was_accepted THEN '' ELSE n.claimed_by END
    FROM touched t
    WHERE n.id = t.id
      AND CASE WHEN t.was_accepted
               THEN n.state IN ('claimed', 'permitted', 'maybe', 'pending', 'refused', 'skipped')
               ELSE n.state IN ('claimed', 'permitted') AND n.claim = t.claim END;
    PERFORM set_config('countermand.permits', '', true);
END
$$;

-- Whatever this sender claimed since p_heard was never told it: a session died, or a connection.
-- It has one claim under way at a time, so such mails wait again; none of them has a permit, or
-- somebody had heard of it. p_heard NULL: this sender does not say.
-- Returns how many batches were given back: above 0, this sender's lock is held.
CREATE OR REPLACE FUNCTION ledger_take_unheard_back(p_sender text, p_heard bigint)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_batch record;
    v_count integer := 0;
BEGIN
    UPDATE notices_claimbatch b SET heard = true
    WHERE b.sender = p_sender AND NOT b.heard AND b.claim = p_heard;
    FOR v_batch IN
        -- Not a join, which some plans begin with all mails.
        SELECT b.id, b.claim, b.notice_ids,
               (SELECT n.order_number FROM notices_notice n
                WHERE n.id = b.notice_ids[1]) AS order_number
        FROM notices_claimbatch b
        WHERE b.sender = p_sender AND NOT b.heard
        ORDER BY order_number, b.id
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(
            ledger_lock_class(), hashtext(v_batch.order_number));
        -- The lock is not taken for nothing: somebody else may have given all of them back.
        IF EXISTS (SELECT FROM notices_notice n
                   WHERE n.id = ANY (v_batch.notice_ids) AND n.claimed_by = p_sender
                     AND n.claim = v_batch.claim AND n.state = 'claimed') THEN
            PERFORM ledger_lock_senders(ARRAY[p_sender]);
            PERFORM ledger_fold(v_batch.order_number, p_sender);
            UPDATE notices_notice n
            SET state = CASE WHEN n.exposure_before > 0 THEN 'maybe' ELSE 'pending' END,
                claimed_by = ''
            WHERE n.id = ANY (v_batch.notice_ids) AND n.claimed_by = p_sender
              AND n.claim = v_batch.claim AND n.state = 'claimed';
            v_count := v_count + 1;
        END IF;
        UPDATE notices_claimbatch b SET heard = true WHERE b.id = v_batch.id;
    END LOOP;
    RETURN v_count;
END
$$;

-- Which of these mails may be handed out now, so that neither the relay nor a domain gets more a
-- minute than its limit says: of whatever kind, order and sender, corrections alone never come
-- here. The others wait for a turn, ten minutes at most until they are looked at anew: what had its
-- turn before may be stopped meanwhile. A minute is counted as 61 seconds (`domain.mail_limits`),
-- so a second that a claim comes late may be caught up with. The caller holds the limits' lock.
CREATE OR REPLACE FUNCTION ledger_keep_limits(p_ids bigint[], p_now timestamptz) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_names text[];
    v_apart interval[];
    v_free timestamptz[];  -- when the next may leave
    v_turn timestamptz[];  -- when the next that has to wait is looked at
    v_mail record;
    v_place integer;
    v_last integer;  -- the limit that keeps it longest
    v_at timestamptz;
    v_let bigint[] := '{}';
    v_waiting bigint[] := '{}';
    v_until timestamptz[] := '{}';
BEGIN
    -- Nothing is further ahead than this, unless the clock was put back.
    SELECT array_agg(l.name::text), array_agg(l.apart),
           array_agg(least(coalesce(l.free_at, p_now), p_now + l.apart)),
           array_agg(CASE WHEN l.turn_at < p_now + interval '10 minutes' THEN l.turn_at END)
    INTO v_names, v_apart, v_free, v_turn
    FROM notices_maillimit l;
    FOR v_mail IN
        SELECT u.id, ARRAY(SELECT l.place::integer
                           FROM unnest(v_names) WITH ORDINALITY AS l (name, place)
                           WHERE l.name IN ('*', lower(substring(n.address from '[^@]*$')))
                          ) AS places
        FROM unnest(p_ids) WITH ORDINALITY AS u (id, place) JOIN notices_notice n ON n.id = u.id
        ORDER BY u.place
    LOOP
        v_at := NULL;
        FOREACH v_place IN ARRAY v_mail.places LOOP
            IF v_free[v_place] > p_now
               AND (v_at IS NULL OR greatest(v_free[v_place], v_turn[v_place]) > v_at) THEN
                v_at := greatest(v_free[v_place], v_turn[v_place]);
                v_last := v_place;
            END IF;
        END LOOP;
        IF v_at IS NULL THEN
            v_let := v_let || v_mail.id;
            FOREACH v_place IN ARRAY v_mail.places LOOP
                v_free[v_place] := greatest(v_free[v_place], p_now - interval '1 second')
                                   + v_apart[v_place];
            END LOOP;
        ELSE
            v_waiting := v_waiting || v_mail.id;
            v_until := v_until || v_at;
            v_turn[v_last] := CASE WHEN v_at < p_now + interval '10 minutes'
                                   THEN v_at + v_apart[v_last] END;
        END IF;
    END LOOP;
    UPDATE notices_notice n SET due_at = u.at
    FROM unnest(v_waiting, v_until) AS u (id, at) WHERE n.id = u.id;
    UPDATE notices_maillimit l SET free_at = u.free_at, turn_at = u.turn_at
    FROM unnest(v_names, v_free, v_turn) AS u (name, free_at, turn_at) WHERE l.name = u.name;
    RETURN v_let;
END
$$;

-- When the day begins for somebody for whom it is night (21:00 to 07:00); NULL by day. What
-- `domain.schedule` says: a test holds both together. A zone that nobody knows is the last on earth.
CREATE OR REPLACE FUNCTION ledger_day_begins(p_zone text, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_local timestamp;
BEGIN
    v_local := p_now AT TIME ZONE p_zone;
    IF v_local::time >= time '07:00' AND v_local::time < time '21:00' THEN
        RETURN NULL;
    END IF;
    RETURN (v_local::date + CASE WHEN v_local::time < time '07:00' THEN 0 ELSE 1 END
            + time '07:00') AT TIME ZONE p_zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN ledger_day_begins('<-12>+12', p_now);
END
$$;

-- Which of these mails may leave by night: all but the reminders of people for whom it is night and
-- for whom a morning comes an hour or more before their time is over. Those wait for it, whatever
-- kept them from leaving by day: a pause, a relay, a limit. A mail that says no zone waits for none.
CREATE OR REPLACE FUNCTION ledger_keep_quiet(
    p_ids bigint[], p_reminders bigint[], p_now timestamptz
) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_mail record;
    v_morning timestamptz;
    v_let bigint[] := p_ids;
BEGIN
    FOR v_mail IN
        SELECT n.id, n.values ->> 'zone' AS zone, n.values ->> 'expires_at' AS until
        FROM notices_notice n WHERE n.id = ANY (p_reminders) AND n.values ->> 'zone' IS NOT NULL
    LOOP
        v_morning := ledger_day_begins(v_mail.zone, p_now);
        BEGIN
            IF v_morning <= coalesce(v_mail.until::timestamptz, 'infinity') - interval '1 hour' THEN
                UPDATE notices_notice n SET due_at = v_morning WHERE n.id = v_mail.id;
                v_let := array_remove(v_let, v_mail.id);
            END IF;
        EXCEPTION WHEN data_exception THEN
            NULL;  -- its time cannot be read: it keeps nobody waiting
        END;
    END LOOP;
    RETURN v_let;
END
$$;

CREATE OR REPLACE FUNCTION ledger_lock_limits() RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(ledger_lock_class() + 2, 0) $$;

-- Which mails of an order go next, locked for whoever asks; what others hold is left out.
CREATE OR REPLACE FUNCTION ledger_next(
    p_order text, p_corrections boolean, p_most integer, p_now timestamptz
) RETURNS bigint[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
-- However many wait: the next ones are read off their index, never sorted out of all. No other
-- question may stand under these settings, but those that name mails by their ids: one of the
-- claim's own went through the whole ledger.
SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
DECLARE
    v_ids bigint[];
    v_reminders bigint[];
BEGIN
    SELECT coalesce(array_agg(p.id), '{}'), array_agg(p.id) FILTER (WHERE p.kind = 'reminder')
    INTO v_ids, v_reminders
    FROM (
        SELECT n.id, n.kind
        FROM notices_notice n JOIN notices_mailing m ON m.order_number = n.order_number
        WHERE n.order_number = p_order
          AND n.is_waiting
          AND n.due_at <= p_now
          AND (n.kind = 'correction') = p_corrections
          AND (n.state = 'pending' OR n.attempts < 3 OR n.kind = 'correction')
          AND ledger_refusal(n.kind, n.wave, m.epoch, m.phase, m.epoch, m.stopped_epoch,
                             m.withdrawn, m.barrier_at, m.not_after, p_now) IS NULL
        ORDER BY n.due_at, n.id
        LIMIT p_most
        FOR UPDATE OF n SKIP LOCKED) AS p;
    RETURN CASE WHEN v_reminders IS NULL THEN v_ids
                ELSE ledger_keep_quiet(v_ids, v_reminders, p_now) END;
END
$$;

CREATE OR REPLACE FUNCTION ledger_claim(
    p_sender text, p_limit integer, p_claim bigint, p_heard bigint, p_now timestamptz
) RETURNS TABLE (
    notice_id bigint, order_number text, epoch bigint, kind text, address text, language text,
    template_id bigint, slots jsonb, message_id text, in_reply_to text, dated_at timestamptz,
    attempts integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_mode text := public.ledger_mode(p_sender);
    v_mailing record;
    v_corrections boolean;
    v_left integer := p_limit;
    v_is_limited boolean := false;
    v_ids bigint[];
    v_order text;
BEGIN
    -- Before mails are locked: whoever waits for those may hold this sender's lock already.
    -- Nothing is handed out beside it: a long answer might keep that lock for long.
    IF ledger_take_unheard_back(p_sender, p_heard) > 0 THEN
        RETURN;
    END IF;
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
        IF NOT v_corrections AND EXISTS (SELECT FROM notices_maillimit) THEN
            -- Nobody waits for somebody else's claim, and its answer goes into a buffer whole: who
            -- does not read on keeps the limits' lock from nobody.
            EXIT WHEN NOT pg_try_advisory_xact_lock(ledger_lock_class() + 2, 0);
            v_is_limited := true;
            v_left := least(v_left, 32);
        END IF;
        FOR v_mailing IN
            SELECT m.order_number FROM notices_mailing m
            WHERE m.mode = v_mode
              AND CASE WHEN v_corrections THEN m.withdrawn AND m.barrier_at IS NOT NULL
                       ELSE NOT m.withdrawn AND m.epoch > m.stopped_epoch END
            -- Where turns are few, no order takes all of them.
            ORDER BY CASE WHEN v_is_limited THEN random() END, m.order_number
        LOOP
            EXIT WHEN v_left <= 0;
            -- A stop that waits for this lock is not made to wait for one more claim.
            CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(
                public.ledger_lock_class(), hashtext(v_mailing.order_number));
            v_ids := ledger_next(v_mailing.order_number, v_corrections, v_left, p_now);
            IF v_is_limited THEN
                v_ids := ledger_keep_limits(v_ids, p_now);
            END IF;
            CONTINUE WHEN cardinality(v_ids) = 0;
            INSERT INTO notices_claimbatch (sender, claim, notice_ids, heard)
            VALUES (p_sender, p_claim, v_ids, p_heard IS NULL);
            RETURN QUERY
            WITH taken AS (
                UPDATE notices_notice n
                SET state = 'claimed', claimed_by = p_sender, claim = p_claim,
                    exposure_before = n.exposure,
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

-- Note down permits that may all be given and 250s for mails that are all in this sender's hands,
-- each under the claim that is named.
-- False: something else is among them, and nothing was done.
CREATE OR REPLACE FUNCTION ledger_note(
    p_sender text, p_order text, p_permits bigint[], p_permit_claims bigint[],
    p_replied bigint[], p_reply_claims bigint[], p_reply_texts text[], p_queue_ids text[],
    p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_mailing notices_mailing%ROWTYPE;
    v_ids bigint[] := p_permits || p_replied;
    v_claims bigint[] := p_permit_claims || p_reply_claims;
    -- Nearly always one claim: then no mail's own is looked for.
    v_claim bigint := CASE WHEN v_claims[1] = ALL (v_claims) THEN v_claims[1] END;
    v_count bigint;
    v_message_ids jsonb;
BEGIN
    SELECT * INTO v_mailing FROM notices_mailing m WHERE m.order_number = p_order;
    SELECT count(*), jsonb_agg(n.message_id) FILTER (WHERE n.id = ANY (p_permits))
    INTO v_count, v_message_ids
    FROM notices_notice n
    WHERE n.id = ANY (v_ids) AND n.claimed_by = p_sender
      AND n.claim = coalesce(v_claim, v_claims[array_position(v_ids, n.id)])
      AND CASE WHEN n.id = ANY (p_replied) THEN n.state IN ('claimed', 'permitted')
               ELSE n.state = 'claimed'
                    AND ledger_refusal(n.kind, n.wave, n.epoch, v_mailing.phase, v_mailing.epoch,
                                       v_mailing.stopped_epoch, v_mailing.withdrawn,
                                       v_mailing.barrier_at, v_mailing.not_after, p_now) IS NULL
          END;
    IF v_count <> cardinality(v_ids)
       OR EXISTS (SELECT FROM notices_openbatch b WHERE b.order_number = p_order
                  AND (b.permitted && p_permits OR b.accepted && v_ids))
    THEN
        RETURN false;
    END IF;
    IF cardinality(p_permits) > 0 THEN
        IF ledger_mode(p_sender) IS DISTINCT FROM v_mailing.mode THEN
            RETURN false;
        END IF;
        INSERT INTO notices_permitbatch
            (order_number, epoch, digest, sender, at, message_ids, logged)
        VALUES (p_order, v_mailing.epoch, v_mailing.digest, p_sender, p_now, v_message_ids, false);
    END IF;
    INSERT INTO notices_openbatch
        (order_number, sender, at, permitted, claims, accepted, replies, queue_ids)
    VALUES (p_order, p_sender, p_now, p_permits, p_permit_claims, p_replied, p_reply_texts,
            p_queue_ids);
    RETURN true;
END
$$;

-- One commit of a sender: what servers answered (N3, N5 to N7), what was given back with its dot
-- provably unwritten (N2), and the intents to send (N4). All of them name mails under their claims,
-- one array for each. Returns why a permit is not given, one for each that was asked for and in that
-- order, '' where it is; an empty array when all are.
-- What usually happens is noted down in one row and folded into the mails later; anything else
-- first folds what was noted, and then changes the mails themselves.
-- It asks ledger_refusal about every permit in the very statement that gives it, so the guard of a
-- mail, which would ask once more for each row, is told to watch every other way to a permit.
CREATE OR REPLACE FUNCTION ledger_exchange(
    p_sender text, p_permits bigint[], p_permit_claims bigint[],
    p_replied bigint[], p_reply_claims bigint[], p_reply_kinds text[], p_reply_texts text[],
    p_queue_ids text[], p_aborted bigint[], p_aborted_claims bigint[], p_now timestamptz
) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    v_mode text;
    v_permitted bigint[];
    v_permitted_claims bigint[];
    v_order text;
    -- Nearly always one order: its first and last name are found without sorting them all.
    v_orders text[] := (
        SELECT CASE WHEN min(n.order_number) = max(n.order_number)
                    THEN ARRAY[min(n.order_number)::text]
                    ELSE coalesce(array_agg(DISTINCT n.order_number::text
                                            ORDER BY n.order_number::text), '{}') END
        FROM notices_notice n WHERE n.id = ANY (p_permits || p_replied || p_aborted));
BEGIN
    PERFORM ledger_lock_shared(v_orders);
    PERFORM pg_advisory_xact_lock_shared(ledger_lock_class() + 1, hashtext(p_sender));
    IF cardinality(v_orders) = 1 AND cardinality(p_aborted) = 0
       AND 'accepted' = ALL (p_reply_kinds) AND NOT p_permits && p_replied
       AND ledger_note(p_sender, v_orders[1], p_permits, p_permit_claims, p_replied,
                       p_reply_claims, p_reply_texts, p_queue_ids, p_now)
    THEN
        RETURN '{}';
    END IF;
    FOREACH v_order IN ARRAY v_orders LOOP
        PERFORM ledger_fold(v_order, NULL);
    END LOOP;

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
        FROM unnest(p_replied, p_reply_claims, p_reply_kinds, p_reply_texts)
             AS r (id, claim, kind, words)
        WHERE n.id = r.id AND n.claimed_by = p_sender AND n.claim = r.claim
          AND ((r.kind = 'lost' AND n.state = 'permitted')
               OR (r.kind IN ('deferred', 'refused') AND n.state IN ('claimed', 'permitted')));
    END IF;

    IF cardinality(p_aborted) > 0 THEN
        UPDATE notices_notice n
        SET state = CASE WHEN n.exposure_before > 0 THEN 'maybe' ELSE 'pending' END,
            exposure = n.exposure_before,
            attempts = n.attempts - CASE WHEN n.state = 'permitted' THEN 1 ELSE 0 END,
            claimed_by = ''
        FROM unnest(p_aborted, p_aborted_claims) AS a (id, claim)
        WHERE n.id = a.id AND n.claimed_by = p_sender AND n.claim = a.claim
          AND n.state IN ('claimed', 'permitted');
    END IF;

    IF cardinality(p_permits) = 0 THEN
        RETURN '{}';
    END IF;
    v_mode := ledger_mode(p_sender);
    PERFORM set_config('countermand.permits', 'judged', true);
    WITH permitted AS (
        UPDATE notices_notice n
        SET state = 'permitted', exposure = greatest(n.exposure, 1), attempts = n.attempts + 1
        FROM notices_mailing m, unnest(p_permits, p_permit_claims) AS u (id, claim)
        WHERE n.id = u.id AND n.state = 'claimed' AND n.claimed_by = p_sender
          AND n.claim = u.claim
          -- Joined by an expression, so that nothing but the ids is used to find the mails.
          AND m.order_number = n.order_number || '' AND m.mode = v_mode
          AND ledger_refusal(n.kind, n.wave, n.epoch, m.phase, m.epoch, m.stopped_epoch,
                             m.withdrawn, m.barrier_at, m.not_after, p_now) IS NULL
        RETURNING n.id, n.claim, n.message_id, m.order_number, m.epoch, m.digest
    ), batched AS (
        INSERT INTO notices_permitbatch
            (order_number, epoch, digest, sender, at, message_ids, logged)
        SELECT p.order_number, p.epoch, p.digest, p_sender, p_now,
               jsonb_agg(p.message_id ORDER BY p.message_id), false
        FROM permitted p
        GROUP BY p.order_number, p.epoch, p.digest
    )
    SELECT array_agg(p.id), array_agg(p.claim) INTO v_permitted, v_permitted_claims
    FROM permitted p;
    PERFORM set_config('countermand.permits', '', true);

    IF cardinality(v_permitted) = cardinality(p_permits) THEN
        RETURN '{}';
    END IF;
    -- Only now, why not.
    RETURN ARRAY(
    SELECT CASE
               WHEN let.id IS NOT NULL THEN ''
               WHEN n.id IS NULL OR n.state <> 'claimed' OR n.claimed_by <> p_sender
                    OR n.claim <> a.claim
                   THEN 'not_claimed'
               WHEN v_mode IS NULL THEN 'lease'
               WHEN v_mode <> m.mode THEN 'mode'
               ELSE coalesce(
                   ledger_refusal(n.kind, n.wave, n.epoch, m.phase, m.epoch, m.stopped_epoch,
                                  m.withdrawn, m.barrier_at, m.not_after, p_now), 'not_claimed')
           END
    FROM unnest(p_permits, p_permit_claims) WITH ORDINALITY AS a (id, claim, place)
    LEFT JOIN unnest(v_permitted, v_permitted_claims) AS let (id, claim)
           ON let.id = a.id AND let.claim = a.claim
    LEFT JOIN notices_notice n ON n.id = a.id
    LEFT JOIN notices_mailing m ON m.order_number = n.order_number
    ORDER BY a.place);
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
    v_batches bigint[];
    v_order text;
    v_count integer;
BEGIN
    -- A living sender's batches go when all their mails have left its hands.
    DELETE FROM notices_claimbatch b
    WHERE b.sender = p_sender AND NOT EXISTS (
        SELECT 1 FROM notices_notice n
        WHERE n.id = ANY (b.notice_ids) AND n.state IN ('claimed', 'permitted')
          AND n.claimed_by = b.sender AND n.claim = b.claim);
    v_dead := ARRAY(
        SELECT DISTINCT b.sender FROM notices_claimbatch b
        WHERE CASE WHEN b.sender = p_sender THEN p_own ELSE NOT EXISTS (
              SELECT 1 FROM notices_senderlease l WHERE l.name = b.sender
                 AND l.lease_until > clock_timestamp()) END);  -- clock: a lease is real time
    IF cardinality(v_dead) = 0 THEN
        RETURN 0;
    END IF;
    v_batches := ARRAY(SELECT b.id FROM notices_claimbatch b WHERE b.sender = ANY (v_dead));
    PERFORM ledger_lock_shared(ARRAY(
        SELECT DISTINCT n.order_number
        FROM notices_claimbatch b JOIN notices_notice n ON n.id = ANY (b.notice_ids)
        WHERE b.id = ANY (v_batches) ORDER BY n.order_number));
    PERFORM ledger_lock_senders(v_dead);
    FOR v_order IN SELECT DISTINCT o.order_number FROM notices_openbatch o
                   WHERE o.sender = ANY (v_dead) ORDER BY o.order_number LOOP
        PERFORM ledger_fold(v_order, NULL);
    END LOOP;
    UPDATE notices_notice n
    SET state = CASE WHEN n.state = 'permitted' OR n.exposure_before > 0
                     THEN 'maybe' ELSE 'pending' END,
        exposure = CASE WHEN n.state = 'permitted' THEN n.exposure ELSE n.exposure_before END,
        due_at = CASE WHEN n.state = 'permitted'
                      THEN p_now + ledger_retry_after(n.attempts) ELSE n.due_at END,
        claimed_by = ''
    FROM notices_claimbatch b
    WHERE b.id = ANY (v_batches) AND n.id = ANY (b.notice_ids)
      AND n.claimed_by = b.sender AND n.claim = b.claim AND n.state IN ('claimed', 'permitted');
    GET DIAGNOSTICS v_count = ROW_COUNT;
    -- What was claimed since by such a name stays noted down.
    DELETE FROM notices_claimbatch b WHERE b.id = ANY (v_batches);
    RETURN v_count;
END
$$;

-- What senders of the version before ask, until all are new: their claims have no numbers.

CREATE OR REPLACE FUNCTION ledger_claim(p_sender text, p_limit integer, p_now timestamptz)
RETURNS TABLE (
    notice_id bigint, order_number text, epoch bigint, kind text, address text, language text,
    template_id bigint, slots jsonb, message_id text, in_reply_to text, dated_at timestamptz,
    attempts integer
)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM ledger_claim(p_sender, p_limit, 0, NULL, p_now)
$$;

CREATE OR REPLACE FUNCTION ledger_exchange(
    p_sender text, p_permits bigint[],
    p_replied bigint[], p_reply_kinds text[], p_reply_texts text[], p_queue_ids text[],
    p_aborted bigint[], p_now timestamptz
) RETURNS TABLE (notice_id bigint, refusal text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.id, nullif(a.refusal, '')
    FROM ledger_exchange(
        p_sender, p_permits, array_fill(0::bigint, ARRAY[cardinality(p_permits)]),
        p_replied, array_fill(0::bigint, ARRAY[cardinality(p_replied)]),
        p_reply_kinds, p_reply_texts, p_queue_ids,
        p_aborted, array_fill(0::bigint, ARRAY[cardinality(p_aborted)]), p_now) AS e (refusals),
        -- Made of what it answers, so that it is asked also where no permit is.
        unnest(p_permits, e.refusals) AS a (id, refusal)
$$;

-- The rest belongs to the program itself, not to senders.

-- What senders noted of an order is in its mails afterwards.
CREATE OR REPLACE FUNCTION ledger_catch_up(p_order text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM ledger_lock_shared(ARRAY[p_order]);
    PERFORM ledger_fold(p_order, NULL);
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
    PERFORM ledger_fold(p_order, NULL);
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
BEGIN
    IF v_order IS NULL THEN
        RETURN false;
    END IF;
    PERFORM ledger_lock_shared(ARRAY[v_order]);
    PERFORM ledger_fold(v_order, NULL);
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
        -- It may come back before its sender could note that it was accepted.
        UPDATE notices_notice n
        SET state = 'bounced', bounced_at = coalesce(n.bounced_at, p_at), claimed_by = ''
        WHERE n.id = p_notice AND n.state IN ('sent', 'maybe', 'permitted');
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
    RETURN FOUND;
END
$$;
