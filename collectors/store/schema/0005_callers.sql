-- Which instance of a stage called, what started it, and the caller's own trace. Empty where nobody said.
ALTER TABLE {database}.calls
    ADD COLUMN IF NOT EXISTS agent_id String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS parent_agent_id String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS parent_session_id String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS trace_id String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS parent_span_id String CODEC(ZSTD(1));

ALTER TABLE {database}.warm_up
    ADD COLUMN IF NOT EXISTS agent_id String,
    ADD COLUMN IF NOT EXISTS parent_agent_id String,
    ADD COLUMN IF NOT EXISTS parent_session_id String,
    ADD COLUMN IF NOT EXISTS trace_id String,
    ADD COLUMN IF NOT EXISTS parent_span_id String;
