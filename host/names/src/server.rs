//! The server: sockets in many sandboxes, a few tasks.
//!
//! ```text
//!   open --------> in the table, its sockets in an epoll --close, or what its life hangs on ends--> gone, with all that it had under way
//!
//!   an epoll a core, each with one task: at most BURST datagrams of one sandbox, then the next one's
//!     datagram   answered at once, or a task asks outside (Budget: a few for each sandbox)
//!     connection a task of its own (another Budget), one question after the other
//! ```
//!
//! Whoever holds a sandbox's sockets keeps its namespace alive, so nobody but the table does: tasks hold weak references and end with it.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, KernelError, Namespace, sockets};
use jackfield_model::{DnsName, EndpointId, Error, ErrorCode, Member, NetworkId, Result, SandboxId, VirtualService};
use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest, unix::AsyncFd},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

use crate::{
    ADDRESS,
    answer::{Carrier, Decision, Question, decide},
    cache::Cache,
    directory::Directory,
    forward::{Shunned, servers},
    limits::{Budget, Share},
    resolv_conf::{HostConf, ResolvConf},
    upstream::{self, framed},
    watch::{Files, Life},
};

/// Datagrams of one sandbox before it is another's turn.
const BURST: usize = 16;
/// Longest question: a name is at most 255 bytes, and what comes with it is short.
const QUESTION: usize = 1500;
/// Sockets that are looked at in one turn.
const EVENTS: usize = 64;
/// Questions under way outside, of all sandboxes.
const QUESTIONS: usize = 4096;
/// Connections of all sandboxes.
const CONNECTIONS: usize = 1024;
/// Longest silence on a connection, and longest time for one question to arrive.
const SILENCE: Duration = Duration::from_secs(10);
/// Questions on one connection.
const ON_ONE: usize = 256;
/// Tasks at most, however many cores.
const SHARDS: usize = 4;
/// The number of the watcher of files; those of sandboxes begin above it.
const FILES: u64 = 0;

/// What a sandbox asks for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which.
    pub sandbox: SandboxId,
    /// The realm that it belongs to, from where loopback servers are asked.
    pub realm: Namespace,
    /// Its own servers; empty: those of its networks, then the host's.
    pub servers: Vec<IpAddr>,
}

/// Sockets that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Their port on 127.0.0.11.
    pub port: u16,
}

/// The name service. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    kernel: Arc<dyn Kernel>,
    directory: RwLock<Directory>,
    sandboxes: Mutex<Table>,
    shards: Vec<Shard>,
    files: Mutex<Files>,
    next: AtomicU64,
    questions: Arc<Budget>,
    connections: Arc<Budget>,
    host: HostConf,
}

#[derive(Default)]
struct Table {
    by_number: HashMap<u64, Arc<Sandbox>>,
    by_id: HashMap<SandboxId, u64>,
}

struct Shard(Epoll);

/// A sandbox with its sockets.
struct Sandbox {
    settings: Settings,
    namespace: Namespace,
    udp: UdpSocket,
    tcp: TcpListener,
    life: Life,
    cache: Mutex<Cache>,
    shunned: Mutex<Shunned>,
    questions: Arc<Share>,
    connections: Arc<Share>,
    /// Dropped with the sandbox: what is under way for it ends.
    alive: watch::Sender<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sandboxes = self.inner.table().by_id.len();
        f.debug_struct("Server")
            .field("sandboxes", &sandboxes)
            .finish_non_exhaustive()
    }
}

