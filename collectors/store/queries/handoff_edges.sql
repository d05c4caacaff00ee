-- The handoffs that stand of one session, by what identifies them.
SELECT from_call, to_call
FROM handoffs FINAL
WHERE session_id = {session:String}
