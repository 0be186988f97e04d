//! Compilation, in a process of its own: half a megabyte made for the purpose keeps a compiler busy for half a minute, and a compiler cannot
//! be interrupted. The process is this program again, with limits on its memory and time, and it is killed at a deadline.
//!
//! Component on its stdin, code on its stdout, what is wrong with the component on its stderr.

use std::{
    ffi::OsString,
    fmt,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use jackfield_model::{Error, ErrorCode, Result};
use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};
use wasmtime::component::Component;

use crate::{
    cache::{CODE_MAX, Cache, Code},
    check::{COMPONENT_MAX, Digest},
    deserialise,
    engine::{Engine, compile_config},
    output::one_line,
};

/// Address space of the compile process. The largest script engines' 18 MB take about 1 GB.
const MEMORY_MAX: u64 = 3 << 30;
/// Its processor time, in seconds.
const CPU_MAX: u64 = 120;
/// Its open files.
const FILES_MAX: u64 = 32;
/// What is kept of what it says is wrong, in bytes.
const WORDS_MAX: u64 = 4 << 10;
/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// How the compile process is started.
#[derive(Clone, Debug)]
pub struct CompileSettings {
    /// A program that calls [`compile_child_main`].
    pub program: PathBuf,
    /// What tells it to.
    pub arguments: Vec<OsString>,
    /// When it is killed.
    pub deadline: Duration,
}

impl CompileSettings {
    /// This very program, called with these arguments. By the kernel's link to it: its file may have been replaced since it started.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self {
            program: "/proc/self/exe".into(),
            arguments,
            deadline: Duration::from_secs(60),
        }
    }
}

/// Compiles, or finds what was compiled before.
#[derive(Debug)]
pub(crate) struct Compiler {
    engine: Arc<Engine>,
    settings: CompileSettings,
    cache: Cache,
}

impl Compiler {
    pub(crate) fn new(engine: &Arc<Engine>, settings: CompileSettings, cache: &Path) -> Result<Self> {
        Ok(Self {
            engine: engine.clone(),
            settings,
            cache: Cache::open(cache, engine.compatibility())?,
        })
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The component of these bytes.
    ///
    /// # Errors
    /// invalid-argument, when it is not valid or takes too much to compile.
    pub(crate) fn compile(&self, digest: &Digest, bytes: &[u8]) -> Result<Component> {
        if let Some(component) = self.cached(digest) {
            return Ok(component);
        }
        let code = self.run(bytes)?;
        let component = deserialise::component(&self.engine, &code)?;
        if let Err(error) = self.cache.put(digest, &code) {
            tracing::warn!(%error, "compiled code cannot be kept: the next start compiles it anew");
        }
        Ok(component)
    }

    fn cached(&self, digest: &Digest) -> Option<Component> {
        let code = self.cache.get(digest)?;
        deserialise::component(&self.engine, &code)
            .inspect_err(|error| tracing::warn!(%error, "cached code is compiled anew"))
            .ok()
    }

    fn run(&self, bytes: &[u8]) -> Result<Code> {
        // The deadline is inside: the process has to be killed and waited for, too.
        let ended = self.engine.run(Duration::MAX, async {
            let mut child = self.spawn()?;
            let ended = tokio::time::timeout(self.settings.deadline, converse(&mut child, bytes)).await;
            if ended.is_err() {
                child.kill().await.map_err(Failure::Io)?;
            }
            ended.unwrap_or(Err(Failure::Late(self.settings.deadline)))
        });
        ended
            .unwrap_or(Err(Failure::Late(self.settings.deadline)))
            .map(Code::trusted)
            .map_err(Error::from)
    }

    fn spawn(&self) -> std::result::Result<Child, Failure> {
        Command::new(&self.settings.program)
            .args(&self.settings.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| Failure::Start(self.settings.program.clone(), cause))
    }
}

/// Gives the process the component and takes what it makes of it.
async fn converse(child: &mut Child, bytes: &[u8]) -> std::result::Result<Vec<u8>, Failure> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::Io(std::io::ErrorKind::BrokenPipe.into()));
    };
    let (mut code, mut words) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(CODE_MAX + 1), stderr.take(WORDS_MAX));
    let write = async {
        // A process that ends before it has read everything says why by its status.
        let _ = stdin.write_all(bytes).await;
        drop(stdin);
        Ok(())
    };
    tokio::try_join!(write, stdout.read_to_end(&mut code), stderr.read_to_end(&mut words)).map_err(Failure::Io)?;
    // A process that has more to say would otherwise wait for a reader.
    drop((stdout, stderr));
    let status = child.wait().await.map_err(Failure::Io)?;
    if !status.success() {
        return Err(Failure::of(status, &words));
    }
    if code.len() as u64 > CODE_MAX {
        return Err(Failure::Large);
    }
    Ok(code)
}

