//! The program: it passes on what it was given, and prints what comes back.
//!
//! ```text
//!   info ----------------------------------------> answered here
//!   create, setup, teardown ---> the host ---> its reply
//!                                  | down
//!                                  +--> teardown: a tombstone, or nothing where the host finds out by itself: success
//!                                       create, setup: an error
//! ```

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use super::{
    error, info,
    input::{Outline, decode},
};
use crate::{
    call::Down,
    down::{Attachment, bury},
    driver, pass,
    protocol::{Call, NetavarkCall, Reply},
};

/// Everything, from arguments to exit code.
pub fn main() -> ExitCode {
    let reply = answer(env::args_os().collect());
    pass::end(&reply.unwrap_or_else(|message| Reply::failed(error(&message).to_string())))
}

fn answer(arguments: Vec<OsString>) -> Result<Reply, String> {
    let words: Vec<Option<&str>> = arguments.iter().skip(1).map(|word| word.to_str()).collect();
    let (verb, netns) = match words.as_slice() {
        [Some("info")] => return Ok(Reply::done(info().to_string())),
        [Some("create")] => ("create", ""),
        [Some(verb @ ("setup" | "teardown")), Some(netns)] => (*verb, *netns),
        _ => return Err("expected one of: create, setup NETNS, teardown NETNS, info".to_owned()),
    };
    let input = pass::input().map_err(|e| format!("standard input cannot be read: {e}"))?;
    let value = decode(&input).map_err(|e| e.0)?;
    let network = if verb == "create" { &value } else { &value["network"] };
    let socket = pass::socket(network["options"][SOCKET_OPTION].as_str());
    let call = NetavarkCall {
        verb: verb.to_owned(),
        netns: netns.to_owned(),
        driver: arguments.first().and_then(|program| driver::by_name(program)),
        input,
    };
    let passed = pass::on(&socket, Call::Netavark(call), netns);
    let passed = passed.map_err(|e| format!("the own network namespace cannot be opened: {e}"))?;
    passed.or_else(|down| while_down(&socket, verb, netns, &value, &down))
}

/// The option of a network that says where the host listens.
pub const SOCKET_OPTION: &str = "jackfield.socket";

fn while_down(socket: &Path, verb: &str, netns: &str, value: &serde_json::Value, down: &Down) -> Result<Reply, String> {
    if verb != "teardown" {
        return Err(down.to_string());
    }
    let outline = Outline::read(value).map_err(|e| e.0)?;
    let attachment = Attachment {
        network: outline.network.as_str(),
        container: &outline.container,
        interface: outline.interface.as_str(),
    };
    bury(socket, attachment, netns, down)?;
    Ok(Reply::done(String::new()))
}
