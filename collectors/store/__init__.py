"""ClickHouse, embedded or served: schema, migrations, and the one client. Nothing outside imports the driver."""
