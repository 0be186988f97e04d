//! The interface `log`: a driver's words in the host's log, one bounded line each.

use jackfield_wasm_bindings::jackfield::driver::log::{Host, Level};
use wasmtime::Result;

use crate::{guest::Guest, output::one_line};

/// Longest message, in bytes.
const MESSAGE_MAX: usize = 2 << 10;

impl Host for Guest {
    fn log(&mut self, level: Level, message: String) -> Result<()> {
        self.charge()?;
        let (driver, message) = (&self.driver, one_line(&message, MESSAGE_MAX));
        match level {
            Level::Trace => tracing::trace!(target: "driver", %driver, "{message}"),
            Level::Debug => tracing::debug!(target: "driver", %driver, "{message}"),
            Level::Info => tracing::info!(target: "driver", %driver, "{message}"),
            Level::Warn => tracing::warn!(target: "driver", %driver, "{message}"),
            Level::Error => tracing::error!(target: "driver", %driver, "{message}"),
        }
        Ok(())
    }
}
