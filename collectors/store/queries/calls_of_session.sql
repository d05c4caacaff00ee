-- Every call of one session, whole, in order of arrival: what an analysis needs after a restart.
SELECT *
FROM calls
WHERE tenant = {tenant:String} AND session_id = {session:String}
ORDER BY ts, call_id
