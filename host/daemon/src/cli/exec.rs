//! Runs a command inside a sandbox's namespace, and becomes its exit code.

use std::{ffi::OsString, process::ExitCode, process::ExitStatus};

use jackfield_kernel::{Kernel, KernelError, Linux, Namespace, NamespaceSource, netns};
use jackfield_model::{Error, ErrorCode};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
};

use super::{Failure, Outcome, etc, signals::Signals};
use crate::wire::Sandbox;

/// Runs the command, and passes signals on to it.
pub(super) async fn inside(sandbox: &Sandbox, command: &[OsString]) -> Outcome {
    let mut signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", e))?;
    with_signals(sandbox, command, &mut signals).await
}

/// The same, with signals that are caught already: those that came before the command was there reach it first thing.
pub(super) async fn with_signals(sandbox: &Sandbox, command: &[OsString], signals: &mut Signals) -> Outcome {
    let namespace = open(sandbox)?;
    let mut child = spawn(sandbox, &namespace, command)?;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(exit_code).map_err(|e| Failure::system("cannot wait for the command", e)),
            signal = signals.next() => forward(&child, signal),
        }
    }
}

fn open(sandbox: &Sandbox) -> Result<Namespace, Failure> {
    let path = sandbox.path.clone().ok_or_else(|| {
        let message = format!(
            "the sandbox {} cannot be entered: its namespace is its runtime's",
            sandbox.name
        );
        Error::new(ErrorCode::Unsupported, message)
    })?;
    let opened = Linux::new().and_then(|linux| linux.open_namespace(&NamespaceSource::Path(path)));
    Ok(opened.map_err(|e| cannot_enter(sandbox, e))?)
}

/// A child is born into the namespaces of the thread that makes it: one of its own, since it cannot go back to the mounts that it left.
fn spawn(sandbox: &Sandbox, namespace: &Namespace, command: &[OsString]) -> Result<Child, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::usage("there is no command to run"));
    };
    let runtime = Handle::current();
    let born = || {
        let _runtime = runtime.enter();
        if let Some(files) = &sandbox.files {
            etc::enter(files).map_err(|e| Failure::system("cannot put the sandbox's files into /etc", e))?;
        }
        let spawned = netns::within(namespace, || Command::new(program).args(arguments).spawn());
        let entered = spawned.map_err(|e| Failure::Own(Error::from(e)))?;
        entered.map_err(|cause| Failure::Program {
            program: program.to_string_lossy().into_owned(),
            cause,
        })
    };
    let ended = || Failure::Own(Error::internal("the thread that starts the command panicked"));
    std::thread::scope(|scope| scope.spawn(born).join().unwrap_or_else(|_| Err(ended())))
}

fn cannot_enter(sandbox: &Sandbox, error: KernelError) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("the sandbox {} cannot be entered", sandbox.name),
    )
    .caused_by(error)
}

/// The id is None once the command has ended; then there is nobody to tell.
fn forward(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        // It may have ended this very moment; its exit is what counts.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// As a shell gives it: 128 and the signal's number for a command that a signal ended.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
