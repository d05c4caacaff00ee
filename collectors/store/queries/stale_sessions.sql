-- Sessions with a call since {since_ns} whose stored analysis is missing or covers fewer calls; the latest 500.
SELECT c.tenant AS tenant, c.session_id AS session_id
FROM
(
    SELECT tenant, session_id, sum(calls) AS known, max(last_ts) AS latest
    FROM rollup_day_session
    WHERE session_id != ''
    GROUP BY tenant, session_id
    HAVING latest >= fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC')
) AS c
LEFT JOIN (SELECT tenant, session_id, calls FROM sessions FINAL) AS s
    ON c.tenant = s.tenant AND c.session_id = s.session_id
WHERE s.calls < c.known
ORDER BY latest DESC, tenant, session_id
LIMIT 500
