-- Sessions with a call since {since_ns} whose stored analysis is missing or covers fewer calls; at most 10 000.
SELECT c.tenant AS tenant, c.session_id AS session_id
FROM
(
    SELECT tenant, session_id, sum(calls) AS known
    FROM rollup_day_session
    WHERE session_id != ''
    GROUP BY tenant, session_id
    HAVING max(last_ts) >= fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC')
) AS c
LEFT JOIN (SELECT tenant, session_id, calls FROM sessions FINAL) AS s
    ON c.tenant = s.tenant AND c.session_id = s.session_id
WHERE s.calls < c.known
ORDER BY tenant, session_id
LIMIT 10000