/// Why nothing was compiled.
#[derive(Debug)]
enum Failure {
    Start(PathBuf, std::io::Error),
    Io(std::io::Error),
    Late(Duration),
    Cpu,
    Large,
    /// Ended by a signal, which is how a limit on memory ends a compiler.
    Killed(i32),
    Invalid(String),
}

impl Failure {
    fn of(status: ExitStatus, words: &[u8]) -> Self {
        match status.signal() {
            Some(signal) if signal == Signal::SIGXCPU as i32 => Self::Cpu,
            Some(signal) => Self::Killed(signal),
            None => Self::Invalid(one_line(&String::from_utf8_lossy(words), WORDS_MAX as usize)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, cause) => write!(f, "the compiler {} does not start: {cause}", program.display()),
            Self::Io(cause) => write!(f, "the connection to the compiler broke: {cause}"),
            Self::Late(deadline) => write!(
                f,
                "the component takes too long to compile: it was stopped after {} ms",
                deadline.as_millis()
            ),
            Self::Cpu => write!(
                f,
                "the component takes too long to compile: it was stopped after {CPU_MAX} s of processor time"
            ),
            Self::Large => write!(f, "the component makes more than {CODE_MAX} bytes of code"),
            Self::Killed(signal) => {
                write!(
                    f,
                    "the component takes more memory to compile than {MEMORY_MAX} bytes, or breaks the compiler (signal {signal})"
                )
            }
            Self::Invalid(words) => write!(f, "the component is not valid: {words}"),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Start(_, cause) | Failure::Io(cause) => Error::internal(message).caused_by(cause),
            _ => Error::new(ErrorCode::InvalidArgument, message),
        }
    }
}

/// What the compile process does. Call it first thing in `main`, before any thread is started: it takes this process's rights away.
pub fn compile_child_main() -> ExitCode {
    match compile_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            // The host reads it; when it does not any more, nobody does.
            let _ = writeln!(std::io::stderr(), "{words}");
            ExitCode::FAILURE
        }
    }
}

fn compile_stdin() -> std::result::Result<(), String> {
    limit().map_err(|e| format!("the compiler's limits cannot be set: {e}"))?;
    let mut bytes = Vec::new();
    let reading = std::io::stdin().take(COMPONENT_MAX as u64).read_to_end(&mut bytes);
    reading.map_err(|e| format!("the component cannot be read: {e}"))?;
    let engine = wasmtime::Engine::new(&compile_config()).map_err(|e| format!("{e:#}"))?;
    let code = engine.precompile_component(&bytes).map_err(|e| format!("{e:#}"))?;
    std::io::stdout()
        .write_all(&code)
        .map_err(|e| format!("the code cannot be handed over: {e}"))
}

fn limit() -> nix::Result<()> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, MEMORY_MAX),
        (Resource::RLIMIT_CPU, CPU_MAX),
        (Resource::RLIMIT_NOFILE, FILES_MAX),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        // One second above, so that the signal that can be told apart comes before the one that cannot.
        setrlimit(resource, most, most + u64::from(resource == Resource::RLIMIT_CPU))?;
    }
    prctl::set_no_new_privs()?;
    if geteuid().is_root() {
        become_nobody();
    }
    // After the change of user, which would take it back.
    prctl::set_pdeathsig(Signal::SIGKILL)
}

/// A compiler that reads hostile input needs no rights. In a user namespace that has no such user it keeps those of its own, as the host would.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let _ = setgroups(&[]);
    let _ = setresgid(group, group, group);
    let _ = setresuid(user, user, user);
}
