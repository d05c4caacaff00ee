-- All sessions that a report's question meets, in one row, also those beyond its limit. Parameters as in sessions.sql.
WITH met AS
(
    SELECT *
    FROM sessions FINAL
    WHERE ended_ns >= {since_ns:Int64}
      AND ({session:String} = '' OR session_id = {session:String})
      AND ({search:String} = ''
           OR positionCaseInsensitiveUTF8(session_id, {search:String}) > 0
           OR positionCaseInsensitiveUTF8(task, {search:String}) > 0
           OR positionCaseInsensitiveUTF8(variant, {search:String}) > 0)
)
SELECT s.*, r.*, u.*
FROM
(
    SELECT
        count() AS sessions, sum(met.calls) AS calls, sum(met.model_calls) AS model_calls,
        sum(met.reported_calls) AS reported_calls, sum(met.unpriced_calls) AS unpriced_calls,
        sum(met.failed_calls) AS failed_calls, sum(met.retries) AS retries, sum(met.handoffs) AS handoffs,
        sum(met.input_tokens) AS input_tokens, sum(met.output_tokens) AS output_tokens,
        sum(met.cache_read_tokens) AS cache_read_tokens,
        sum(met.cost_nano) AS cost_nano, sum(met.tool_cost_nano) AS tool_cost_nano,
        sum(met.wall_us) AS wall_us, sum(met.busy_us) AS busy_us, sum(met.barrier_us) AS barrier_us,
        sum(latency_retry_us) AS retry_us, sum(latency_route_us) AS route_us,
        sum(latency_coordinate_us) AS coordinate_us, sum(latency_validate_us) AS validate_us,
        sum(latency_aggregate_us) AS aggregate_us, sum(latency_handoff_us) AS handoff_us,
        sum(latency_work_us) AS work_us
    FROM met
) AS s
CROSS JOIN
(
    SELECT
        sum(r.retry_tokens) AS retry_tokens, sum(r.route_tokens) AS route_tokens,
        sum(r.coordinate_tokens) AS coordinate_tokens, sum(r.validate_tokens) AS validate_tokens,
        sum(r.aggregate_tokens) AS aggregate_tokens, sum(r.handoff_tokens) AS handoff_tokens,
        sum(r.work_tokens) AS work_tokens,
        sum(r.retry_nano) AS retry_nano, sum(r.route_nano) AS route_nano,
        sum(r.coordinate_nano) AS coordinate_nano, sum(r.validate_nano) AS validate_nano,
        sum(r.aggregate_nano) AS aggregate_nano, sum(r.handoff_nano) AS handoff_nano,
        sum(r.work_nano) AS work_nano,
        sum(r.novel_tokens) AS novel_tokens, sum(r.own_reread_tokens) AS own_reread_tokens,
        sum(r.scaffold_tokens) AS scaffold_tokens, sum(r.cross_request_tokens) AS cross_request_tokens,
        sum(r.cross_output_tokens) AS cross_output_tokens, sum(r.unobserved_tokens) AS unobserved_tokens
    FROM (SELECT * FROM receipts FINAL WHERE session_id IN (SELECT session_id FROM met)) AS r
    INNER JOIN (SELECT call_id, tenant FROM calls WHERE session_id IN (SELECT session_id FROM met)) AS c
        ON r.call_id = c.call_id
    WHERE (c.tenant, r.session_id) IN (SELECT tenant, session_id FROM met)
) AS r
CROSS JOIN
(   -- calls that named no session: in no receipt, but spent all the same
    SELECT
        count() AS unattributed_calls, sum(ifNull(cost_nano, 0)) AS unattributed_nano
    FROM calls
    WHERE session_id = '' AND {session:String} = '' AND {search:String} = ''
      AND ts >= fromUnixTimestamp64Nano({since_ns:Int64})
) AS u
