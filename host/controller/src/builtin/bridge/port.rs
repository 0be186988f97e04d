//! An endpoint's pair: a port of the bridge, and what becomes the sandbox's interface.

use jackfield_driver::{LinkId, Operation};
use jackfield_model::{Options, Result};

use super::options::EndpointOptions;

/// The label of the pair.
const LABEL: &str = "port";

/// Makes it, and answers with the sandbox's end.
///
/// # Errors
/// What the operation refuses.
pub fn create(op: &mut Operation, bridge: LinkId, mtu: Option<u32>, options: &EndpointOptions) -> Result<LinkId> {
    let (port, interface) = op.create_veth(LABEL, &Options::new())?;
    if let Some(mtu) = mtu.map_or_else(|| op.recorded_mtu(bridge), |mtu| Ok(Some(mtu)))? {
        op.set_mtu(port, mtu)?;
        op.set_mtu(interface, mtu)?;
    }
    op.set_controller(port, Some(bridge))?;
    if options.isolated.unwrap_or(false) {
        op.set_bridge_port(port, &Options::from([("isolated".to_owned(), "on".to_owned())]))?;
    }
    if options.bandwidth_in.is_some() || options.bandwidth_out.is_some() {
        op.set_bandwidth(port, options.bandwidth_in, options.bandwidth_out)?;
    }
    op.set_up(port, true)?;
    Ok(interface)
}
