//! A classic network plugin, as somebody might run it beside the host: it listens on a socket, and makes bridges and pairs in the realm itself.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use jackfield_kernel::{
    Ifindex, Kernel, LinkAt, LinkQuery, Linux, Namespace, Place, Request,
    plan::{BridgeAttributes, LinkKind, LinkSetting, NewLink, VethPeer},
};
use jackfield_model::{IpNetwork, LinkName, MacAddr};
use serde_json::{Value, json};

use crate::{
    Lab, Result,
    error::{During, LabError},
};

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It does what it is told.
    #[default]
    Well,
    /// It takes calls and answers none.
    Hangs,
    /// It refuses to let anybody join, in words.
    RefusesJoins,
    /// It answers what is no JSON.
    Babbles,
}

/// A call that it got.
#[derive(Clone, Debug)]
pub struct Call {
    /// As `NetworkDriver.Join`.
    pub method: String,
    /// The message.
    pub message: Value,
}

/// A plugin at work. Dropping it ends it and takes its socket away; what it made stays, as with any plugin that dies.
#[derive(Debug)]
pub struct Plugin {
    shared: Arc<Shared>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    kernel: Arc<Linux>,
    realm: Namespace,
    mood: Mutex<Mood>,
    calls: Mutex<Vec<Call>>,
    ending: AtomicBool,
}

impl Plugin {
    /// Listens at `NAME.sock` in that folder.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start(lab: &Lab, folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.sock"));
        fs::create_dir_all(folder).during("make the folder of plugins")?;
        let listener = UnixListener::bind(&path).during("listen as a plugin")?;
        let shared = Arc::new(Shared {
            kernel: lab.kernel().clone(),
            realm: lab.realm().clone(),
            mood: Mutex::default(),
            calls: Mutex::default(),
            ending: AtomicBool::new(false),
        });
        let serving = shared.clone();
        let thread = std::thread::spawn(move || serve(&listener, &serving));
        Ok(Self {
            shared,
            path,
            thread: Some(thread),
        })
    }

    /// From now on it behaves like that.
    pub fn set_mood(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// The calls of that method that it got so far.
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let calls = lock(&self.shared.calls);
        calls
            .iter()
            .filter(|call| call.method == method)
            .map(|call| call.message.clone())
            .collect()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        // Wakes the thread up, which then sees that it is over.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.ending.load(Ordering::Relaxed) {
            return;
        }
        let shared = shared.clone();
        std::thread::spawn(move || converse(stream, &shared));
    }
}

