//! Sandboxes: namespaces that the host makes, that it is shown, or that it only hears of.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use jackfield_kernel::{KernelError, Mark, Namespace, NamespaceSource, SandboxAt};
use jackfield_model::{Error, ErrorCode, Options, Result, SandboxId};

use super::{Inner, place::Place};
use crate::{
    request::{CreateSandbox, Done, SandboxInfo, SandboxKind},
    state::{Begin, Denied, Ground, Sandbox, SandboxPhase, SandboxRecord},
};

/// A sandbox that is open for the length of a call. What is not the host's own is forgotten afterwards: an open socket would keep a dead
/// namespace alive, and with it the host's end of its links.
pub struct Opened<'a> {
    inner: &'a Inner,
    /// None for a foreign one.
    pub at: Option<SandboxAt>,
    /// The runtime moves the interface.
    pub foreign: bool,
    /// It is the host's own, and stays open.
    own: bool,
}

impl Opened<'_> {
    /// An endpoint joined: a descriptor that was kept for that is let go.
    pub fn arrived(&self, place: &Place, sandbox: &SandboxId) {
        if !self.own {
            place.let_go(sandbox);
        }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.at.take().filter(|_| !self.own) {
            self.inner.kernel.forget(&at.namespace);
        }
    }
}

/// What a request's namespace turned out to be.
struct Shown {
    ground: Ground,
    /// Open, for one that is known by a descriptor alone.
    namespace: Option<Namespace>,
}

impl Inner {
    pub(super) fn create_sandbox(self: &Arc<Self>, place: &Place, request: CreateSandbox) -> Result<Done<SandboxInfo>> {
        let CreateSandbox {
            id,
            name,
            kind,
            labels,
            dns,
        } = request;
        dns.check()?;
        // The file that pins a namespace is named by the id, so that one is needed before anything else.
        let (given, fresh) = (id.clone(), SandboxId::random());
        let shown = self.show(kind, id.as_ref().unwrap_or(&fresh))?;
        let begun = place.decide(|s| {
            s.begin_sandbox(
                Some(given.clone().unwrap_or_else(|| fresh.clone())),
                name.clone(),
                &labels,
                &dns,
                shown.ground.clone(),
            )
        })?;
        let id = match begun {
            Begin::AlreadySo(id) => {
                if let Some(namespace) = shown.namespace {
                    place.keep(&id, namespace);
                }
                return place.sandbox_info(id.as_str()).map(Done::AlreadySo);
            }
            Begin::Go(id) => id,
        };
        let unwind = place.unwind(|s| s.remove_sandbox(&id));
        let record = self
            .make_sandbox(place, &id, shown)
            .map_err(|e| e.object(format!("sandbox {}", id.short())))?;
        unwind.disarm();
        place.change(|s| {
            s.finish_sandbox(&id, record.ground);
            s.set_files(&id, record.files);
            s.end_naming(&id, record.resolver);
            self.say_sandbox(s.sandboxes.get(&id), "create");
        });
        self.events.flush();
        place.sandbox_info(id.as_str()).map(Done::Done)
    }

    /// Looks at the namespace that a request shows. A realm is never a sandbox.
    fn show(&self, kind: SandboxKind, id: &SandboxId) -> Result<Shown> {
        let (namespace, source, sent) = match kind {
            SandboxKind::Made => {
                return Ok(Shown {
                    ground: Ground::Made {
                        path: self.pin_path(id),
                        namespace: None,
                    },
                    namespace: None,
                });
            }
            SandboxKind::Foreign(path) => {
                return Ok(Shown {
                    ground: Ground::Foreign { path, seen: false },
                    namespace: None,
                });
            }
            SandboxKind::Adopted(source) => (self.kernel.open_namespace(&source)?, Some(source), false),
            SandboxKind::AdoptedFd { fd, source } => {
                let namespace = self.kernel.adopt_namespace(fd)?;
                let source = source.filter(|source| self.leads_to(source, &namespace));
                (namespace, source, true)
            }
        };
        if self.places().iter().any(|p| p.id() == namespace.id()) || namespace.id() == self.own.id() {
            return Err(Denied::RealmAsSandbox(namespace.id()).into());
        }
        let ground = Ground::Adopted {
            mark: source.is_none().then(|| self.mark(&namespace)).flatten(),
            source,
            namespace: namespace.id(),
        };
        if !sent {
            self.kernel.forget(&namespace);
        }
        Ok(Shown {
            ground,
            namespace: sent.then_some(namespace),
        })
    }

    /// Whether the host finds that namespace there too: a caller's paths may be those of another mount namespace.
    fn leads_to(&self, source: &NamespaceSource, namespace: &Namespace) -> bool {
        let found = self.kernel.open_namespace(source);
        found.is_ok_and(|found| found.id() == namespace.id())
    }

