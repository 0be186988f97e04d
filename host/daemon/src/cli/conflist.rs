//! A network as CNI runtimes configure one: `jackfield network inspect --cni NAME`, to be put into /etc/cni/net.d.

use std::path::Path;

use jackfield_shims::protocol::SOCKET;
use serde_json::{Value, json};

use crate::{paths::shim_socket_beside, wire::Network};

/// The newest version that the libraries of runtimes of the last years all speak.
const VERSION: &str = "1.0.0";

/// The list with one plugin. `socket`: the host's own.
pub(super) fn of(network: &Network, socket: &Path) -> Value {
    let mut capabilities = json!({ "portMappings": true, "ips": true, "mac": true, "aliases": true, "dns": true });
    if network.driver == "bridge" {
        // Limits are options of the endpoint, which other drivers need not have.
        capabilities["bandwidth"] = json!(true);
    }
    let mut plugin = json!({ "type": "jackfield-cni", "network": network.name, "capabilities": capabilities });
    let shims = shim_socket_beside(socket);
    if shims != Path::new(SOCKET) {
        plugin["socket"] = json!(shims);
    }
    json!({ "cniVersion": VERSION, "name": network.name, "plugins": [plugin] })
}
