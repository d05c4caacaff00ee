-- Facts: one row a finished call, columns = fields of CallRecord (ts_ns is ts; blocks and outputs are parallel arrays).
-- NULL is unknown, never zero. Money is integer nano-USD. Rows are only ever added.
-- Synced at insert: the spool's copy is deleted once the insert returns.
CREATE TABLE IF NOT EXISTS {database}.calls
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    call_id String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    upstream LowCardinality(String),
    dialect LowCardinality(String),
    outcome LowCardinality(String),
    duration_us Int64 CODEC(T64, ZSTD(1)),
    status Nullable(UInt16) CODEC(ZSTD(1)),
    worker LowCardinality(String),
    tenant LowCardinality(String),
    key_hash LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    session_source LowCardinality(String),
    session_confidence Float64 CODEC(ZSTD(1)),
    stage LowCardinality(String),
    stage_source LowCardinality(String),
    stage_confidence Float64 CODEC(ZSTD(1)),
    role LowCardinality(Nullable(String)),
    role_source LowCardinality(String),
    parent String CODEC(ZSTD(1)),
    task String CODEC(ZSTD(1)),
    variant LowCardinality(String),
    essential Nullable(Bool) CODEC(ZSTD(1)),
    verdict LowCardinality(Nullable(String)),
    method LowCardinality(String),
    path String CODEC(ZSTD(1)),
    operation LowCardinality(String),
    tool LowCardinality(String),
    model LowCardinality(Nullable(String)),
    response_model LowCardinality(Nullable(String)),
    response_id String CODEC(ZSTD(1)),
    previous_id String CODEC(ZSTD(1)),
    streamed Bool CODEC(ZSTD(1)),
    finish_reason LowCardinality(String),
    error String CODEC(ZSTD(1)),
    input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cache_read_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cache_write_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    reasoning_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    usage_source LowCardinality(String),
    cost_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_input_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_cache_read_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_cache_write_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_output_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_fee_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    price_version LowCardinality(String),
    attempts Int32 CODEC(T64, ZSTD(1)),
    client_retry Int32 CODEC(T64, ZSTD(1)),
    retry_key String CODEC(ZSTD(1)),
    body_hash String CODEC(ZSTD(1)),
    ttfb_us Nullable(Int64) CODEC(T64, ZSTD(1)),
    proxy_us Int64 CODEC(T64, ZSTD(1)),
    request_bytes Int64 CODEC(T64, ZSTD(1)),
    response_bytes Int64 CODEC(T64, ZSTD(1)),
    blocks Nested
    (
        digest UInt64,
        kind LowCardinality(String),
        size UInt64
    ) CODEC(ZSTD(1)),
    outputs Nested
    (
        digest UInt64,
        kind LowCardinality(String),
        size UInt64
    ) CODEC(ZSTD(1)),
    emitted_tools Array(LowCardinality(String)) CODEC(ZSTD(1)),
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_call call_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(ts)
ORDER BY (tenant, session_id, ts, call_id)
TTL toDateTime(ts) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    fsync_after_insert = 1, fsync_part_directory = 1;

-- Takes rows of calls and keeps none: an insert here loads everything that the first real insert needs.
CREATE TABLE IF NOT EXISTS {database}.warm_up AS {database}.calls ENGINE = Null;
