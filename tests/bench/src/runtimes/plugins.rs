//! One sandbox that joins and leaves a network of each kind of driver: built in, a component, and a process of its own that is called over
//! Docker's classic protocol.
//!
//! The process does the least that such a plugin can: it makes its pair in the realm with two batches of messages and asks nobody.

use jackfield_lab::{Host, HostOptions, component, plugin::Plugin};

use crate::{
    api,
    failure::{During, Result},
    figure::{Measured, Samples},
    parts::{Pace, end, lab},
};

/// All kinds, on one host.
///
/// # Errors
/// The first failure.
pub fn run(pace: Pace) -> Result<Samples> {
    let lab = lab("bench-plugins")?;
    let folder = lab.path("plugins");
    let plugin = Plugin::start(&lab, &folder, "classic").during("start the plugin")?;
    let options = HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: vec!["--plugin-dir".to_owned(), folder.display().to_string()],
        ..HostOptions::default()
    };
    let host = Host::start(&lab, options).during("start the host")?;
    api::load(&lab, "bridge")?;
    let join = |driver, subnet, join, leave| api::Join::new(&lab, (driver, driver, subnet), join, Some(leave));
    let samples = pace.interleave(vec![
        Box::new(join(
            "bridge",
            "10.79.2.0/24",
            Measured::ConnectBuiltIn,
            Measured::DisconnectBuiltIn,
        )?),
        Box::new(join(
            "bridge-component",
            "10.79.3.0/24",
            Measured::ConnectComponent,
            Measured::DisconnectComponent,
        )?),
        // The plugin knows one gateway.
        Box::new(join(
            "classic",
            "10.79.1.0/24",
            Measured::ConnectPlugin,
            Measured::DisconnectPlugin,
        )?),
    ])?;
    host.stop().during("stop the host")?;
    drop(plugin);
    end(&[&lab])?;
    Ok(samples)
}
