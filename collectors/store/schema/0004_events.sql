-- What budgets did and who decided it: the audit trail. Amounts are nano-USD; NULL where the unit is another.
CREATE TABLE IF NOT EXISTS {database}.budget_events
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id String CODEC(ZSTD(1)),
    budget LowCardinality(String),
    scope String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    amount_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    limit_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    actor String CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(ts)
ORDER BY (budget, ts, id)
TTL toDateTime(ts) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Alerts that fired, each once.
CREATE TABLE IF NOT EXISTS {database}.alerts
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    scope String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    amount_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    limit_nano Nullable(Int64) CODEC(T64, ZSTD(1)),
    actor String CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(ts)
ORDER BY (name, ts, id)
TTL toDateTime(ts) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