/// Locks also what a panic has left locked: nothing behind these locks can be half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// With no sandbox. `resolv_conf` is the host's, which need not be there.
    ///
    /// # Errors
    /// That the system has no room for another epoll or inotify.
    pub fn new(kernel: Arc<dyn Kernel>, resolv_conf: PathBuf) -> Result<Self> {
        let failed = |cause: io::Error| {
            Error::new(ErrorCode::Unavailable, "the name service cannot watch its sockets").caused_by(cause)
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shard = |_| Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Shard);
        let shards = (0..cores.min(SHARDS))
            .map(shard)
            .collect::<std::result::Result<Vec<_>, Errno>>();
        let shards = shards.map_err(|e| failed(e.into()))?;
        let files = Files::new().map_err(failed)?;
        let first = shards
            .first()
            .ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
        first.watch(&files, FILES).map_err(|e| failed(e.into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                kernel,
                directory: RwLock::default(),
                sandboxes: Mutex::default(),
                shards,
                files: Mutex::new(files),
                next: AtomicU64::new(1),
                questions: Budget::new(QUESTIONS),
                connections: Budget::new(CONNECTIONS),
                host: HostConf::at(resolv_conf),
            }),
        })
    }

    /// Opens a sandbox's sockets, at that port or at a free one. What comes is kept until [`Server::run`]. One that is open stays as it is.
    ///
    /// # Errors
    /// in-use where the port is taken; else that the namespace cannot be entered, or what its life hangs on is gone.
    pub fn open(&self, settings: Settings, namespace: Namespace, life: Life, port: Option<u16>) -> Result<Opened> {
        if let Some(open) = self.inner.find(&settings.sandbox) {
            return Ok(Opened { port: open.port()? });
        }
        let opened = sockets::resolver(&namespace, ADDRESS, port).map_err(not_opened)?;
        let sandbox = Sandbox {
            settings,
            namespace,
            udp: opened.udp,
            tcp: opened.tcp,
            life,
            cache: Mutex::default(),
            shunned: Mutex::default(),
            questions: Arc::default(),
            connections: Arc::default(),
            alive: watch::Sender::new(()),
        };
        self.inner.admit(Arc::new(sandbox))?;
        Ok(Opened { port: opened.port })
    }

    /// Closes them, if they are open.
    pub fn close(&self, sandbox: &SandboxId) {
        let number = self.inner.table().by_id.get(sandbox).copied();
        number.into_iter().for_each(|number| self.inner.dismiss(number));
    }

    /// An endpoint is in a sandbox.
    pub fn insert(&self, member: Member) {
        self.inner.directory_to_change().insert(member);
    }

    /// It left.
    pub fn remove(&self, endpoint: &EndpointId) {
        self.inner.directory_to_change().remove(endpoint);
    }

    /// A service stands.
    pub fn insert_service(&self, service: VirtualService) {
        self.inner.directory_to_change().insert_service(service);
    }

    /// It is no more.
    pub fn remove_service(&self, network: &NetworkId, name: &DnsName) {
        self.inner.directory_to_change().remove_service(network, name);
    }

    /// What the host's own resolv.conf says.
    pub fn host_conf(&self) -> Arc<ResolvConf> {
        self.inner.host.current()
    }

    /// Serves, for as long as it is polled.
    ///
    /// # Errors
    /// That the runtime cannot watch an epoll.
    pub async fn run(self) -> io::Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for shard in 0..self.inner.shards.len() {
            tasks.spawn(self.inner.clone().serve(shard));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// A port that is taken is a word of its own: the caller may have another.
fn not_opened(error: KernelError) -> Error {
    match error.errno() {
        Some(Errno::EADDRINUSE) => Error::new(ErrorCode::InUse, error.to_string()).caused_by(error),
        _ => error.into(),
    }
}

impl Shard {
    fn watch(&self, what: impl AsFd, number: u64) -> std::result::Result<(), Errno> {
        self.0.add(what, EpollEvent::new(EpollFlags::EPOLLIN, number))
    }
}

impl Sandbox {
    fn port(&self) -> Result<u16> {
        let failed = |cause: io::Error| Error::internal("a resolver's socket does not know its port").caused_by(cause);
        self.udp.local_addr().map(|address| address.port()).map_err(failed)
    }

    /// Whether what its life hangs on is still there. A process tells by its descriptor.
    fn lives(&self, kernel: &dyn Kernel) -> bool {
        let is_same = |path: &PathBuf| {
            let source = jackfield_kernel::NamespaceSource::Path(path.clone());
            kernel
                .open_namespace(&source)
                .is_ok_and(|found| found.id() == self.namespace.id())
        };
        match &self.life {
            Life::Host | Life::Process(_) => true,
            Life::File(path) => is_same(path),
        }
    }
}

/// What an event's number means: the sandbox's, and in its last two bits which of its descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Datagrams,
    Connections,
    Life,
}

fn number_of(sandbox: u64, source: Source) -> u64 {
    sandbox << 2 | source as u64
}

