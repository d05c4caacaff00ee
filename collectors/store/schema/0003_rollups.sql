-- Rollups of calls, filled at insert. Read with sum() and quantilesTDigestMerge(): merges happen later, or never.
CREATE TABLE IF NOT EXISTS {database}.rollup_hour_stage
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    tenant LowCardinality(String),
    stage LowCardinality(String),
    upstream LowCardinality(String),
    model LowCardinality(String),
    kind LowCardinality(String),
    calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    unpriced_calls SimpleAggregateFunction(sum, UInt64),
    input_tokens SimpleAggregateFunction(sum, Int64),
    output_tokens SimpleAggregateFunction(sum, Int64),
    cache_read_tokens SimpleAggregateFunction(sum, Int64),
    cost_nano SimpleAggregateFunction(sum, Int64),
    duration_us SimpleAggregateFunction(sum, Int64),
    duration_quantiles AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Int64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, hour, stage, upstream, model, kind)
TTL hour + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.rollup_hour_stage_mv TO {database}.rollup_hour_stage AS
SELECT
    toStartOfHour(toDateTime(c.ts, 'UTC')) AS hour,
    c.tenant AS tenant, c.stage AS stage, c.upstream AS upstream,
    ifNull(c.model, '') AS model, c.kind AS kind,
    count() AS calls,
    countIf(c.outcome NOT IN ('ok', 'refused')) AS errors,
    countIf(c.cost_nano IS NULL AND c.outcome != 'refused'
            AND ifNull(c.input_tokens, 0) + ifNull(c.output_tokens, 0) > 0) AS unpriced_calls,
    sum(ifNull(c.input_tokens, 0)) AS input_tokens,
    sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    sum(ifNull(c.cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(c.cost_nano, 0)) AS cost_nano,
    sum(c.duration_us) AS duration_us,
    quantilesTDigestState(0.5, 0.95, 0.99)(c.duration_us) AS duration_quantiles
FROM {database}.calls AS c
GROUP BY hour, tenant, stage, upstream, model, kind;

CREATE TABLE IF NOT EXISTS {database}.rollup_day_session
(
    day Date CODEC(Delta(2), ZSTD(1)),
    tenant LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    unpriced_calls SimpleAggregateFunction(sum, UInt64),
    input_tokens SimpleAggregateFunction(sum, Int64),
    output_tokens SimpleAggregateFunction(sum, Int64),
    cache_read_tokens SimpleAggregateFunction(sum, Int64),
    cost_nano SimpleAggregateFunction(sum, Int64),
    duration_us SimpleAggregateFunction(sum, Int64),
    first_ts SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_ts SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, session_id)
TTL day + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.rollup_day_session_mv TO {database}.rollup_day_session AS
SELECT
    toDate(c.ts, 'UTC') AS day,
    c.tenant AS tenant, c.session_id AS session_id,
    count() AS calls,
    countIf(c.outcome NOT IN ('ok', 'refused')) AS errors,
    countIf(c.cost_nano IS NULL AND c.outcome != 'refused'
            AND ifNull(c.input_tokens, 0) + ifNull(c.output_tokens, 0) > 0) AS unpriced_calls,
    sum(ifNull(c.input_tokens, 0)) AS input_tokens,
    sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    sum(ifNull(c.cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(c.cost_nano, 0)) AS cost_nano,
    sum(c.duration_us) AS duration_us,
    min(c.ts) AS first_ts,
    max(c.ts) AS last_ts
FROM {database}.calls AS c
GROUP BY day, tenant, session_id;
