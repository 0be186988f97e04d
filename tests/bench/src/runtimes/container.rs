//! A container, as far as its network goes: a namespace with a path.

use jackfield_kernel::{Kernel, Namespace};
use jackfield_lab::Lab;

use crate::failure::{During, Result};

/// Dropped, its namespace is nobody's any more, and the kernel takes it apart some time later.
#[derive(Debug)]
pub struct Container<'a> {
    lab: &'a Lab,
    /// The runtime's name for it.
    pub name: String,
    namespace: Namespace,
}

impl<'a> Container<'a> {
    /// A new one.
    ///
    /// # Errors
    /// When its namespace cannot be made.
    pub fn new(lab: &'a Lab, name: String) -> Result<Self> {
        let namespace = lab.namespace(&name).during("make a container's namespace")?;
        Ok(Self { lab, name, namespace })
    }

    /// Where its namespace is.
    pub fn path(&self) -> String {
        self.lab.namespace_path(&self.name).display().to_string()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let kernel = self.lab.kernel();
        kernel.forget(&self.namespace);
        if let Err(error) = kernel.unpin(&self.lab.namespace_path(&self.name)) {
            eprintln!("bench: the namespace of {} stays: {error}", self.name);
        }
    }
}
