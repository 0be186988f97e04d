//! Sends a batch: runs of NETLINK_ROUTE messages as one send each, runs of sysctls with the namespace entered once, and what is something
//! else one by one, all in the order given.

use super::{Linux, bandwidth, conntrack, describe, encode, firewall, socket::Message, sysctl, tap};
use crate::{KernelError, Namespace, Request, Result, plan::LinkKind};

/// See [`crate::Kernel::send`].
pub(super) fn send(linux: &Linux, namespace: &Namespace, requests: &[Request]) -> Result<Vec<Result<()>>> {
    let mut answers = Vec::with_capacity(requests.len());
    while let Some(rest) = requests.get(answers.len()..).filter(|rest| !rest.is_empty()) {
        let messages: Vec<_> = rest
            .iter()
            .map_while(|r| encode::message(r).and_then(Result::ok))
            .collect();
        let sysctls = sysctl::leading_writes(rest);
        if !messages.is_empty() {
            answers.extend(together(linux, namespace, rest, &messages)?);
        } else if !sysctls.is_empty() {
            answers.extend(sysctl::write_all(linux, namespace, &sysctls)?);
        } else {
            answers.push(alone(linux, namespace, &rest[0])?);
        }
    }
    Ok(answers)
}

/// Sends messages at once; the requests they stand for are the first of `requests`.
fn together(
    linux: &Linux,
    namespace: &Namespace,
    requests: &[Request],
    messages: &[Message],
) -> Result<Vec<Result<()>>> {
    let deletes = |r: &Request| matches!(r, Request::DeleteLink { .. } | Request::DeleteGroup { .. });
    let results = if requests[..messages.len()].iter().any(deletes) {
        linux.delete(namespace, |socket| socket.exchange(messages, &mut |_, _, _| {}))?
    } else {
        linux.route(namespace, |socket| socket.exchange(messages, &mut |_, _, _| {}))?
    };
    let answer =
        |(request, result): (&Request, Result<(), _>)| result.map_err(|refusal| describe::refused(request, refusal));
    Ok(requests.iter().zip(results).map(answer).collect())
}

/// Does what is no NETLINK_ROUTE message, or refuses what could not be made one. All but a firewall transaction either say that they were
/// done, or leave nothing.
fn alone(linux: &Linux, namespace: &Namespace, request: &Request) -> Result<Result<()>> {
    Ok(match request {
        Request::Firewall(changes) => firewall::apply(linux, namespace, changes)?,
        Request::AddResolver { port } => firewall::resolver(linux, namespace, Some(*port))?,
        Request::DeleteResolver => firewall::resolver(linux, namespace, None)?,
        Request::CreateLink { link, .. } if matches!(link.kind, LinkKind::Tap(_)) => {
            tap::create(linux, namespace, request)
        }
        Request::FlushConntrack { address } => conntrack::flush(linux, namespace, *address, request),
        Request::FlushPorts(stale) => conntrack::flush_ports(linux, namespace, stale, request),
        Request::SetBandwidth { index, ingress, egress } => {
            bandwidth::set(linux, namespace, (*index, *ingress, *egress), request)
        }
        other => match encode::message(other) {
            Some(message) => message.map(drop),
            None => Err(KernelError::Unsupported(describe::describe(other).0.to_owned())),
        },
    })
}
