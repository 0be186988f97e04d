//! What the registry asks of the rest of the host: the operator's grants, and the stores for a driver's `config`.

use std::{fs, io, path::PathBuf, sync::Arc};

use jackfield_controller::Controller;
use jackfield_driver::{
    Context, Identity, Operation, Outcome, Phase,
    grants::{Grants, GrantsFile},
};
use jackfield_model::{Error, ErrorCode, Result};
use jackfield_wasm::{Allowance, Outside};

/// The operator, as far as drivers are concerned.
pub(super) struct Operator {
    grants: PathBuf,
    controller: Controller,
}

impl Operator {
    /// Grants from that file, stores of that controller.
    pub fn new(grants: PathBuf, controller: Controller) -> Self {
        Self { grants, controller }
    }
}

impl Outside for Operator {
    /// Read each time, so that a grant is there for the next load as soon as it is written.
    fn allowance(&self, driver: &str) -> Result<Allowance> {
        let file = self.read()?;
        Ok(Allowance {
            grants: file.of(driver),
            ..Allowance::default()
        })
    }

    fn config_operation(&self, driver: &Identity, grants: &Arc<Grants>) -> Operation {
        Operation::new(Context {
            realm: self.controller.own_realm(),
            driver: driver.clone(),
            grants: grants.clone(),
            phase: Phase::Config,
            network: None,
            endpoint: None,
            own_links: Vec::new(),
            deferred: None,
            foreign_sandbox: false,
            state: self.controller.driver_state(),
            ports: Arc::default(),
        })
    }

    fn configured(&self, driver: &Identity, outcome: Outcome) -> Result<()> {
        self.controller.commit_config(&driver.name, outcome)
    }
}

impl Operator {
    /// No file grants nothing; one that cannot be read or understood is an error, not nothing.
    fn read(&self) -> Result<GrantsFile> {
        let place = || format!("file {}", self.grants.display());
        match fs::read_to_string(&self.grants) {
            Ok(text) => GrantsFile::parse(&text).map_err(|e| e.object(place())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(GrantsFile::default()),
            Err(cause) => Err(Error::new(ErrorCode::Unavailable, "the grants file cannot be read")
                .object(place())
                .caused_by(cause)),
        }
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}
