//! Answers to names, with five hundred sandboxes that may ask: how long one takes, and what each costs when all ask at once. Beside it dnsmasq,
//! where it is installed, with one namespace and as many askers.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jackfield_kernel::Namespace;
use jackfield_lab::{Host, Lab, Sandbox, dns};
use serde_json::json;

use crate::{
    api,
    failure::{During, Result},
    figure::{Measured, Taken},
    subject::Subject,
};

/// Who may ask.
const ASKERS: usize = 500;
/// Who asks at once: no more than fit into the one socket of a server that has one.
const AT_ONCE: usize = 200;
/// Who asks in one run, one after another.
const ONE_BY_ONE: usize = 50;
/// A lost answer is a failure of the run.
const PATIENCE: Duration = Duration::from_secs(2);

/// Askers, and whom they ask.
pub struct Answers<'a> {
    askers: Vec<UdpSocket>,
    question: Vec<u8>,
    next: usize,
    one: Measured,
    all: Measured,
    _host: Option<Host<'a>>,
    _program: Option<Program>,
}

/// Dropped, it ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Answers<'a> {
    /// A host with so many sandboxes, each of which asks for the first one's name.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn of_host(lab: &'a Lab) -> Result<Self> {
        let host = api::host(lab)?;
        let mut client = host.client().during("connect to the host")?;
        let network = json!({ "name": "named", "driver": "bridge", "pools": [{ "subnet": "10.84.0.0/16" }] });
        let created = client.post("/v1/networks", &network);
        created
            .and_then(|answer| answer.ok("create"))
            .during("create the network")?;
        let mut askers = Vec::new();
        for number in 0..ASKERS {
            let sandbox = Sandbox::create(lab, &mut client, &format!("s{number}")).during("create a sandbox")?;
            sandbox.connect(&mut client, "named").during("connect a sandbox")?;
            askers.push(asker(lab, &sandbox.namespace, dns::RESOLVER)?);
        }
        let answers = Self::new(askers, (Measured::NamesOne, Measured::NamesAll))?;
        Ok(Self {
            _host: Some(host),
            ..answers
        })
    }

    /// dnsmasq in a namespace of its own; None where it is not installed.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn of_dnsmasq(lab: &'a Lab) -> Result<Option<Self>> {
        let namespace = lab.namespace("dnsmasq").during("make a namespace")?;
        let arguments = [
            "-k",
            "-C",
            "/dev/null",
            "-R",
            "-h",
            "-u",
            "root",
            "--pid-file=",
            "--host-record=s0,10.84.0.2",
        ];
        let spawned = lab.within(&namespace, || {
            Command::new("dnsmasq")
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        });
        let Ok(child) = spawned.during("enter the namespace")? else {
            eprintln!("bench: dnsmasq is not installed, so nothing is measured beside the host's answers");
            return Ok(None);
        };
        let server = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53);
        let askers = (0..ASKERS)
            .map(|_| asker(lab, &namespace, server))
            .collect::<Result<_>>()?;
        let mut answers = Self::new(askers, (Measured::DnsmasqOne, Measured::DnsmasqAll))?;
        answers._program = Some(Program(child));
        answers.wait()?;
        Ok(Some(answers))
    }

    fn new(askers: Vec<UdpSocket>, (one, all): (Measured, Measured)) -> Result<Self> {
        let question = dns::question("s0.", "A", None).during("write a question")?;
        Ok(Self {
            askers,
            question,
            next: 0,
            one,
            all,
            _host: None,
            _program: None,
        })
    }

    /// Until it answers.
    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(failure) = self.ask(0) {
            if Instant::now() > deadline {
                return Err(failure);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn ask(&self, who: usize) -> Result<Duration> {
        let (start, mut buffer) = (Instant::now(), [0; 512]);
        self.askers[who].send(&self.question).during("ask")?;
        self.askers[who].recv(&mut buffer).during("wait for an answer")?;
        Ok(start.elapsed())
    }

    /// What each answer takes when many ask at once.
    fn ask_all(&self) -> Result<Duration> {
        let (start, mut buffer) = (Instant::now(), [0; 512]);
        self.askers[..AT_ONCE]
            .iter()
            .try_for_each(|asker| asker.send(&self.question).map(drop))
            .during("ask")?;
        self.askers[..AT_ONCE]
            .iter()
            .try_for_each(|asker| asker.recv(&mut buffer).map(drop))
            .during("wait for answers")?;
        Ok(start.elapsed() / AT_ONCE as u32)
    }
}

fn asker(lab: &Lab, namespace: &Namespace, server: SocketAddr) -> Result<UdpSocket> {
    let socket = lab
        .within(namespace, || UdpSocket::bind("127.0.0.1:0"))
        .during("enter a sandbox")?;
    let socket = socket.during("open a socket")?;
    socket.set_read_timeout(Some(PATIENCE)).during("open a socket")?;
    lab.within(namespace, || socket.connect(server))
        .during("enter a sandbox")?
        .during("open a socket")?;
    Ok(socket)
}

impl Subject for Answers<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let mut taken = vec![(self.all, self.ask_all()?.into())];
        for _ in 0..ONE_BY_ONE {
            self.next = (self.next + 1) % ASKERS;
            taken.push((self.one, self.ask(self.next)?.into()));
        }
        Ok(taken)
    }

    fn every(&self) -> usize {
        5
    }
}
