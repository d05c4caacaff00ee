-- The handoffs of one tenant's session, in order of the receiving call's arrival; at most {limit}.
SELECT
    h.from_call AS from_call, h.to_call AS to_call, h.from_stage AS from_stage, h.to_stage AS to_stage,
    h.kind AS kind, h.gap_us AS gap_us, h.net_gap_us AS net_gap_us, h.overlap_us AS overlap_us, h.is_idle AS is_idle,
    h.cross_request_tokens AS cross_request_tokens, h.cross_output_tokens AS cross_output_tokens,
    h.method AS method, h.confidence AS confidence
FROM (SELECT * FROM handoffs FINAL WHERE session_id = {session:String}) AS h
INNER JOIN
(
    SELECT call_id, ts FROM calls WHERE tenant = {tenant:String} AND session_id = {session:String}
) AS c
    ON h.to_call = c.call_id
ORDER BY c.ts, from_call, to_call
LIMIT {limit:UInt32}
