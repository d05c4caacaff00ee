-- The calls of one tenant's session in order of arrival, each with its receipt; at most {limit}.
SELECT
    c.call_id AS call_id, c.start_us AS start_us, c.duration_us AS duration_us, c.ttfb_us AS ttfb_us,
    c.kind AS kind, c.upstream AS upstream, c.operation AS operation, c.tool AS tool,
    ifNull(c.response_model, c.model) AS model, c.status AS status, c.outcome AS outcome, c.error AS error,
    c.streamed AS streamed, c.attempts AS attempts,
    c.input_tokens AS input_tokens, c.output_tokens AS output_tokens, c.cache_read_tokens AS cache_read_tokens,
    c.usage_source AS usage_source, c.cost_nano AS cost_nano, c.price_version AS price_version,
    if(r.call_id = '', c.stage, r.stage) AS stage, if(r.call_id = '', ifNull(c.role, 'work'), r.role) AS role,
    r.is_retry AS is_retry, r.is_rework AS is_rework, r.retry_of AS retry_of, r.retry_kind AS retry_kind,
    r.on_critical_path AS on_critical_path,
    r.retry_tokens AS retry_tokens, r.route_tokens AS route_tokens, r.coordinate_tokens AS coordinate_tokens,
    r.validate_tokens AS validate_tokens, r.aggregate_tokens AS aggregate_tokens,
    r.handoff_tokens AS handoff_tokens, r.work_tokens AS work_tokens,
    r.own_reread_tokens AS own_reread_tokens, r.scaffold_tokens AS scaffold_tokens
FROM
(
    SELECT
        call_id, toUnixTimestamp64Micro(ts) AS start_us, duration_us, ttfb_us, kind, upstream, operation, tool, model,
        response_model, status, outcome, error, streamed, attempts, input_tokens, output_tokens, cache_read_tokens,
        usage_source, cost_nano, price_version, stage, CAST(role, 'Nullable(String)') AS role
    FROM calls
    WHERE tenant = {tenant:String} AND session_id = {session:String}
    ORDER BY ts, call_id
    LIMIT {limit:UInt32}
) AS c
LEFT JOIN (SELECT * FROM receipts FINAL WHERE session_id = {session:String}) AS r ON c.call_id = r.call_id
ORDER BY start_us, call_id
