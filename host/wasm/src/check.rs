//! What can be said of a component before anything of it is compiled: that it is one, who it is, and for which API it was built.
//!
//! wasmtime would find some of this later, in words that mislead (a version mismatch reads "instance export `link` has the wrong type").

use std::fmt::Write;

use crate::engine::{MEMORY_MAX, TABLE_ELEMENTS_MAX};
use jackfield_driver::{API_VERSION, Manifest, SECTION};
use jackfield_model::{Error, Result};
use sha2::{Digest as _, Sha256};
use wasmparser::{Parser, Payload};

/// The WIT package that drivers are built against.
pub(crate) const PACKAGE: &str = "jackfield:driver";
/// Largest component taken, in bytes: script engines come with 18 MB.
pub const COMPONENT_MAX: usize = 32 << 20;
/// Deepest nesting of components in components: each level is a frame of the parser's and the compiler's.
const DEPTH_MAX: u32 = 16;
const MAGIC: [u8; 4] = *b"\0asm";
/// Version 13 of the binary format, layer 1: a component.
const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
/// Version 1, layer 0: a core module.
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];

/// The SHA-256 of a component: its name in the store and in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// None when it is not 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A component that is worth compiling.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Which bytes.
    pub digest: Digest,
}

/// The name of an interface, taken apart: `jackfield:driver/netlink@0.1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface<'a> {
    pub(crate) package: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

impl<'a> Interface<'a> {
    /// None for what is no interface of a versioned package.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (path, version) = text.split_once('@')?;
        let (package, name) = path.split_once('/')?;
        Some(Self { package, name, version })
    }

    /// Whether this host serves that version: any 0.1.x.
    fn is_served(&self) -> bool {
        self.version
            .strip_prefix(API_VERSION)
            .is_some_and(|rest| rest.starts_with('.'))
    }
}

/// Checks all that can be checked without compiling.
///
/// # Errors
/// invalid-argument, in one sentence that says what was given and what is expected.
pub fn check(bytes: &[u8]) -> Result<Checked> {
    check_header(bytes)?;
    let outline = Outline::read(bytes)?;
    outline.check_sizes()?;
    outline.check_versions()?;
    outline.check_imports()?;
    outline.check_exports()?;
    Ok(Checked {
        manifest: outline.manifest()?,
        digest: Digest::of(bytes),
    })
}

fn check_header(bytes: &[u8]) -> Result<()> {
    let said = match (bytes.first_chunk::<4>(), bytes.get(4..8)) {
        _ if bytes.is_empty() => "it is empty".to_owned(),
        _ if bytes.len() > COMPONENT_MAX => format!(
            "it has {} bytes, more than the {COMPONENT_MAX} that are taken",
            bytes.len()
        ),
        _ if is_text(bytes) => "it is WebAssembly text: translate it with `wasm-tools parse`".to_owned(),
        (Some(&MAGIC), Some(layer)) if layer == COMPONENT => return Ok(()),
        (Some(&MAGIC), Some(layer)) if layer == CORE_MODULE => {
            "it is a core module: build it for wasm32-wasip2, or make it a component with `wasm-tools component new`"
                .to_owned()
        }
        (Some(&MAGIC), Some(_)) => "it is of another version of the component format than this host knows".to_owned(),
        (Some(&MAGIC), None) => format!("it is cut off after {} bytes", bytes.len()),
        _ => "it is no WebAssembly at all".to_owned(),
    };
    Err(no_component(&said))
}

fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    [&b"(component"[..], b"(module", b";;", b"(;"]
        .iter()
        .any(|start| text.starts_with(start))
}

fn no_component(said: &str) -> Error {
    Error::invalid(format!("this is no driver: {said}; expected a WebAssembly component"))
}

/// What a component imports, exports and carries.
#[derive(Debug, Default)]
struct Outline<'a> {
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    /// The manifest's section stands wherever the tool chain left it: in the component or in a core module inside of it.
    manifests: Vec<&'a [u8]>,
    /// What its largest memory begins with, in bytes.
    memory: u64,
    /// What its largest table begins with, in elements.
    table: u64,
}

