-- Derived figures, columns = fields of collectors/figures.py. A later analysis of a session replaces the earlier one by
-- version: read with FINAL. Not partitioned: rows of one key must meet in one partition to be replaced.

-- Each token and nano-dollar of a call in exactly one line.
CREATE TABLE IF NOT EXISTS {database}.receipts
(
    call_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    stage LowCardinality(String),
    role LowCardinality(String),
    role_source LowCardinality(String),
    is_priced Bool CODEC(ZSTD(1)),
    is_retry Bool CODEC(ZSTD(1)),
    is_rework Bool CODEC(ZSTD(1)),
    retry_of String CODEC(ZSTD(1)),
    retry_kind LowCardinality(String),
    retry_tokens Int64 CODEC(T64, ZSTD(1)),
    route_tokens Int64 CODEC(T64, ZSTD(1)),
    coordinate_tokens Int64 CODEC(T64, ZSTD(1)),
    validate_tokens Int64 CODEC(T64, ZSTD(1)),
    aggregate_tokens Int64 CODEC(T64, ZSTD(1)),
    handoff_tokens Int64 CODEC(T64, ZSTD(1)),
    work_tokens Int64 CODEC(T64, ZSTD(1)),
    retry_nano Int64 CODEC(T64, ZSTD(1)),
    route_nano Int64 CODEC(T64, ZSTD(1)),
    coordinate_nano Int64 CODEC(T64, ZSTD(1)),
    validate_nano Int64 CODEC(T64, ZSTD(1)),
    aggregate_nano Int64 CODEC(T64, ZSTD(1)),
    handoff_nano Int64 CODEC(T64, ZSTD(1)),
    work_nano Int64 CODEC(T64, ZSTD(1)),
    novel_tokens Int64 CODEC(T64, ZSTD(1)),
    own_reread_tokens Int64 CODEC(T64, ZSTD(1)),
    scaffold_tokens Int64 CODEC(T64, ZSTD(1)),
    cross_request_tokens Int64 CODEC(T64, ZSTD(1)),
    cross_output_tokens Int64 CODEC(T64, ZSTD(1)),
    unobserved_tokens Int64 CODEC(T64, ZSTD(1)),
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    on_critical_path Bool CODEC(ZSTD(1)),
    stored_at DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {ReplacingMergeTree}(version)
ORDER BY (session_id, call_id)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- Edges between stages. One that a later analysis no longer sees is written again with is_deleted, and FINAL hides it.
CREATE TABLE IF NOT EXISTS {database}.handoffs
(
    session_id String CODEC(ZSTD(1)),
    from_call String CODEC(ZSTD(1)),
    to_call String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    from_stage LowCardinality(String),
    to_stage LowCardinality(String),
    kind LowCardinality(String),
    gap_us Int64 CODEC(T64, ZSTD(1)),
    net_gap_us Int64 CODEC(T64, ZSTD(1)),
    overlap_us Int64 CODEC(T64, ZSTD(1)),
    is_idle Bool CODEC(ZSTD(1)),
    cross_request_tokens Int64 CODEC(T64, ZSTD(1)),
    cross_output_tokens Int64 CODEC(T64, ZSTD(1)),
    method LowCardinality(String),
    confidence Float64 CODEC(ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 CODEC(ZSTD(1)),
    stored_at DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {ReplacingMergeTree}(version, is_deleted)
ORDER BY (session_id, from_call, to_call)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS {database}.sessions
(
    session_id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    tenant LowCardinality(String),
    task String CODEC(ZSTD(1)),
    variant LowCardinality(String),
    started_ns Int64 CODEC(Delta(8), ZSTD(1)),
    ended_ns Int64 CODEC(Delta(8), ZSTD(1)),
    session_source LowCardinality(String),
    session_confidence Float64 CODEC(ZSTD(1)),
    pattern LowCardinality(String),
    pattern_confidence Float64 CODEC(ZSTD(1)),
    calls Int64 CODEC(T64, ZSTD(1)),
    model_calls Int64 CODEC(T64, ZSTD(1)),
    reported_calls Int64 CODEC(T64, ZSTD(1)),
    unpriced_calls Int64 CODEC(T64, ZSTD(1)),
    failed_calls Int64 CODEC(T64, ZSTD(1)),
    retries Int64 CODEC(T64, ZSTD(1)),
    handoffs Int64 CODEC(T64, ZSTD(1)),
    input_tokens Int64 CODEC(T64, ZSTD(1)),
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_read_tokens Int64 CODEC(T64, ZSTD(1)),
    cost_nano Int64 CODEC(T64, ZSTD(1)),
    tool_cost_nano Int64 CODEC(T64, ZSTD(1)),
    wall_us Int64 CODEC(T64, ZSTD(1)),
    busy_us Int64 CODEC(T64, ZSTD(1)),
    barrier_us Int64 CODEC(T64, ZSTD(1)),
    latency_retry_us Int64 CODEC(T64, ZSTD(1)),
    latency_route_us Int64 CODEC(T64, ZSTD(1)),
    latency_coordinate_us Int64 CODEC(T64, ZSTD(1)),
    latency_validate_us Int64 CODEC(T64, ZSTD(1)),
    latency_aggregate_us Int64 CODEC(T64, ZSTD(1)),
    latency_handoff_us Int64 CODEC(T64, ZSTD(1)),
    latency_work_us Int64 CODEC(T64, ZSTD(1)),
    started_at DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Nano(started_ns, 'UTC'),
    ended_at DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Nano(ended_ns, 'UTC'),
    stored_at DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {ReplacingMergeTree}(version)
ORDER BY (tenant, session_id)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000;
