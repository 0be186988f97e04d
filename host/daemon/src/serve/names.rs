//! The name service as the controller knows it: the server that answers, and the files of each sandbox for /etc.

use std::{io, path::PathBuf, sync::Arc};

use jackfield_controller::names::{NameService, ResolverRequest};
use jackfield_kernel::Kernel;
use jackfield_model::{
    DnsName, DnsSettings, EndpointId, Error, ErrorCode, Member, NetworkId, Result, SandboxId, VirtualService,
};
use jackfield_names::{Life, Server, Settings, files::Files};

/// Serves names for as long as the host runs.
pub(super) async fn serve(server: Server) {
    if let Err(error) = server.run().await {
        tracing::error!(%error, "the name service ended: sandboxes resolve no names until the host is started again");
    }
}

/// The server and the files.
#[derive(Debug)]
pub(super) struct Names {
    server: Server,
    files: Files,
    kernel: Arc<dyn Kernel>,
}

impl Names {
    /// Files go below that folder.
    pub fn new(server: Server, kernel: Arc<dyn Kernel>, folder: PathBuf) -> Self {
        Self {
            server,
            files: Files::below(folder),
            kernel,
        }
    }

    fn life(&self, request: &ResolverRequest) -> Result<Life> {
        let Some(source) = &request.source else {
            return Ok(Life::Host);
        };
        let unwatched = || {
            let message = "nothing tells when the sandbox's namespace goes: it gets no name service";
            Error::new(ErrorCode::Unsupported, message)
        };
        Life::of(&*self.kernel, source, &request.namespace)?.ok_or_else(unwatched)
    }
}

impl NameService for Names {
    fn open(&self, request: ResolverRequest) -> Result<u16> {
        let life = self.life(&request)?;
        let settings = Settings {
            sandbox: request.sandbox,
            realm: request.realm,
            servers: request.settings.servers,
        };
        let opened = self.server.open(settings, request.namespace, life, request.port)?;
        Ok(opened.port)
    }

    fn close(&self, sandbox: &SandboxId) {
        self.server.close(sandbox);
    }

    fn joined(&self, member: Member) {
        let (host, addresses) = (self.server.host_conf(), member.addresses.clone());
        let written = self.files.set(&member.sandbox, &member.endpoint, &addresses, &host);
        told(written);
        self.server.insert(member);
    }

    fn left(&self, endpoint: &EndpointId) {
        self.server.remove(endpoint);
        told(self.files.forget(endpoint, &self.server.host_conf()));
    }

    fn service_stands(&self, service: VirtualService) {
        self.server.insert_service(service);
    }

    fn service_gone(&self, network: &NetworkId, name: &DnsName) {
        self.server.remove_service(network, name);
    }

    fn write_files(&self, sandbox: &SandboxId, hostname: &DnsName, settings: &DnsSettings) -> Result<PathBuf> {
        let failed = |cause: io::Error| {
            Error::new(
                ErrorCode::Unavailable,
                format!("the files of sandbox {} cannot be written", sandbox.short()),
            )
            .caused_by(cause)
        };
        let host = self.server.host_conf();
        self.files.write(sandbox, hostname, settings, &host).map_err(failed)
    }

    fn remove_files(&self, sandbox: &SandboxId) {
        told(self.files.remove(sandbox));
    }
}

/// Names work without the files, and an operation is not taken back for them.
fn told(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a sandbox's files for /etc are not up to date");
    }
}
