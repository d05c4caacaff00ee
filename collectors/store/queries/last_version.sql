-- The highest version that any analysis was stored under; 0 in an empty store.
SELECT max(version) AS version FROM sessions