fn source_of(number: u64) -> (u64, Option<Source>) {
    let source = [Source::Datagrams, Source::Connections, Source::Life]
        .into_iter()
        .find(|s| *s as u64 == number & 3);
    (number >> 2, source)
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.sandboxes)
    }

    fn directory_to_change(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        let table = self.table();
        table.by_number.get(table.by_id.get(id)?).cloned()
    }

    fn admit(&self, sandbox: Arc<Sandbox>) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let failed = |cause: io::Error| {
            Error::new(ErrorCode::Unavailable, "the name service cannot watch another sandbox").caused_by(cause)
        };
        if let Life::File(path) = &sandbox.life {
            lock(&self.files).add(path).map_err(failed)?;
        }
        {
            let mut table = self.table();
            table.by_id.insert(sandbox.settings.sandbox.clone(), number);
            table.by_number.insert(number, sandbox.clone());
        }
        let gone = || Error::not_found("the file of a sandbox's namespace is gone");
        let watched = self.watch(number, &sandbox).map_err(|errno| failed(errno.into()));
        // A file that went before it was watched is never told of.
        let admitted = watched.and_then(|()| {
            if sandbox.lives(&*self.kernel) {
                Ok(())
            } else {
                Err(gone())
            }
        });
        if admitted.is_err() {
            drop(sandbox);
            self.dismiss(number);
        }
        admitted
    }

    fn watch(&self, number: u64, sandbox: &Sandbox) -> std::result::Result<(), Errno> {
        let shard = &self.shards[number as usize % self.shards.len()];
        shard.watch(&sandbox.udp, number_of(number, Source::Datagrams))?;
        shard.watch(&sandbox.tcp, number_of(number, Source::Connections))?;
        match &sandbox.life {
            Life::Process(process) => shard.watch(process, number_of(number, Source::Life)),
            Life::Host | Life::File(_) => Ok(()),
        }
    }

    /// Closing its descriptors takes them out of their epoll.
    fn dismiss(&self, number: u64) {
        let gone = {
            let mut table = self.table();
            let gone = table.by_number.remove(&number);
            if let Some(sandbox) = &gone {
                table.by_id.remove(&sandbox.settings.sandbox);
            }
            gone
        };
        if let Some(Life::File(path)) = gone.as_ref().map(|s| &s.life) {
            lock(&self.files).remove(path);
        }
    }

    async fn serve(self: Arc<Self>, shard: usize) -> io::Result<()> {
        let own = self.shards[shard].0.0.try_clone()?;
        // Its successor is unsafe for what closes its descriptor early, which one that owns it cannot; and unsafe stands elsewhere.
        #[allow(deprecated)]
        let fd = AsyncFd::with_interest(own, Interest::READABLE)?;
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let mut ready = fd.readable().await?;
            match self.shards[shard].0.wait(&mut events, EpollTimeout::ZERO) {
                Ok(0) => ready.clear_ready(),
                Ok(count) => events[..count].iter().for_each(|event| self.event(event.data())),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Others want the thread too: those who ask outside, and the API.
            tokio::task::yield_now().await;
        }
    }

    fn event(self: &Arc<Self>, number: u64) {
        if number == FILES {
            return self.look_at_files();
        }
        let (number, source) = source_of(number);
        let Some(sandbox) = self.table().by_number.get(&number).cloned() else {
            return;
        };
        match source {
            Some(Source::Datagrams) => self.datagrams(&sandbox),
            Some(Source::Connections) => self.connections(&sandbox),
            Some(Source::Life) => {
                drop(sandbox);
                self.dismiss(number);
            }
            None => {}
        }
    }

    fn look_at_files(&self) {
        let taken = lock(&self.files).taken();
        let concerned = |sandbox: &Sandbox| match (&sandbox.life, &taken) {
            (Life::File(path), Some(files)) => files.contains(path),
            (Life::File(_), None) => true,
            _ => false,
        };
        let all: Vec<(u64, Arc<Sandbox>)> = {
            let table = self.table();
            let concerned = table.by_number.iter().filter(|(_, sandbox)| concerned(sandbox));
            concerned.map(|(number, sandbox)| (*number, sandbox.clone())).collect()
        };
        for (number, sandbox) in all {
            if !sandbox.lives(&*self.kernel) {
                drop(sandbox);
                self.dismiss(number);
            }
        }
    }

    fn datagrams(self: &Arc<Self>, sandbox: &Arc<Sandbox>) {
        let mut buffer = [0; QUESTION];
        for _ in 0..BURST {
            let (length, peer) = match sandbox.udp.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let decision = decide(
                &buffer[..length],
                Carrier::Udp,
                &self.directory(),
                &sandbox.settings.sandbox,
            );
            match decision {
                Decision::Nothing => {}
                Decision::Reply(reply) => sandbox.reply(&reply, peer),
                Decision::Forward(question) => self.forward_datagram(sandbox, question, peer),
            }
        }
    }

    fn forward_datagram(self: &Arc<Self>, sandbox: &Arc<Sandbox>, question: Box<Question>, peer: SocketAddr) {
        let outside = match self.outside(sandbox, &question) {
            Ok(reply) => return sandbox.reply(&reply, peer),
            Err(outside) => outside,
        };
        tokio::spawn(async move {
            let reply = outside.ask(&question).await;
            if let Some((sandbox, reply)) = outside.sandbox.upgrade().zip(reply) {
                sandbox.reply(&reply, peer);
            }
        });
    }

    /// The answer, where it can be had without asking; else what is needed to ask.
    fn outside(&self, sandbox: &Arc<Sandbox>, question: &Question) -> std::result::Result<Vec<u8>, Outside> {
        use hickory_proto::op::ResponseCode::ServFail;
        let now = Instant::now();
        if let Some(kept) = lock(&sandbox.cache).get(&question.key(), now) {
            return Ok(question.relay(&kept));
        }
        let networks = self.directory().servers(&sandbox.settings.sandbox);
        let (own, host) = (&sandbox.settings.servers, self.host.current());
        let mut servers = servers(
            own,
            &networks,
            &host.servers,
            &sandbox.namespace,
            &sandbox.settings.realm,
        );
        lock(&sandbox.shunned).sort(&mut servers, now);
        if servers.is_empty() {
            return Ok(question.fail(ServFail));
        }
        // Too many under way: a quick refusal, which costs nothing, and which resolvers take as "ask again".
        let Some(permit) = self.questions.take(&sandbox.questions) else {
            return Ok(question.fail(ServFail));
        };
        Err(Outside {
            sandbox: Arc::downgrade(sandbox),
            alive: sandbox.alive.subscribe(),
            servers,
            _permit: permit,
        })
    }

    fn connections(self: &Arc<Self>, sandbox: &Arc<Sandbox>) {
        for _ in 0..BURST {
            let stream = match sandbox.tcp.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            // Dropped where there are too many: the resolver that asks sees the connection closed.
            let Some(permit) = self.connections.take(&sandbox.connections) else {
                continue;
            };
            let (inner, weak, mut alive) = (self.clone(), Arc::downgrade(sandbox), sandbox.alive.subscribe());
            let opened = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Ok(stream) = opened else { continue };
            tokio::spawn(async move {
                tokio::select! {
                    _ = alive.changed() => {}
                    // However it ends, that is the end of the connection and of nothing else.
                    _ = inner.talk(stream, &weak) => {}
                }
                drop(permit);
            });
        }
    }

    async fn talk(&self, mut stream: TcpStream, sandbox: &Weak<Sandbox>) -> io::Result<()> {
        let mut buffer = [0; QUESTION];
        for _ in 0..ON_ONE {
            let length = timeout(SILENCE, receive(&mut stream, &mut buffer)).await??;
            let Some(reply) = self.answer(&buffer[..length], sandbox).await else {
                return Ok(());
            };
            timeout(SILENCE, stream.write_all(&framed(&reply))).await??;
        }
        Ok(())
    }

    /// None where there is nothing to say, or nobody any more who would say it.
    async fn answer(&self, question: &[u8], sandbox: &Weak<Sandbox>) -> Option<Vec<u8>> {
        let (question, outside) = {
            let sandbox = sandbox.upgrade()?;
            let decision = decide(question, Carrier::Tcp, &self.directory(), &sandbox.settings.sandbox);
            match decision {
                Decision::Nothing => return None,
                Decision::Reply(reply) => return Some(reply),
                Decision::Forward(question) => match self.outside(&sandbox, &question) {
                    Ok(reply) => return Some(reply),
                    Err(outside) => (question, outside),
                },
            }
        };
        outside.ask(&question).await
    }
}

async fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let length = usize::from(stream.read_u16().await?);
    let into = buffer.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
    stream.read_exact(into).await
}

impl Sandbox {
    /// An answer that does not fit into the asker's buffer is lost, as any datagram may be.
    fn reply(&self, reply: &[u8], peer: SocketAddr) {
        if !reply.is_empty()
            && let Err(error) = self.udp.send_to(reply, peer)
        {
            tracing::debug!(%error, "an answer could not be sent");
        }
    }
}

/// A question on its way outside.
struct Outside {
    sandbox: Weak<Sandbox>,
    alive: watch::Receiver<()>,
    servers: Vec<upstream::Upstream>,
    _permit: crate::limits::Permit,
}

impl Outside {
    /// None when the sandbox ended meanwhile.
    async fn ask(&self, question: &Question) -> Option<Vec<u8>> {
        use hickory_proto::op::ResponseCode::ServFail;
        let mut alive = self.alive.clone();
        let (answer, silent) = tokio::select! {
            _ = alive.changed() => return None,
            asked = upstream::ask(question, &self.servers) => asked,
        };
        let sandbox = self.sandbox.upgrade()?;
        let now = Instant::now();
        if !silent.is_empty() {
            lock(&sandbox.shunned).add(&silent, now);
        }
        let Some((message, bytes)) = answer else {
            return Some(question.fail(ServFail));
        };
        lock(&sandbox.cache).put(question.key(), &message, bytes, now);
        Some(question.relay(&message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_number_says_whose_and_which() {
        for source in [Source::Datagrams, Source::Connections, Source::Life] {
            assert_eq!(source_of(number_of(77, source)), (77, Some(source)));
            assert_ne!(number_of(1, source), FILES);
        }
    }
}
