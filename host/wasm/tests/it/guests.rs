//! Small guests, written as core modules in text and made components of by the WIT package itself.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use jackfield_driver::grants::{Grants, Limits};
use jackfield_model::{Error, NetworkSpec, Result};
use jackfield_wasm::{Allowance, CompileSettings, Engine, Outside, Registry, Settings};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The exports of `driver`, with as many i32 parameters as the canonical ABI gives each. All answer with a pointer.
const EXPORTS: [(&str, usize); 7] = [
    ("config", 2),
    ("create-network", 11),
    ("delete-network", 2),
    ("create-endpoint", 1),
    ("delete-endpoint", 4),
    ("join", 1),
    ("leave", 4),
];
/// Where an answer is written. It is all zeros, and zeros are "ok" with nothing in it, whatever the type.
pub const ANSWER: u32 = 256;

/// A guest to be built.
#[derive(Clone)]
pub struct Guest {
    name: &'static str,
    version: &'static str,
    wit: Wit,
    fields: String,
    memory: &'static str,
    bodies: BTreeMap<&'static str, String>,
    requests: &'static str,
}

/// The package that a guest is built against.
#[derive(Clone)]
pub struct Wit(String);

impl Wit {
    /// The package as it is, all its files as one.
    pub fn current() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let header = "package jackfield:driver@0.1.0;";
        let files = ["types.wit", "netlink.wit", "state.wit", "driver.wit"];
        let text: String = files
            .iter()
            .map(|f| std::fs::read_to_string(folder.join(f)).unwrap().replace(header, ""))
            .collect();
        Self(format!("{header}\n{text}"))
    }

    /// With something changed, which has to be there.
    pub fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.0.contains(old), "the package has no {old:?}");
        self.0 = self.0.replace(old, new);
        self
    }

    fn world(&self, package: &str, world: &str) -> (Resolve, wit_parser::WorldId) {
        let mut resolve = Resolve::default();
        let driver = resolve.push_str("driver.wit", &self.0).unwrap();
        let mut packages = vec![driver];
        if !package.is_empty() {
            packages = vec![resolve.push_str("guest.wit", package).unwrap()];
        }
        let world = resolve.select_world(&packages, Some(world)).unwrap();
        (resolve, world)
    }
}

/// A driver that answers everything with "ok".
pub fn good(name: &'static str, version: &'static str) -> Guest {
    Guest {
        name,
        version,
        wit: Wit::current(),
        fields: String::new(),
        memory: "1",
        bodies: BTreeMap::new(),
        requests: "",
    }
}

impl Guest {
    /// What it does in an export, as the body of a function that returns a pointer.
    pub fn does(mut self, export: &'static str, body: &str) -> Self {
        self.bodies.insert(export, body.to_owned());
        self
    }

    /// Imports, functions and data of its own.
    pub fn having(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Its memory, in pages.
    pub fn memory(mut self, memory: &'static str) -> Self {
        self.memory = memory;
        self
    }

    /// The package that it is built against.
    pub fn against(mut self, wit: Wit) -> Self {
        self.wit = wit;
        self
    }

    /// What its manifest requests.
    pub fn requests(mut self, requests: &'static str) -> Self {
        self.requests = requests;
        self
    }

    /// The component, with its manifest.
    pub fn build(&self) -> Vec<u8> {
        with_section(self.build_bare(), "jackfield:manifest", self.manifest().as_bytes())
    }

    /// The component without a manifest.
    pub fn build_bare(&self) -> Vec<u8> {
        let (resolve, world) = self.wit.world("", "network-driver");
        encode(&self.module(), &resolve, world)
    }

    /// The component, with a world of its own in the place of `network-driver`.
    pub fn build_in(&self, package: &str) -> Vec<u8> {
        let (resolve, world) = self.wit.world(package, "guest");
        with_section(
            encode(&self.module(), &resolve, world),
            "jackfield:manifest",
            self.manifest().as_bytes(),
        )
    }

    pub fn manifest(&self) -> String {
        format!(
            "name = \"{}\"\nversion = \"{}\"\napi = \"0.1\"\n{}",
            self.name, self.version, self.requests
        )
    }

    fn module(&self) -> String {
        let mut text = format!(
            "(module {fields} (memory (export \"memory\") {memory}) (global $heap (mut i32) (i32.const 8192))
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)
                 (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                 (global.get $heap)
                 (global.set $heap (i32.add (global.get $heap) (local.get 3))))",
            fields = self.fields,
            memory = self.memory,
        );
        let version = if self.wit.0.contains("@0.2.0") {
            "0.2.0"
        } else {
            self.wit_version()
        };
        for (export, parameters) in EXPORTS {
            let body = self
                .bodies
                .get(export)
                .cloned()
                .unwrap_or_else(|| format!("(i32.const {ANSWER})"));
            if body == "absent" {
                continue;
            }
            text.push_str(&format!(
                "(func (export \"jackfield:driver/driver@{version}#{export}\") (param {}) (result i32) {body})\n",
                "i32 ".repeat(parameters)
            ));
        }
        text + ")"
    }

