//! Answers of any length, row by row: what is larger than memory is sorted on the disk.

use std::sync::Arc;

use datafusion::physical_plan::execute_stream;
use tokio::sync::mpsc::{Sender, channel};

use crate::error::SqlError;
use crate::lake::Lake;
use crate::result::{Cell, rows};

/// Batches that wait for whoever reads them.
const WAITING_MAX: usize = 2;

impl Lake {
    /// Answers one statement row by row, in its order; the limits on rows and time are for [`Lake::query`] alone. Ends with the
    /// first `Err` of `each`.
    ///
    /// # Errors
    /// [`SqlError`], also where a file is deleted while it is read; or what `each` answers.
    pub async fn for_each<E: From<SqlError>>(&self, sql: &str, mut each: impl FnMut(&[Cell]) -> Result<(), E>) -> Result<(), E> {
        let (sender, mut receiver) = channel(WAITING_MAX);
        let (lake, statement) = (self.clone(), sql.to_owned());
        // A task of its own, as for any statement: a damaged file may make the engine panic.
        let running = tokio::spawn(async move { lake.send(&statement, &sender).await });
        while let Some(batch) = receiver.recv().await {
            for row in &batch {
                each(row)?;
            }
        }
        running.await.map_err(|_| SqlError::Panicked)??;
        Ok(())
    }

    async fn send(&self, sql: &str, sender: &Sender<Vec<Vec<Cell>>>) -> Result<(), SqlError> {
        let session = self.session()?;
        let (_, plan) = self.plan(&session, sql).await?;
        let mut stream = execute_stream(Arc::clone(&plan), session.task_ctx())?;
        while let Some(batch) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
            if sender.send(rows(&batch?)?).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
