-- What the upstream said of its limits with this answer: when to come back, and how much is left. NULL where it did not.
ALTER TABLE {database}.calls
    ADD COLUMN IF NOT EXISTS retry_after_ms Nullable(Int64) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS limit_requests_left Nullable(Int64) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS limit_tokens_left Nullable(Int64) CODEC(ZSTD(1));

ALTER TABLE {database}.warm_up
    ADD COLUMN IF NOT EXISTS retry_after_ms Nullable(Int64),
    ADD COLUMN IF NOT EXISTS limit_requests_left Nullable(Int64),
    ADD COLUMN IF NOT EXISTS limit_tokens_left Nullable(Int64);
