//! One scenario's surroundings: a realm of its own, folders of its own, and what the realm held before anything happened.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_kernel::{
    Dump, Ifindex, Kernel, LinkAt, Linux, Namespace, Place, Request,
    plan::{LinkKind, LinkSetting, NewLink, Route, VethPeer},
};
use jackfield_model::{IpNetwork, MacAddr};
use tempfile::TempDir;

use crate::{
    Client, Result,
    error::{During, LabError},
};

/// The loopback's index, in every namespace.
const LOOPBACK: u32 = 1;
/// Index of a cable's near end; far from the kernel's own and from the host's.
const CABLE: u32 = 1000;
/// How long something is waited for that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A realm with folders. When a scenario fails, the command that enters its namespaces is printed, and with `JACKFIELD_HOLD` set they
/// stay until Enter is pressed.
#[derive(Debug)]
pub struct Lab {
    name: String,
    kernel: Arc<Linux>,
    realm: Namespace,
    folder: TempDir,
    passed: AtomicBool,
}

impl Lab {
    /// A fresh realm with its loopback up.
    ///
    /// # Errors
    /// When this process may not make namespaces: run it by `cargo xtask test`.
    pub fn new(name: &str) -> Result<Self> {
        let kernel = Arc::new(Linux::new().during("open the kernel")?);
        let realm = kernel
            .create_namespace()
            .during("make a realm; scenarios are run by `cargo xtask test`")?;
        let folder = tempfile::Builder::new()
            .prefix("jackfield-")
            .tempdir_in("/run")
            .during("make a folder in /run")?;
        let lab = Self {
            name: name.to_owned(),
            kernel,
            realm,
            folder,
            passed: AtomicBool::new(false),
        };
        lab.pin(&lab.realm, "realm")?;
        lab.up(&lab.realm)?;
        Ok(lab)
    }

    /// The kernel.
    pub fn kernel(&self) -> &Arc<Linux> {
        &self.kernel
    }

    /// The namespace that serves as host.
    pub fn realm(&self) -> &Namespace {
        &self.realm
    }

    /// A file or folder of this lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its host listens.
    pub fn socket(&self) -> PathBuf {
        self.path("jackfield.sock")
    }

