//! The naive way, as one writes it by the examples: a request a step, each awaited, the pair made in the realm and its far end moved.
//! Connections are open before, which is already better than a plugin that is started for each call.

use std::{os::fd::AsRawFd, time::Instant};

use futures_util::TryStreamExt;
use jackfield_kernel::Namespace;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime::{Builder, Runtime};

use crate::{
    failure::{During, Result},
    figure::{Measured, Taken},
    place::{BRIDGE, Place},
    subject::Subject,
};

const NEAR: &str = "naive0";
const FAR: &str = "eth0";
const LOOPBACK: u32 = 1;

/// See the module.
pub struct Naive {
    runtime: Runtime,
    place: Place,
    realm: Handle,
    sandbox: Handle,
}

impl Naive {
    /// Makes its realm and connects.
    ///
    /// # Errors
    /// When namespaces or sockets cannot be made.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .during("start a runtime")?;
        let place = Place::new("naive")?;
        let realm = connect(&runtime, &place, place.lab.realm())?;
        let sandbox = connect(&runtime, &place, &place.sandbox)?;
        Ok(Self {
            runtime,
            place,
            realm,
            sandbox,
        })
    }
}

fn connect(runtime: &Runtime, place: &Place, namespace: &Namespace) -> Result<Handle> {
    let _inside = runtime.enter();
    let connected = place
        .lab
        .within(namespace, rtnetlink::new_connection)
        .during("enter a namespace")?;
    let (connection, handle, _) = connected.during("open a connection")?;
    runtime.spawn(connection);
    Ok(handle)
}

impl Subject for Naive {
    fn run_once(&mut self) -> Result<Taken> {
        let fd = self
            .place
            .sandbox
            .fd()
            .ok_or("it has no descriptor")
            .during("take the sandbox")?
            .as_raw_fd();
        let start = Instant::now();
        self.runtime
            .block_on(join(&self.realm, &self.sandbox, fd))
            .during("join the naive way")?;
        let took = start.elapsed();
        self.runtime
            .block_on(delete(&self.realm))
            .during("delete what was made")?;
        Ok(vec![(Measured::JoinNaive, took.into())])
    }
}

async fn join(realm: &Handle, sandbox: &Handle, fd: i32) -> Result<(), rtnetlink::Error> {
    realm.link().add(LinkVeth::new(NEAR, FAR).build()).execute().await?;
    let (near, far) = (index(realm, NEAR).await?, index(realm, FAR).await?);
    let set = |handle: &Handle, message: rtnetlink::LinkMessageBuilder<LinkUnspec>| {
        handle.link().set(message.build()).execute()
    };
    set(realm, LinkUnspec::new_with_index(near).controller(BRIDGE)).await?;
    set(realm, LinkUnspec::new_with_index(near).up()).await?;
    set(realm, LinkUnspec::new_with_index(far).setns_by_fd(fd)).await?;
    set(sandbox, LinkUnspec::new_with_index(LOOPBACK).up()).await?;
    // The move may have changed it.
    let far = index(sandbox, FAR).await?;
    set(sandbox, LinkUnspec::new_with_index(far).up()).await?;
    sandbox.address().add(far, [10, 80, 0, 2].into(), 16).execute().await?;
    let route = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .gateway([10, 80, 0, 1].into())
        .build();
    sandbox.route().add(route).execute().await
}

async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let found = handle.link().get().match_name(name).execute().try_next().await?;
    Ok(found.map_or(0, |link| link.header.index))
}

async fn delete(realm: &Handle) -> Result<(), rtnetlink::Error> {
    let near = index(realm, NEAR).await?;
    realm.link().del(near).execute().await
}
