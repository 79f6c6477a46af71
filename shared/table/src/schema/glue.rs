//! The tables as resources of the template for AWS: entries of the Glue catalog, which Athena reads.

use super::ddl::{athena_type, location, properties};
use super::{Column, TABLES, Table};

/// The section `tables` of the template: YAML at the depth of a resource. The template has a bucket `LakeBucket`, a database
/// `Database`, a parameter `KeptDays` and a condition `IsDevelopment`.
#[must_use]
pub fn glue_tables() -> String {
    TABLES.iter().map(resource).collect::<Vec<_>>().join("\n")
}

/// The name of a table's resource: `metrics_number` is `MetricsNumberTable`.
fn logical_id(table: &Table) -> String {
    let capitalized =
        |word: &str| word.get(..1).map(str::to_ascii_uppercase).unwrap_or_default() + word.get(1..).unwrap_or_default();
    table.name.split('_').map(capitalized).collect::<String>() + "Table"
}

fn resource(table: &Table) -> String {
    let properties = properties(table).into_iter().map(|(key, value)| format!("{key}: {}", substituted(&value)));
    let column = |column: &Column| {
        let (kind, comment) = (quoted(&athena_type(&column.kind)), quoted(column.doc));
        format!("- {{Name: {}, Type: {kind}, Comment: {comment}}}", column.name)
    };
    // NumberOfBuckets: some readers of the catalog fail without a number.
    format!(
        "  {logical_id}:
    Type: AWS::Glue::Table
    Properties:
      CatalogId: !Ref AWS::AccountId
      DatabaseName: !Ref Database
      TableInput:
        Name: {name}
        Description: {description}
        TableType: EXTERNAL_TABLE
        Parameters:
          EXTERNAL: 'TRUE'
          classification: parquet
          {properties}
        PartitionKeys:
          - {{Name: dt, Type: string}}
          - {{Name: hour, Type: string}}
        StorageDescriptor:
          Location: {location}
          InputFormat: org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat
          OutputFormat: org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat
          SerdeInfo:
            SerializationLibrary: org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe
            Parameters: {{serialization.format: '1'}}
          NumberOfBuckets: 0
          Columns:
            {columns}
",
        logical_id = logical_id(table),
        name = table.name,
        description = quoted(table.doc),
        properties = properties.collect::<Vec<_>>().join("\n          "),
        location = substituted(&location(table)),
        columns = table.columns().map(column).collect::<Vec<_>>().join("\n            "),
    )
}

/// A value of the template: our placeholders are its own, Athena's pass through it.
fn substituted(value: &str) -> String {
    let text = value.replace("${dt}", "${!dt}").replace("${hour}", "${!hour}");
    if text.contains("${LakeDays}") {
        // Not a day more: what is past its time is not shown, however late S3 removes it.
        format!("!Sub [{}, {{LakeDays: !If [IsDevelopment, 1, !Ref KeptDays]}}]", quoted(&text))
    } else if text.contains("${") {
        format!("!Sub {}", quoted(&text))
    } else {
        quoted(&text)
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
