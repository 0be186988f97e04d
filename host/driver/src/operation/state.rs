//! The driver's keys and values.

use jackfield_model::Result;

use super::{Operation, running::Running};
use crate::{
    Context,
    state_view::{Committed, StateView},
};

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn state_get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let (view, committed) = self.call()?.state();
        view.get(committed, key)
    }

    pub fn state_set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let (view, committed) = self.call()?.state();
        view.write(committed, key, Some(value))
    }

    pub fn state_delete(&mut self, key: &str) -> Result<()> {
        let (view, committed) = self.call()?.state();
        view.write(committed, key, None)
    }

    pub fn state_list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let (view, committed) = self.call()?.state();
        view.list(committed, prefix, after, limit)
    }
}

impl Running {
    fn state(&mut self) -> (&mut StateView, Committed<'_>) {
        let Context {
            state, driver, grants, ..
        } = &self.context;
        (
            &mut self.state,
            Committed {
                store: state.as_ref(),
                driver: &driver.name,
                limit: grants.limits.state_bytes,
            },
        )
    }
}