impl<'a> Outline<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut outline = Self::default();
        let mut depth = 0u32;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|e| broken(bytes, e))?;
            match &payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ => outline.note(&payload, depth).map_err(|e| broken(bytes, e))?,
            }
            if depth > DEPTH_MAX {
                return Err(no_component(&format!("it nests components more than {DEPTH_MAX} deep")));
            }
        }
        Ok(outline)
    }

    fn note(&mut self, payload: &Payload<'a>, depth: u32) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    self.imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    self.exports.push(export?.name.name);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let page = 1u64
                        .checked_shl(memory.page_size_log2.unwrap_or(16))
                        .unwrap_or(u64::MAX);
                    self.memory = self.memory.max(memory.initial.saturating_mul(page));
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.table = self.table.max(table?.ty.initial);
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => self.manifests.push(section.data()),
            _ => {}
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<()> {
        for (begins, what, most) in [
            (self.memory, "bytes of memory", MEMORY_MAX),
            (self.table, "elements in a table", TABLE_ELEMENTS_MAX as u64),
        ] {
            if begins > most {
                let message = format!(
                    "the component begins with {begins} {what}, more than the {most} that an instance can have"
                );
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    fn interfaces(&self) -> impl Iterator<Item = Interface<'a>> {
        self.imports
            .iter()
            .chain(&self.exports)
            .filter_map(|name| Interface::parse(name))
    }

    fn check_versions(&self) -> Result<()> {
        let Some(other) = self.interfaces().find(|i| i.package == PACKAGE && !i.is_served()) else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "the component was built for {PACKAGE} {} and this host serves {API_VERSION}: build it with the SDK of that version",
            other.version.escape_default()
        )))
    }

    fn check_imports(&self) -> Result<()> {
        let served = |name: &&&str| Interface::parse(name).is_some_and(|i| i.package == PACKAGE || is_wasi(&i));
        let Some(foreign) = self.imports.iter().find(|name| !served(name)) else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "the component imports {}, which this host does not have: it gives {PACKAGE} {API_VERSION} and what wasi:cli 0.2 needs",
            foreign.escape_default()
        )))
    }

    fn check_exports(&self) -> Result<()> {
        if self.exports.iter().any(|name| is_driver(name)) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the component does not export {PACKAGE}/driver@{API_VERSION}, which every network driver does: with the Rust SDK that is the line jackfield_sdk::export!"
        )))
    }

    fn manifest(&self) -> Result<Manifest> {
        match self.manifests[..] {
            [bytes] => {
                let text =
                    std::str::from_utf8(bytes).map_err(|e| Error::invalid("the manifest is not UTF-8").caused_by(e))?;
                Manifest::parse(text)
            }
            [] => Err(Error::invalid(format!(
                "the component has no manifest: expected one in a custom section named {SECTION}, which the SDKs put there"
            ))),
            _ => Err(Error::invalid(format!(
                "the component has {} manifests, expected one",
                self.manifests.len()
            ))),
        }
    }
}

fn is_driver(export: &str) -> bool {
    Interface::parse(export).is_some_and(|i| i.package == PACKAGE && i.name == "driver")
}

fn is_wasi(interface: &Interface<'_>) -> bool {
    let packages = [
        "wasi:cli",
        "wasi:clocks",
        "wasi:filesystem",
        "wasi:io",
        "wasi:random",
        "wasi:sockets",
    ];
    packages.contains(&interface.package) && interface.version.starts_with("0.2.")
}

fn broken(bytes: &[u8], cause: wasmparser::BinaryReaderError) -> Error {
    let said = if cause.offset() >= bytes.len() || cause.message().contains("unexpected end") {
        format!("it is cut off after {} bytes", bytes.len())
    } else {
        format!("it is damaged at byte {}", cause.offset())
    };
    no_component(&said).caused_by(cause)
}
