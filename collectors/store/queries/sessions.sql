-- The sessions of a report, with the sums of their receipts; one row a session.
-- {session} '' = any; {search} '' = all, else found in id, task or variant; {since_ns}: still active then (ns, 0 = ever).
-- Only an order by tax needs the receipts of all that match; any other reads those of the sessions it lists.
-- A session id belongs to its tenant: receipts do not carry the tenant, their calls do.
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
    ORDER BY
        multiIf({sort:String} = 'cost', cost_nano, {sort:String} = 'tokens', input_tokens + output_tokens,
                {sort:String} = 'duration', wall_us, 0) DESC,
        started_ns DESC, session_id
    LIMIT if({sort:String} = 'tax', 1000000, {limit:UInt32})
)
SELECT
    s.session_id AS session_id, s.tenant AS tenant, s.task AS task, s.variant AS variant,
    s.started_ns AS started_ns, s.ended_ns AS ended_ns,
    s.session_source AS session_source, s.session_confidence AS session_confidence,
    s.pattern AS pattern, s.pattern_confidence AS pattern_confidence,
    s.calls AS calls, s.model_calls AS model_calls, s.reported_calls AS reported_calls,
    s.unpriced_calls AS unpriced_calls, s.failed_calls AS failed_calls, s.retries AS retries, s.handoffs AS handoffs,
    s.input_tokens AS input_tokens, s.output_tokens AS output_tokens, s.cache_read_tokens AS cache_read_tokens,
    s.cost_nano AS cost_nano, s.tool_cost_nano AS tool_cost_nano,
    s.wall_us AS wall_us, s.busy_us AS busy_us, s.barrier_us AS barrier_us,
    s.latency_retry_us AS retry_us, s.latency_route_us AS route_us, s.latency_coordinate_us AS coordinate_us,
    s.latency_validate_us AS validate_us, s.latency_aggregate_us AS aggregate_us,
    s.latency_handoff_us AS handoff_us, s.latency_work_us AS work_us,
    r.retry_tokens AS retry_tokens, r.route_tokens AS route_tokens, r.coordinate_tokens AS coordinate_tokens,
    r.validate_tokens AS validate_tokens, r.aggregate_tokens AS aggregate_tokens,
    r.handoff_tokens AS handoff_tokens, r.work_tokens AS work_tokens,
    r.retry_nano AS retry_nano, r.route_nano AS route_nano, r.coordinate_nano AS coordinate_nano,
    r.validate_nano AS validate_nano, r.aggregate_nano AS aggregate_nano,
    r.handoff_nano AS handoff_nano, r.work_nano AS work_nano,
    r.novel_tokens AS novel_tokens, r.own_reread_tokens AS own_reread_tokens, r.scaffold_tokens AS scaffold_tokens,
    r.cross_request_tokens AS cross_request_tokens, r.cross_output_tokens AS cross_output_tokens,
    r.unobserved_tokens AS unobserved_tokens
FROM met AS s
LEFT JOIN
(
    SELECT
        c.tenant AS tenant, r.session_id AS session_id,
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
    GROUP BY c.tenant, r.session_id
) AS r ON s.tenant = r.tenant AND s.session_id = r.session_id
ORDER BY
    multiIf(
        {sort:String} = 'cost', toFloat64(cost_nano),
        {sort:String} = 'tokens', toFloat64(input_tokens + output_tokens),
        {sort:String} = 'duration', toFloat64(wall_us),
        {sort:String} = 'tax',
            1 - work_tokens / greatest(retry_tokens + route_tokens + coordinate_tokens + validate_tokens
                                       + aggregate_tokens + handoff_tokens + work_tokens, 1),
        0) DESC,
    started_ns DESC, session_id
LIMIT {limit:UInt32}
