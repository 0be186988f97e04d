//! How attachments are known: ids that are made of what the runtime calls them, so that nothing has to be looked for, and labels that say it to
//! people.

use jackfield_kernel::NamespaceId;
use jackfield_model::{EndpointId, NetworkId, Options, Result, SandboxId};
use sha2::{Digest, Sha256};

/// Who asked: `cni` or `netavark`. On networks that were made on first use, sandboxes and endpoints.
pub const BY: &str = "jackfield.shim.by";
/// What a network was made from, in short.
pub const DESCRIPTION: &str = "jackfield.shim.description";
/// The runtime's id of the container.
pub const CONTAINER: &str = "jackfield.shim.container";
/// The runtime's name of the network.
pub const NETWORK: &str = "jackfield.shim.network";
/// The runtime's name of the interface.
pub const INTERFACE: &str = "jackfield.shim.interface";

/// A container's sandbox in a realm.
pub fn sandbox_id(realm: NamespaceId, container: &str) -> Result<SandboxId> {
    digest(&["sandbox", &realm.to_string(), container]).parse()
}

/// An attachment of that sandbox.
pub fn endpoint_id(sandbox: &SandboxId, network: &NetworkId, interface: &str) -> Result<EndpointId> {
    digest(&["endpoint", sandbox.as_str(), network.as_str(), interface]).parse()
}

/// 64 hexadecimal digits, as an id has. No two lists of parts are alike: each part ends with a zero byte, which none has inside.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One attachment, as the runtime names it.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The container's id.
    pub container: &'a str,
    /// The name of the network, or of the configuration.
    pub network: &'a str,
    /// The name of the interface.
    pub interface: &'a str,
}

impl Key<'_> {
    /// As labels of the endpoint.
    pub fn labels(&self, by: &str) -> Options {
        let pairs = [
            (BY, by),
            (CONTAINER, self.container),
            (NETWORK, self.network),
            (INTERFACE, self.interface),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Whether these are its labels.
    pub fn is(&self, labels: &Options) -> bool {
        let says = |key: &str, value: &str| labels.get(key).is_some_and(|said| said == value);
        says(NETWORK, self.network) && says(INTERFACE, self.interface) && says(CONTAINER, self.container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_realm_container_network_and_interface() {
        let (realm, other) = (NamespaceId(1), NamespaceId(2));
        let sandbox = sandbox_id(realm, "c1").unwrap();
        assert_eq!(sandbox, sandbox_id(realm, "c1").unwrap());
        assert_ne!(sandbox, sandbox_id(other, "c1").unwrap());
        let (a, b) = (NetworkId::random(), NetworkId::random());
        let endpoint = endpoint_id(&sandbox, &a, "eth0").unwrap();
        assert_ne!(endpoint, endpoint_id(&sandbox, &b, "eth0").unwrap());
        assert_ne!(endpoint, endpoint_id(&sandbox, &a, "eth1").unwrap());
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