/// One connection, until the caller ends it.
fn converse(stream: UnixStream, shared: &Shared) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(call) = read(&mut reader) {
        lock(&shared.calls).push(call.clone());
        let mood = *lock(&shared.mood);
        let body = match mood {
            Mood::Hangs => {
                while !shared.ending.load(Ordering::Relaxed) && *lock(&shared.mood) == Mood::Hangs {
                    std::thread::sleep(Duration::from_millis(5));
                }
                return;
            }
            Mood::Babbles => "so what".to_owned(),
            Mood::RefusesJoins if call.method == "NetworkDriver.Join" => json!({ "Err": "no room" }).to_string(),
            Mood::Well | Mood::RefusesJoins => shared
                .answer(&call)
                .unwrap_or_else(|e| json!({ "Err": e.to_string() }))
                .to_string(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<UnixStream>) -> Option<Call> {
    let (mut method, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(':') {
            _ if line.trim_end().is_empty() => break,
            Some((key, value)) if key.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            _ if method.is_none() => {
                method = line
                    .split(' ')
                    .nth(1)
                    .map(|path| path.trim_start_matches('/').to_owned())
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call {
        method: method?,
        message: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// Indexes of what it makes, below the host's own: by the kind of thing and eight bits of its id.
fn index(first: u32, id: &str) -> Option<Ifindex> {
    let bits = id.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok())?;
    Ifindex::new(first + bits)
}

impl Shared {
    fn answer(&self, call: &Call) -> Result<Value> {
        let message = &call.message;
        let text = |key: &str| message[key].as_str().unwrap_or_default();
        let (network, endpoint) = (text("NetworkID"), text("EndpointID"));
        match call.method.as_str() {
            "Plugin.Activate" => Ok(json!({ "Implements": ["NetworkDriver"] })),
            "NetworkDriver.GetCapabilities" => Ok(json!({ "Scope": "local" })),
            "NetworkDriver.CreateNetwork" => self.create_network(network, message),
            "NetworkDriver.DeleteNetwork" => self.delete(index(1_000_000, network)),
            "NetworkDriver.Join" => self.join(network, endpoint),
            "NetworkDriver.DeleteEndpoint" => self.delete(index(2_000_000, endpoint)),
            _ => Ok(json!({})),
        }
    }

    fn create_network(&self, network: &str, message: &Value) -> Result<Value> {
        let bridge = index(1_000_000, network).ok_or_else(|| LabError::new("make the plugin's bridge", "no id"))?;
        let name = format!("plug{}", network.get(..6).unwrap_or_default());
        let link = NewLink {
            at: realm(bridge),
            name: name.parse().during("name the plugin's bridge")?,
            mac: MacAddr::random(),
            mtu: None,
            kind: LinkKind::Bridge(BridgeAttributes::default()),
        };
        let mut requests = vec![create(link, None), no_generation(bridge)];
        for data in ["IPv4Data", "IPv6Data"] {
            let gateways = message[data]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|pool| pool["Gateway"].as_str());
            requests.extend(
                gateways
                    .filter_map(|g| g.parse::<IpNetwork>().ok())
                    .map(|address| Request::AddAddress { index: bridge, address }),
            );
        }
        requests.push(up(bridge));
        self.send(&requests)
    }

    /// A pair with one end in the bridge; the other is for the sandbox.
    fn join(&self, network: &str, endpoint: &str) -> Result<Value> {
        let step = "make the plugin's pair";
        let indexes = [
            index(1_000_000, network),
            index(2_000_000, endpoint),
            index(3_000_000, endpoint),
        ];
        let [Some(bridge), Some(near), Some(far)] = indexes else {
            return Err(LabError::new(step, "no id"));
        };
        let name = |kind: &str| {
            format!("{kind}{}", endpoint.get(..8).unwrap_or_default())
                .parse::<LinkName>()
                .during(step)
        };
        let link = NewLink {
            at: realm(near),
            name: name("ph")?,
            mac: MacAddr::random(),
            mtu: None,
            kind: LinkKind::Veth {
                peer: VethPeer {
                    at: realm(far),
                    name: name("ps")?,
                    mac: MacAddr::random(),
                    mtu: None,
                },
            },
        };
        self.send(&[
            create(link, Some(bridge)),
            no_generation(near),
            no_generation(far),
            up(near),
        ])?;
        Ok(json!({
            "InterfaceName": { "SrcName": name("ps")?.as_str(), "DstPrefix": "plug" },
            "Gateway": "10.79.1.1",
            "StaticRoutes": [{ "Destination": "10.99.0.0/16", "RouteType": 0, "NextHop": "10.79.1.1" }],
        }))
    }

    fn delete(&self, link: Option<Ifindex>) -> Result<Value> {
        let Some(index) = link else { return Ok(json!({})) };
        let there = self
            .kernel
            .link(&self.realm, LinkQuery::Index(index))
            .during("look for a link")?;
        match there {
            Some(_) => self.send(&[Request::DeleteLink { index }]),
            None => Ok(json!({})),
        }
    }

    fn send(&self, requests: &[Request]) -> Result<Value> {
        let answers = self
            .kernel
            .send(&self.realm, requests)
            .during("ask the kernel as a plugin")?;
        let done = answers.into_iter().collect::<jackfield_kernel::Result<()>>();
        done.map(|()| json!({})).during("change the realm as a plugin")
    }
}

fn realm(index: Ifindex) -> LinkAt {
    LinkAt {
        place: Place::Realm,
        index,
    }
}

fn create(link: NewLink, controller: Option<Ifindex>) -> Request {
    Request::CreateLink {
        link: Box::new(link),
        controller,
        group: 0,
        sandbox: None,
    }
}

fn up(index: Ifindex) -> Request {
    Request::SetLink {
        index,
        setting: LinkSetting::Up(true),
    }
}

fn no_generation(index: Ifindex) -> Request {
    Request::SetLink {
        index,
        setting: LinkSetting::AddressGeneration(false),
    }
}
