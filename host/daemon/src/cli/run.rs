//! `jackfield run`: a sandbox for one command, which goes when the command ends, however it ends.
//!
//! ```text
//!   create sandbox -> connect each network -> run the command -> remove the sandbox
//!                       | refused                | cannot run, killed, signal to us
//!                       +------------------------+----------------> remove the sandbox
//! ```

use std::ffi::OsString;

use clap::Args;
use jackfield_model::Name;

use super::{Failure, Outcome, Session, exec, network::EndpointArguments, sandbox::NameArguments, signals::Signals};
use crate::{
    client::{Client, ClientError, segment},
    wire::{Change, CreateSandbox, Endpoint, Sandbox},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Network to connect to; once for each network
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// Name of the sandbox [default: its id's first digits]
    #[arg(long)]
    name: Option<Name>,
    #[command(flatten)]
    endpoint: EndpointArguments,
    #[command(flatten)]
    names: NameArguments,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Arguments {
    pub async fn run(self, session: Session) -> Outcome {
        self.check()?;
        let mut client = session.client;
        let mut signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", e))?;
        let request = CreateSandbox {
            name: self.name.clone(),
            dns: self.names.clone().into_names(),
            ..CreateSandbox::default()
        };
        let sandbox: Sandbox = client.post("/v1/sandboxes", &request).await?;
        let outcome = self.inside(&mut client, &sandbox, &mut signals).await;
        let removed: Result<Change, _> = client.delete(&format!("/v1/sandboxes/{}", sandbox.id)).await;
        // The command's own end is the answer; a sandbox that cannot be removed is told beside it.
        if let Err(error) = removed {
            eprint!("{}", Failure::from(error).text());
        }
        outcome
    }

    /// Addresses, names and ports are one endpoint's.
    fn check(&self) -> Result<(), Failure> {
        let endpoint = &self.endpoint;
        let named = endpoint.mac.is_some() || endpoint.interface.is_some();
        let one = named || !endpoint.ip.is_empty() || !endpoint.ports.publish.is_empty();
        if one && self.networks.len() != 1 {
            return Err(Failure::usage(
                "--ip, --mac, --interface and --publish need exactly one --network",
            ));
        }
        Ok(())
    }

    async fn inside(&self, client: &mut Client, sandbox: &Sandbox, signals: &mut Signals) -> Outcome {
        for network in &self.networks {
            self.connect(client, network, sandbox).await?;
        }
        exec::with_signals(sandbox, &self.command, signals).await
    }

    async fn connect(&self, client: &mut Client, network: &str, sandbox: &Sandbox) -> Result<Endpoint, ClientError> {
        let request = self.endpoint.clone().into_connect(sandbox.id.to_string());
        client
            .post(&format!("/v1/networks/{}/connect", segment(network)), &request)
            .await
    }
}