    /// One that the host cannot open again is known to be gone by its mark.
    fn mark(&self, namespace: &Namespace) -> Option<Mark> {
        let marked = self.kernel.mark(namespace);
        let unmarked = |error: &KernelError| tracing::warn!(namespace = %namespace.id(), %error, "it will not be known when a sandbox is gone: it stays until it is deleted");
        marked.inspect_err(unmarked).ok()
    }

    pub(super) fn pin_path(&self, id: &SandboxId) -> PathBuf {
        self.pins().join(id.as_str())
    }

    pub(super) fn pins(&self) -> PathBuf {
        self.config.run_dir.join("netns")
    }

    fn make_sandbox(&self, place: &Place, id: &SandboxId, shown: Shown) -> Result<SandboxRecord> {
        let (ground, namespace) = match shown.ground {
            Ground::Made { path, .. } => {
                let namespace = self.make_namespace(place, &path)?;
                (
                    Ground::Made {
                        path,
                        namespace: Some(namespace.id()),
                    },
                    Some(namespace),
                )
            }
            other => (other, shown.namespace),
        };
        let mut record = place.of_sandbox(id, |s| s.record.clone())?;
        record.ground = ground.clone();
        self.write_files(&mut record);
        if let Err(error) = self.record_sandbox(place, &mut record, namespace.as_ref()) {
            self.drop_namespace(place, &ground, namespace.as_ref());
            return Err(error);
        }
        if let Some(namespace) = namespace {
            place.keep(id, namespace);
        }
        Ok(record)
    }

    fn make_namespace(&self, place: &Place, path: &Path) -> Result<Namespace> {
        let namespace = place.realm.make_sandbox()?;
        self.kernel
            .pin(&namespace, path)
            .inspect_err(|_| place.realm.drop_sandbox(&namespace))?;
        Ok(namespace)
    }

    /// Lets a namespace go that the host made, and forgets one that it did not.
    fn drop_namespace(&self, place: &Place, ground: &Ground, namespace: Option<&Namespace>) {
        if let Some(namespace) = namespace {
            place.realm.drop_sandbox(namespace);
        }
        if let Ground::Made { path, .. } = ground
            && let Err(error) = self.kernel.unpin(path)
        {
            tracing::warn!(path = %path.display(), %error, "a namespace stays pinned until the next start");
        }
    }

