//! The program: it passes on what it was given, and prints what comes back.
//!
//! ```text
//!   VERSION --------------------------------> answered here
//!   else ---> the host ---> its reply
//!               | down
//!               +--> DEL: a tombstone, or nothing where the host finds out by itself: success
//!                    ADD, CHECK, GC: code 11    STATUS: code 50
//! ```

use std::{env, ffi::OsString, fs::File, io::Read, path::Path, process::ExitCode};

use serde_json::Value;

use super::{Failure, Verb, Version, config::decode, version};
use crate::{
    call::Down,
    down::{self, bury},
    driver, pass,
    protocol::{Call, CniCall, Reply},
};

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
    pass::end(&result.unwrap_or_else(|failure| Reply::failed(failure.json(version_of(&call)).to_string())))
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
    let config = pass::input();
    let config = config.map_err(|e| Failure::io("standard input cannot be read").details(e.to_string()))?;
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
    let socket = pass::socket(config["socket"].as_str());
    let resolv_conf = config["ipam"]["resolvConf"].as_str().filter(|path| !path.is_empty());
    let call = CniCall {
        resolv_conf: resolv_conf
            .filter(|_| call.verb == "ADD")
            .map(read_resolv_conf)
            .transpose()?,
        ..call.clone()
    };
    let passed = pass::on(&socket, Call::Cni(call.clone()), &call.netns);
    let passed =
        passed.map_err(|e| Failure::io("the own network namespace cannot be opened").details(e.to_string()))?;
    passed.or_else(|down| while_down(&socket, &call, &config, &down))
}

fn read_resolv_conf(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(RESOLV_CONF).read_to_string(&mut text));
    read.map_err(|e| Failure::io("the file of \"resolvConf\" cannot be read").details(format!("{path}: {e}")))?;
    Ok(text)
}

fn while_down(socket: &Path, call: &CniCall, config: &Value, down: &Down) -> Result<Reply, Failure> {
    match Verb::of(call)? {
        Verb::Del(attachment) => {
            let attachment = down::Attachment {
                network: config["name"].as_str().unwrap_or_default(),
                container: &attachment.container,
                interface: attachment.interface.as_str(),
            };
            bury(socket, attachment, &call.netns, down).map_err(Failure::try_again)?;
            Ok(Reply::done(String::new()))
        }
        Verb::Status => Err(Failure::not_available(down.to_string())),
        Verb::Add(_) | Verb::Check(_) | Verb::Gc => Err(Failure::try_again(down.to_string())),
    }
}