    /// A connection to its host.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.socket())
    }

    /// A namespace beside the realm: another host, or a sandbox of somebody else's. It has a path under which others find it.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        let namespace = self
            .kernel
            .create_namespace()
            .during(&format!("make namespace {name}"))?;
        self.pin(&namespace, name)?;
        self.up(&namespace)?;
        Ok(namespace)
    }

    /// A link of the realm, `name`, whose other end `eth0` is in a namespace beside it, as a cable to another host; both ends up.
    pub fn uplink(&self, name: &str, outside: &str) -> Result<Namespace> {
        self.uplink_at(name, outside, CABLE)
    }

    /// The same with that index for its near end, where there is more than one.
    pub fn uplink_at(&self, name: &str, outside: &str, index: u32) -> Result<Namespace> {
        let step = format!("lay a cable from the realm to {outside}");
        let other = self.namespace(outside)?;
        let [near, far] = [index, index + 1].map(Ifindex::new);
        let (Some(near), Some(far)) = (near, far) else {
            return Err(LabError::new(step, "no index"));
        };
        let link = NewLink {
            at: LinkAt {
                place: Place::Realm,
                index: near,
            },
            name: name.parse().during(&step)?,
            mac: MacAddr::random(),
            mtu: None,
            kind: LinkKind::Veth {
                peer: VethPeer {
                    at: LinkAt {
                        place: Place::Sandbox,
                        index: far,
                    },
                    name: "eth0".parse().during(&step)?,
                    mac: MacAddr::random(),
                    mtu: None,
                },
            },
        };
        let create = Request::CreateLink {
            link: Box::new(link),
            controller: None,
            group: 0,
            sandbox: Some(other.clone()),
        };
        // Without link-local addresses: the kernel would make them in deferred work, at some moment after the first dump.
        self.send(&self.realm, &[create, no_generation(near), up(near)])?;
        self.send(&other, &[no_generation(far), up(far)])?;
        // A link that was just set up carries nothing until the kernel has done its deferred work on it.
        self.send(&self.realm, &[Request::Settle { index: near }])?;
        Ok(other)
    }

    /// Addresses for the two ends of the cable of [`Lab::uplink`], and the realm's default routes to the far end. The far end knows
    /// nothing of what is behind the realm.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn address_uplink(&self, outside: &Namespace, networks: &[(IpNetwork, IpNetwork)]) -> Result<()> {
        let step = "address the cable";
        let [near, far] = [CABLE, CABLE + 1].map(Ifindex::new);
        let (Some(near), Some(far)) = (near, far) else {
            return Err(LabError::new(step, "no index"));
        };
        for (here, there) in networks {
            let add = |index, address: &IpNetwork| Request::AddAddress {
                index,
                address: *address,
            };
            let everything = if here.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            let route = Route::via(everything.parse().during(step)?, there.ip(), near);
            self.send(outside, &[add(far, there)])?;
            self.send(&self.realm, &[add(near, here), Request::AddRoute(route)])?;
        }
        Ok(())
    }

    /// Has the far end of the cable of [`Lab::uplink`] say once that it is a router, and waits until the realm has its default route.
    ///
    /// # Errors
    /// When the advertisement is not heard within a few seconds.
    pub fn advertise_router(&self, outside: &Namespace) -> Result<()> {
        let step = "advertise a router";
        let [near, far] = [CABLE, CABLE + 1].map(Ifindex::new);
        let (Some(near), Some(far)) = (near, far) else {
            return Err(LabError::new(step, "no index"));
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.advertise_from(outside, far)?;
            if self
                .kernel
                .default_route_links(&self.realm)
                .during(step)?
                .contains(&near)
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(LabError::new(step, "the realm has no default route"))
    }

    /// Says once, to all that are on that link of a namespace, that it is a router for half an hour (RFC 4861, 4.2): at `fe80::2`.
    ///
    /// # Errors
    /// When it cannot be said.
    pub fn advertise_from(&self, namespace: &Namespace, link: Ifindex) -> Result<()> {
        let step = "send a router advertisement";
        let address = "fe80::2/64".parse().during(step)?;
        let add = Request::AddAddress { index: link, address };
        let answers = self.kernel.send(namespace, &[add]).during(step)?;
        match answers.into_iter().collect::<jackfield_kernel::Result<()>>() {
            Err(refused) if refused.errno() != Some(nix::errno::Errno::EEXIST) => {
                return Err(LabError::new(step, refused));
            }
            _ => {}
        }
        let deadline = Instant::now() + PATIENCE;
        // The address becomes a local one in deferred work: until then there is no source to send from.
        while let Err(cause) = self.within(namespace, || crate::probe::send_router_advertisement(link.get()))? {
            if Instant::now() > deadline {
                return Err(LabError::new(step, cause));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Requests to the kernel, all of which have to succeed.
    pub fn send(&self, namespace: &Namespace, requests: &[Request]) -> Result<()> {
        let answers = self.kernel.send(namespace, requests).during("ask the kernel")?;
        answers
            .into_iter()
            .collect::<jackfield_kernel::Result<()>>()
            .during("change a namespace")?;
        // As the host does it: the first packet to a new IPv6 address is to arrive.
        let added = requests.iter().filter_map(|request| match request {
            Request::AddAddress { address, .. } => Some(address.ip()),
            _ => None,
        });
        let ipv6: Vec<_> = added.filter_map(ipv6_of).collect();
        self.kernel
            .await_addresses(namespace, &ipv6)
            .during("wait for addresses")?;
        Ok(())
    }

    /// Path of a namespace of this lab.
    pub fn namespace_path(&self, name: &str) -> PathBuf {
        self.path("netns").join(name)
    }

    /// Everything in the realm.
    pub fn dump(&self) -> Result<Dump> {
        self.dump_of(&self.realm)
    }

    /// Everything in a namespace.
    pub fn dump_of(&self, namespace: &Namespace) -> Result<Dump> {
        self.kernel.dump(namespace).during("dump a namespace")
    }

    /// Runs that inside a namespace: sockets opened there belong to it, and so do programs started there.
    pub fn within<T>(&self, namespace: &Namespace, run: impl FnOnce() -> T) -> Result<T> {
        jackfield_kernel::netns::within(namespace, run).during("enter a namespace")
    }

    fn pin(&self, namespace: &Namespace, name: &str) -> Result<()> {
        let path = self.namespace_path(name);
        fs::create_dir_all(self.path("netns")).during("make the folder of namespaces")?;
        self.kernel
            .pin(namespace, &path)
            .during(&format!("give namespace {name} a path"))
    }

    fn up(&self, namespace: &Namespace) -> Result<()> {
        let index = Ifindex::new(LOOPBACK).ok_or_else(|| LabError::new("loopback", "one is no index"))?;
        self.send(namespace, &[up(index)])
    }

    /// The scenario's last word. A lab that is dropped without it tells how to get in.
    pub fn passed(&self) -> Result<()> {
        self.passed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// How a developer gets in while the lab stands.
    pub fn way_in(&self) -> String {
        let pid = std::process::id();
        let user = if crate::private::mapped() {
            " -U --preserve-credentials"
        } else {
            ""
        };
        format!(
            "nsenter -t {pid}{user} -m --net={}",
            self.namespace_path("realm").display()
        )
    }

    /// The files of a folder of this lab, for looking after what is left over.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.passed.load(Ordering::Relaxed) {
            eprintln!("scenario {} failed; its realm: {}", self.name, self.way_in());
            if std::env::var_os("JACKFIELD_HOLD").is_some() {
                eprintln!("held; press Enter to let go");
                let _ = std::io::stdin().read_line(&mut String::new());
            }
        }
        unpin_all(&self.kernel, &self.path("netns"));
        // A host that was killed leaves its pinned sandboxes: the folder cannot go while something is mounted in it.
        unpin_all(&self.kernel, &self.path("run/netns"));
    }
}

fn ipv6_of(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => Some(v6),
        _ => None,
    }
}

fn no_generation(index: Ifindex) -> Request {
    Request::SetLink {
        index,
        setting: LinkSetting::AddressGeneration(false),
    }
}

fn up(index: Ifindex) -> Request {
    Request::SetLink {
        index,
        setting: LinkSetting::Up(true),
    }
}

fn unpin_all(kernel: &Linux, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Err(error) = kernel.unpin(&entry.path()) {
            eprintln!("left behind: {}: {error}", entry.path().display());
        }
    }
}
