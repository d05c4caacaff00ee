-- Which migrations were applied, with the checksum of their file. Read with FINAL.
CREATE TABLE IF NOT EXISTS {database}.schema_migrations
(
    number UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {ReplacingMergeTree}(applied_at)
ORDER BY number
SETTINGS non_replicated_deduplication_window = 10000;
