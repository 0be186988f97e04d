//! TAP devices, which rtnetlink refuses to make: by ioctl on /dev/net/tun, made whole or not at all.

use std::{
    fs::{File, OpenOptions},
    io,
};

use jackfield_model::LinkName;
use nix::errno::Errno;

use super::{Linux, describe, encode, netns, read, socket::Refusal, support::TUN_DEVICE, system};
use crate::{
    KernelError, LinkQuery, Namespace, Request, Result,
    plan::{Ifindex, LinkKind, NewLink, Place, TapAttributes},
};

/// A TAP device with the index, name, MAC, MTU and group asked for, as `ip tuntap` makes them: it stays when nobody has it open.
pub(super) fn create(linux: &Linux, namespace: &Namespace, request: &Request) -> Result<()> {
    let Request::CreateLink {
        link,
        controller,
        group,
        sandbox,
    } = request
    else {
        return Ok(());
    };
    let LinkKind::Tap(attributes) = &link.kind else {
        return Ok(());
    };
    let namespace = match (link.at.place, sandbox) {
        (Place::Realm, _) => namespace,
        (Place::Sandbox, Some(sandbox)) => sandbox,
        (Place::Sandbox, None) => return Err(encode::no_sandbox(link)),
    };
    let refuse = |errno| describe::refused(request, Refusal { errno, said: None });
    if is_taken(linux, namespace, link)? {
        return Err(refuse(Errno::EEXIST));
    }
    let device = netns::within(namespace, || make(link.at.index, &link.name, attributes))?;
    let device = device.map_err(|cause| match cause.raw_os_error() {
        Some(errno) => refuse(Errno::from_raw(errno)),
        None => KernelError::System {
            operation: "create link",
            object: link.name.to_string(),
            cause,
        },
    })?;
    let finish = encode::finish_tap(link, *controller, *group);
    let finished = linux.route(namespace, |socket| socket.ask(finish))?;
    // Until it is made persistent the device goes with its descriptor: an error before this leaves nothing.
    finished.map_err(|refusal| describe::refused(request, refusal))?;
    system::tun_set_persistent(&device, true).map_err(refuse)
}

/// The ioctl's own answers to a name or index that is taken differ by who has it.
fn is_taken(linux: &Linux, namespace: &Namespace, link: &NewLink) -> Result<bool> {
    let by_name = read::link(linux, namespace, LinkQuery::Name(&link.name))?;
    Ok(by_name.is_some() || read::link(linux, namespace, LinkQuery::Index(link.at.index))?.is_some())
}

fn make(index: Ifindex, name: &LinkName, attributes: &TapAttributes) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open(TUN_DEVICE)?;
    system::tun_set_index(&device, index.get())?;
    system::tun_create(&device, name.as_str(), flags(attributes))?;
    if let Some(user) = attributes.user {
        system::tun_set_owner(&device, user)?;
    }
    if let Some(group) = attributes.group {
        system::tun_set_group(&device, group)?;
    }
    Ok(device)
}

/// Without IFF_NO_PI each frame would carry four bytes that nobody wants; with IFF_TUN_EXCL a device that exists is refused, not opened.
fn flags(attributes: &TapAttributes) -> i16 {
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_TUN_EXCL;
    if attributes.multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    if attributes.vnet_hdr {
        flags |= libc::IFF_VNET_HDR;
    }
    // All are below 0x10000; the kernel reads the field's sixteen bits as they are.
    flags as i16
}
