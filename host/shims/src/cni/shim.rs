//! The program: it passes on what it was given, and prints what comes back.
//!
//! ```text
//!   VERSION --------------------------------> answered here
//!   else ---> the host ---> its reply
//!               | down
//!               +--> DEL: a tombstone, or nothing where the host finds out by itself: success
//!                    ADD, CHECK, GC: code 11    STATUS: code 50
//! ```

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::AsFd,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

use super::{Failure, Version, config::decode, verb, version};
use crate::{
    call::{Down, ask},
    driver,
    protocol::{Call, CniCall, LONGEST, PROTOCOL, Reply, Request, SOCKET, SOCKET_VARIABLE, spool_of},
    spool::{self, Inode, Tombstone},
};

/// The caller's own network namespace.
const OWN: &str = "/proc/self/ns/net";
/// Largest resolv.conf that is passed on, in bytes.
const RESOLV_CONF: u64 = 64 << 10;

/// Everything, from environment to exit code.
pub fn main() -> ExitCode {
    let (call, result) = match read_call() {
        Ok(call) => {
            let result = answer(&call);
            (call, result)
        }
        Err(failure) => (CniCall::default(), Err(failure)),
    };
    let reply = result.unwrap_or_else(|failure| Reply::failed(failure.json(version_of(&call)).to_string()));
    let printed = print(&reply.output);
    if reply.failed || printed.is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The version to speak in a refusal: the one asked for, or the newest.
fn version_of(call: &CniCall) -> Version {
    let config = decode(&call.config).unwrap_or_default();
    Version::of(&config).unwrap_or_default()
}

fn read_call() -> Result<CniCall, Failure> {
    let variable = |name: &str| -> Result<String, Failure> {
        let text = |value: OsString| {
            value
                .into_string()
                .map_err(|_| Failure::environment(format!("{name} is not UTF-8")))
        };
        env::var_os(name).map_or_else(|| Ok(String::new()), text)
    };
    let mut config = String::new();
    let limit = LONGEST as u64 / 2;
    io::stdin()
        .lock()
        .take(limit + 1)
        .read_to_string(&mut config)
        .map_err(|e| Failure::io("standard input cannot be read").details(e.to_string()))?;
    if config.len() as u64 > limit {
        return Err(Failure::decode(format!(
            "the network configuration is longer than {limit} bytes"
        )));
    }
    Ok(CniCall {
        verb: variable("CNI_COMMAND")?,
        container: variable("CNI_CONTAINERID")?,
        netns: variable("CNI_NETNS")?,
        interface: variable("CNI_IFNAME")?,
        arguments: variable("CNI_ARGS")?,
        config,
        resolv_conf: None,
        driver: env::args_os().next().and_then(|program| driver::by_name(&program)),
    })
}

fn answer(call: &CniCall) -> Result<Reply, Failure> {
    if call.verb == "VERSION" {
        return Ok(Reply::done(version::report(&call.config).to_string()));
    }
    let config = decode(&call.config)?;
    Version::of(&config)?;
    let socket = socket(&config);
    let resolv_conf = config["ipam"]["resolvConf"].as_str().filter(|path| !path.is_empty());
    let call = CniCall {
        resolv_conf: resolv_conf
            .filter(|_| call.verb == "ADD")
            .map(read_resolv_conf)
            .transpose()?,
        ..call.clone()
    };
    match pass_on(&socket, &call)? {
        Ok(reply) => Ok(reply),
        Err(down) => while_down(&socket, &call, &config, &down),
    }
}

/// By environment, by configuration, or where it is by default.
fn socket(config: &Value) -> PathBuf {
    let by_environment = env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
    let by_config = || {
        config["socket"]
            .as_str()
            .filter(|path| !path.is_empty())
            .map(OsString::from)
    };
    by_environment
        .or_else(by_config)
        .unwrap_or_else(|| SOCKET.into())
        .into()
}

fn read_resolv_conf(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(RESOLV_CONF).read_to_string(&mut text));
    read.map_err(|e| Failure::io("the file of \"resolvConf\" cannot be read").details(format!("{path}: {e}")))?;
    Ok(text)
}

fn pass_on(socket: &Path, call: &CniCall) -> Result<Result<Reply, Down>, Failure> {
    let own = File::open(OWN)
        .map_err(|e| Failure::io("the own network namespace cannot be opened").details(e.to_string()))?;
    let sandbox = open_sandbox(&call.netns);
    let request = Request {
        protocol: PROTOCOL,
        sandbox: sandbox.is_some(),
        call: Call::Cni(call.clone()),
    };
    let namespaces: Vec<_> = [Some(&own), sandbox.as_ref()]
        .into_iter()
        .flatten()
        .map(AsFd::as_fd)
        .collect();
    Ok(ask(socket, &request, &namespaces))
}

/// One that is not there is not sent: the host says what that means. A path may lead to a fifo, which is not waited for.
fn open_sandbox(path: &str) -> Option<File> {
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let opened = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    opened.ok().filter(|_| !path.is_empty())
}

fn while_down(socket: &Path, call: &CniCall, config: &Value, down: &Down) -> Result<Reply, Failure> {
    match call.verb.as_str() {
        "DEL" => bury(socket, call, config, down),
        "STATUS" => Err(Failure::not_available(down.to_string())),
        _ => Err(Failure::try_again(down.to_string())),
    }
}

/// A DEL that the host hears of when it is back. Where the namespace is gone, it finds out by itself.
fn bury(socket: &Path, call: &CniCall, config: &Value, down: &Down) -> Result<Reply, Failure> {
    let done = || Ok(Reply::done(String::new()));
    super::Verb::of(call)?;
    let container = verb::container(&call.container).map_err(Failure::environment)?;
    let folder = spool_of(socket);
    let realm = Inode::of(Path::new(OWN));
    let left = realm.and_then(|realm| {
        let network = config["name"].as_str().unwrap_or_default().to_owned();
        let interface = call.interface.clone();
        spool::leave(
            &folder,
            &Tombstone {
                network,
                container,
                interface,
                realm,
            },
        )
    });
    match left {
        Ok(()) => done(),
        Err(_) if open_sandbox(&call.netns).is_none() => done(),
        // There never was a host: nothing was ever made.
        Err(_) if socket.parent().is_some_and(|folder| !folder.exists()) => done(),
        Err(cause) => Err(Failure::try_again(down.to_string()).details(format!(
            "and the word for it cannot be left in {}: {cause}",
            folder.display()
        ))),
    }
}
