//! The lake's tables: OTLP bytes to Arrow to Parquet, and the SQL promise. Pure.