    /// Opens a sandbox for a call, and makes sure that it is the one that it was.
    pub(super) fn open_sandbox<'a>(&'a self, place: &Place, id: &SandboxId) -> Result<Opened<'a>> {
        let (ground, name) = place.of_sandbox(id, |s| (s.record.ground.clone(), s.name()))?;
        let own = matches!(ground, Ground::Made { .. });
        if matches!(ground, Ground::Foreign { .. }) {
            return Ok(Opened {
                inner: self,
                at: None,
                foreign: true,
                own,
            });
        }
        let namespace = match place.kept(id) {
            Some(namespace) => namespace,
            None => self.reopen(&ground, &name)?,
        };
        if own {
            place.keep(id, namespace.clone());
        }
        Ok(Opened {
            inner: self,
            at: Some(SandboxAt {
                namespace,
                source: ground.source(),
            }),
            foreign: false,
            own,
        })
    }

    fn reopen(&self, ground: &Ground, name: &str) -> Result<Namespace> {
        let gone = || {
            Error::not_found(format!(
                "the network namespace of sandbox {name} is gone: delete the sandbox"
            ))
        };
        let Some(source) = ground.source() else {
            let message =
                format!("sandbox {name} was shown by a descriptor, which is not kept: show it again with the same id");
            return Err(Error::new(ErrorCode::InvalidState, message));
        };
        match self.kernel.open_namespace(&source) {
            Ok(namespace) if Some(namespace.id()) == ground.namespace() => Ok(namespace),
            Ok(another) => {
                self.kernel.forget(&another);
                Err(gone())
            }
            Err(error @ KernelError::NamespaceGone(_)) => Err(gone().caused_by(error)),
            Err(other) => Err(other.into()),
        }
    }

    pub(super) fn delete_sandbox(self: &Arc<Self>, place: &Place, reference: &str) -> Result<Done<()>> {
        let id = place.decide(|s| s.begin_delete_sandbox(reference))?;
        self.clear_sandbox(place, &id)
    }

    /// Deletes a sandbox unless somebody is in it, or on the way in.
    pub(super) fn delete_empty_sandbox(self: &Arc<Self>, place: &Place, id: &SandboxId) -> Result<Done<()>> {
        match place.decide(|s| s.begin_delete_empty_sandbox(id))? {
            Some(id) => self.clear_sandbox(place, &id),
            None => Ok(Done::AlreadySo(())),
        }
    }

    /// Deletes a sandbox that is `Deleting`.
    fn clear_sandbox(self: &Arc<Self>, place: &Place, id: &SandboxId) -> Result<Done<()>> {
        let unwind = place.unwind(|s| s.reopen_sandbox(id));
        // Nobody enters any more; who is on the way in or out is waited for.
        let leaving = place.decide(|s| s.begin_clearing(id, |_| true))?;
        self.hold(place, id);
        self.depart(place, leaving, true)
            .inspect_err(|_| self.let_go(place, id))?;
        let record = place.of_sandbox(id, |s| s.record.clone())?;
        self.strike_sandbox(place, &record)?;
        unwind.disarm();
        self.drop_namespace(place, &record.ground, place.let_go(id).as_ref());
        self.drop_names(place, &record)?;
        place.change(|s| {
            self.say_sandbox(s.sandboxes.get(id), "delete");
            s.remove_sandbox(id);
        });
        self.events.flush();
        Ok(Done::Done(()))
    }

    /// Keeps an adopted sandbox open while it is taken apart, which would open it for each operation else. One that is gone is no hindrance.
    fn hold(&self, place: &Place, id: &SandboxId) {
        let ground = place.of_sandbox(id, |s| s.record.ground.clone());
        if let Ok(ground @ Ground::Adopted { source: Some(_), .. }) = ground
            && place.kept(id).is_none()
            && let Ok(namespace) = self.reopen(&ground, id.short())
        {
            place.keep(id, namespace);
        }
    }

    /// Keeps a sandbox open that is known by a descriptor alone, if this one is of its namespace; whether it does.
    pub(super) fn lend(&self, place: &Place, id: &SandboxId, fd: &OwnedFd) -> bool {
        let ground = place.of_sandbox(id, |s| s.record.ground.clone());
        let Ok(Ground::Adopted {
            source: None,
            namespace,
            ..
        }) = ground
        else {
            return false;
        };
        let Ok(fd) = fd.try_clone() else { return false };
        match self.kernel.adopt_namespace(fd) {
            Ok(lent) if lent.id() == namespace => place.keep(id, lent),
            Ok(another) => {
                self.kernel.forget(&another);
                return false;
            }
            Err(_) => return false,
        }
        true
    }

    /// Nothing of ours keeps it alive: it was not taken apart after all, or is by now.
    pub(super) fn let_go(&self, place: &Place, id: &SandboxId) {
        let adopted = place.of_sandbox(id, |s| matches!(s.record.ground, Ground::Adopted { .. }));
        if adopted.unwrap_or(false)
            && let Some(namespace) = place.let_go(id)
        {
            self.kernel.forget(&namespace);
        }
    }

    /// Deletes the sandboxes whose namespace is gone. One that is known by a descriptor alone and could not be marked cannot be looked for, and
    /// stays until it is deleted.
    pub(super) fn collect_gone(self: &Arc<Self>, place: &Place) -> Vec<String> {
        let ready: Vec<(SandboxId, Ground, String)> = place.look(|s| {
            let ready = s.sandboxes.values().filter(|b| b.phase == SandboxPhase::Ready);
            ready
                .map(|b| (b.record.id.clone(), b.record.ground.clone(), b.name()))
                .collect()
        });
        let mut collected = Vec::new();
        for (id, ground, name) in ready {
            match self.is_gone(place, &id, &ground, &name) {
                Ok(false) => {}
                Ok(true) => match self.delete_sandbox(place, id.as_str()) {
                    Ok(_) => collected.push(name),
                    Err(error) => {
                        tracing::warn!(sandbox = name, %error, "a sandbox that is gone cannot be collected yet")
                    }
                },
                Err(error) => tracing::warn!(sandbox = name, %error, "cannot tell whether a sandbox is gone"),
            }
        }
        collected
    }

    fn is_gone(&self, place: &Place, id: &SandboxId, ground: &Ground, name: &str) -> Result<bool> {
        if let Ground::Adopted { source: None, mark, .. } = ground {
            return mark.map_or(Ok(false), |mark| Ok(!self.kernel.lives(mark)?));
        }
        if ground.source().is_none() {
            return Ok(false);
        }
        match self.reopen(ground, name) {
            Ok(namespace) if place.kept(id).is_none() => self.kernel.forget(&namespace),
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::NotFound => return Ok(true),
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    fn say_sandbox(&self, sandbox: Option<&Sandbox>, action: &str) {
        let Some(sandbox) = sandbox else { return };
        let attributes = Options::from([("kind".to_owned(), sandbox.record.ground.name().to_owned())]);
        self.events.say(
            "sandbox",
            action,
            sandbox.record.id.as_str(),
            Some(&sandbox.name()),
            attributes,
        );
    }
}
