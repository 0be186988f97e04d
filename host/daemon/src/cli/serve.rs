//! `jackfield serve`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use jackfield_controller::request::Forwarding;
use jackfield_model::{IpNetwork, Scope, parse_subnet};
use jackfield_remote::Folders;

use super::{Failure, Outcome};
use crate::{
    docker,
    paths::{Places, docker_plugins, shim_socket_beside, socket_in},
    serve,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder for what lasts until the next boot [default: /run/jackfield for root]
    #[arg(long, value_name = "PATH")]
    run_dir: Option<PathBuf>,
    /// Folder for what lasts [default: /var/lib/jackfield for root]
    #[arg(long, value_name = "PATH")]
    state_dir: Option<PathBuf>,
    /// What drivers may do, a TOML file [default: /etc/jackfield/grants.toml for root]
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// Subnets for networks that ask for none, as 10.64.0.0/10:24; once for each pool [default: 172.16.0.0/12:20,
    /// 192.168.0.0/16:24 and a /48 of unique local IPv6 addresses, drawn once for this host]
    #[arg(long = "default-pool", value_name = "CIDR:LENGTH", value_parser = pool)]
    default_pools: Vec<(IpNetwork, u8)>,
    /// Links of this machine on which forwarding is switched on while networks need it: off, uplinks for those with a default route, or
    /// names with commas between them. Without it others reach published ports, and sandboxes reach others, only where the
    /// machine forwards already
    #[arg(long, value_name = "LINKS", default_value = "off")]
    forwarding: Forwarding,
    /// Folder in which Docker's classic network plugins are looked for, which then are drivers too: NAME.sock, NAME.spec, NAME.json. Once for
    /// each folder; one that does not exist turns them off [default: /run/docker/plugins, /etc/docker/plugins, /usr/lib/docker/plugins]
    #[arg(long = "plugin-dir", value_name = "PATH")]
    plugin_dirs: Vec<PathBuf>,
    /// Where CNI plugins and netavark's reach the host [default: shim.sock beside the host's socket]
    #[arg(long, value_name = "PATH")]
    shim_socket: Option<PathBuf>,
    /// Where the host's own DNS servers and search domains are read
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// A component to load at the start, where that is not so already; once for each
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    /// Docker's plugin folder, in which each loaded driver has a socket, or off [default: /run/docker/plugins for root, where Docker is
    /// installed and --run-dir is not given]
    #[arg(long, value_name = "PATH|off")]
    docker_plugins: Option<PathBuf>,
    /// How far Docker is told that networks reach: local or global, as a swarm wants them [default: as their driver says]
    #[arg(long, value_name = "SCOPE", value_parser = scope, env = "JACKFIELD_DOCKER_SCOPE", hide_env = true)]
    docker_scope: Option<Scope>,
    /// In a container that dockerd made for a managed plugin
    #[arg(long, hide = true)]
    managed_plugin: bool,
}

impl Arguments {
    pub fn run(self, socket: Option<PathBuf>) -> Outcome {
        let Places {
            run_dir,
            state_dir,
            grants,
        } = Places::of_this_user();
        if self.managed_plugin {
            docker::open_switches()?;
        }
        let docker_plugins = match self.docker_plugins {
            Some(folder) if folder == Path::new("off") => None,
            Some(folder) => Some(absolute(folder)?),
            None => docker_plugins(self.run_dir.is_none()),
        };
        let run_dir = absolute(self.run_dir.unwrap_or(run_dir))?;
        let socket = absolute(socket.unwrap_or_else(|| socket_in(&run_dir)))?;
        let options = serve::Options {
            shim_socket: absolute(self.shim_socket.unwrap_or_else(|| shim_socket_beside(&socket)))?,
            socket,
            run_dir,
            state_dir: absolute(self.state_dir.unwrap_or(state_dir))?,
            grants: absolute(self.grants.unwrap_or(grants))?,
            resolv_conf: absolute(self.resolv_conf)?,
            default_pools: if self.default_pools.is_empty() {
                serve::default_pools()
            } else {
                self.default_pools
            },
            forwarding: self.forwarding,
            plugins: plugins(self.plugin_dirs)?,
            load: self.load,
            docker_plugins,
            docker_scope: self.docker_scope,
        };
        serve::run(options)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn plugins(folders: Vec<PathBuf>) -> Result<Folders, Failure> {
    if folders.is_empty() {
        return Ok(Folders::standard());
    }
    let folders: Vec<PathBuf> = folders.into_iter().map(absolute).collect::<Result<_, _>>()?;
    Ok(Folders {
        sockets: folders.clone(),
        specs: folders,
    })
}

/// The child that compiles one component.
pub(super) fn compile_component() -> ExitCode {
    jackfield_wasm::compile_child_main()
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&path).map_err(|e| Failure::system("cannot resolve a path", e))
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "local" => Ok(Scope::Local),
        "global" => Ok(Scope::Global),
        _ => Err("expected local or global".to_owned()),
    }
}

fn pool(text: &str) -> Result<(IpNetwork, u8), String> {
    let expected = || "expected a subnet and the prefix length of its parts, as 10.64.0.0/10:24".to_owned();
    let (subnet, length) = text.rsplit_once(':').ok_or_else(expected)?;
    let subnet = parse_subnet(subnet).map_err(|e| e.message)?;
    let length: u8 = length.parse().map_err(|_| expected())?;
    let longest = if subnet.is_ipv4() { 30 } else { 126 };
    if !(subnet.prefix()..=longest).contains(&length) {
        return Err(format!(
            "the parts of {subnet} have a prefix length from {} to {longest}, not {length}",
            subnet.prefix()
        ));
    }
    Ok((subnet, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_pool_is_a_subnet_and_the_length_of_its_parts() {
        assert_eq!(pool("10.64.0.0/10:24").unwrap().1, 24);
        assert_eq!(pool("fd00::/48:64").unwrap().0, "fd00::/48".parse().unwrap());
        for bad in [
            "10.64.0.0/10",
            "10.64.0.0/10:9",
            "10.64.0.0/10:31",
            "10.64.0.1/10:24",
            "x:24",
            "10.64.0.0/10:x",
        ] {
            assert!(pool(bad).is_err(), "{bad}");
        }
    }
}
