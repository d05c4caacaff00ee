-- The stages of the named sessions: receipts summed by stage, with what their calls cost and took. A stage's role is
-- the one that carries most of its tokens; ties go to the first by name. Model calls that the provider turned away
-- without usage say nothing about coverage (see collectors/sessions.py).
SELECT
    c.tenant AS tenant, r.session_id AS session_id, r.stage AS stage,
    argMax(r.role, (r.stage_role_tokens, r.role)) AS role,
    count() AS calls, countIf(r.is_retry) AS retries, countIf(r.is_rework) AS rework_calls,
    countIf(c.outcome != 'ok') AS failed_calls, countIf(c.is_countable) AS model_calls,
    countIf(c.is_countable AND c.usage_source = 'reported') AS reported_calls,
    countIf(c.cost_nano IS NULL AND ifNull(c.input_tokens, 0) + ifNull(c.output_tokens, 0) > 0) AS unpriced_calls,
    sum(ifNull(c.input_tokens, 0)) AS input_tokens, sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    sum(ifNull(c.cost_nano, 0)) AS cost_nano,
    min(c.start_us) AS started_us,
    sum(c.duration_us) AS busy_us, sumIf(c.duration_us, r.on_critical_path) AS path_us,
    toInt64(quantileExactIf(0.5)(c.duration_us, c.kind = 'model')) AS p50_us,
    toInt64(quantileExactIf(0.95)(c.duration_us, c.kind = 'model')) AS p95_us,
    sum(r.retry_tokens) AS retry_tokens, sum(r.route_tokens) AS route_tokens,
    sum(r.coordinate_tokens) AS coordinate_tokens, sum(r.validate_tokens) AS validate_tokens,
    sum(r.aggregate_tokens) AS aggregate_tokens, sum(r.handoff_tokens) AS handoff_tokens,
    sum(r.work_tokens) AS work_tokens,
    sum(r.retry_nano) AS retry_nano, sum(r.route_nano) AS route_nano, sum(r.coordinate_nano) AS coordinate_nano,
    sum(r.validate_nano) AS validate_nano, sum(r.aggregate_nano) AS aggregate_nano,
    sum(r.handoff_nano) AS handoff_nano, sum(r.work_nano) AS work_nano
FROM
(
    SELECT
        *,
        sum(retry_tokens + route_tokens + coordinate_tokens + validate_tokens + aggregate_tokens + handoff_tokens
            + work_tokens) OVER (PARTITION BY session_id, stage, role) AS stage_role_tokens
    FROM receipts FINAL
    WHERE session_id IN {sessions:Array(String)}
) AS r
INNER JOIN
(
    SELECT
        tenant, call_id, kind, outcome, usage_source, input_tokens, output_tokens, cost_nano, duration_us,
        kind = 'model' AND outcome != 'refused' AND NOT (ifNull(status, 0) >= 400 AND usage_source = 'none') AS is_countable,
        toUnixTimestamp64Micro(ts) AS start_us
    FROM calls
    WHERE session_id IN {sessions:Array(String)}
) AS c ON r.call_id = c.call_id
GROUP BY c.tenant, r.session_id, r.stage
ORDER BY tenant, session_id, started_us, stage
