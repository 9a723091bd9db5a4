//! Tests of records, tables and pages.
#![allow(clippy::unwrap_used, reason = "a test")]

mod method_table;
mod mlflow;
mod page;
mod picture;
mod record;