    fn wit_version(&self) -> &str {
        if self.wit.0.contains("jackfield:driver@0.1.7;") {
            "0.1.7"
        } else {
            "0.1.0"
        }
    }
}

fn encode(module: &str, resolve: &Resolve, world: wit_parser::WorldId) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// The component with a custom section at its end.
pub fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = leb(name.len());
    body.extend(name.as_bytes());
    body.extend(data);
    component.push(0);
    component.extend(leb(body.len()));
    component.extend(body);
    component
}

/// The component with an empty module more, and so many instances of it.
pub fn with_core_instances(mut component: Vec<u8>, count: usize) -> Vec<u8> {
    const MODULE: u8 = 1;
    const INSTANCES: u8 = 2;
    let module = leb(sections(&component).filter(|id| *id == MODULE).count());
    component.extend([MODULE, 8]);
    component.extend(b"\0asm\x01\0\0\0");
    let mut instances = leb(count);
    for _ in 0..count {
        // Instantiate that module, with no arguments.
        instances.push(0);
        instances.extend(&module);
        instances.push(0);
    }
    component.push(INSTANCES);
    component.extend(leb(instances.len()));
    component.extend(instances);
    component
}

/// The ids of a component's own sections.
fn sections(component: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = &component[8..];
    std::iter::from_fn(move || {
        let (id, mut after) = rest.split_first()?;
        let (mut size, mut shift) = (0usize, 0);
        loop {
            let (low, more) = after.split_first()?;
            size |= usize::from(low & 0x7f) << shift;
            shift += 7;
            after = more;
            if low & 0x80 == 0 {
                break;
            }
        }
        rest = &after[size..];
        Some(*id)
    })
}

fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        bytes.push(if n == 0 { low } else { low | 0x80 });
        if n == 0 {
            return bytes;
        }
    }
}

/// An operator whose grants are the same for every driver, until they are changed.
#[derive(Debug, Default)]
pub struct Operator(pub Mutex<Grants>);

impl Outside for Operator {
    fn allowance(&self, _: &str) -> Result<Allowance> {
        Ok(Allowance {
            grants: self.0.lock().unwrap().clone(),
            ..Allowance::default()
        })
    }
}

impl Operator {
    /// Grants a component what it asks for.
    pub fn grant_what_is_asked(&self, component: &[u8]) {
        *self.0.lock().unwrap() = jackfield_wasm::check(component).unwrap().manifest.requests;
    }
}

/// A host: a registry with folders of its own.
pub struct Host {
    pub registry: Registry,
    pub operator: Arc<Operator>,
    engine: Arc<Engine>,
    folder: tempfile::TempDir,
}

impl Host {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let operator = Arc::new(Operator(Mutex::new(Grants {
            limits,
            ..Grants::default()
        })));
        let (engine, folder) = (Engine::new().unwrap(), tempfile::tempdir().unwrap());
        let registry = Registry::open(&engine, settings(folder.path()), operator.clone()).unwrap();
        Self {
            registry,
            operator,
            engine,
            folder,
        }
    }

    /// The same folders, a new registry.
    pub fn restart(self) -> Self {
        let Self {
            registry,
            operator,
            engine,
            folder,
        } = self;
        drop(registry);
        let registry = Registry::open(&engine, settings(folder.path()), operator.clone()).unwrap();
        Self {
            registry,
            operator,
            engine,
            folder,
        }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A call on a fresh instance, with an operation that refuses whatever the guest asks.
    pub fn create_network(&self, name: &str) -> Result<(), Error> {
        use jackfield_driver::{Drivers, Operation};
        let driver = self.registry.find(name).unwrap();
        driver
            .instance()?
            .create_network(&mut Operation::detached(), &network())
    }
}

pub fn settings(folder: &Path) -> Settings {
    Settings {
        state: folder.join("state"),
        cache: folder.join("cache"),
        compile: compiler(),
    }
}

pub fn compiler() -> CompileSettings {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_jackfield-compile-component"));
    CompileSettings {
        program,
        arguments: Vec::<OsString>::new(),
        deadline: Duration::from_secs(60),
    }
}

pub fn network() -> NetworkSpec {
    NetworkSpec {
        id: jackfield_model::NetworkId::random(),
        name: "blue".parse().unwrap(),
        options: Default::default(),
        labels: Default::default(),
        pools: Vec::new(),
        internal: false,
    }
}
