-- How many calls the store holds of each of some sessions; the same id may be several tenants'.
SELECT tenant, session_id, sum(calls) AS calls
FROM rollup_day_session
WHERE session_id IN {sessions:Array(String)}
GROUP BY tenant, session_id
