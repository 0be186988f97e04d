//! containerd, and Kubernetes above it, start CNI programs by the configuration files in a folder.

use std::path::{Path, PathBuf};

use super::{CNI_PROGRAM, Finding, Machine, PROGRAMS};

const CONFIGURATION: &str = "/etc/containerd/config.toml";
/// Where the tables of the CRI plugin are, in configuration version 3 and before.
const TABLES: [&str; 2] = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
const PROGRAM_FOLDERS: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];
const CONFIGURATION_FOLDER: &str = "/etc/cni/net.d";

pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    if machine.program("containerd").is_none() {
        return Vec::new();
    }
    let configuration: toml::Table = machine
        .text(Path::new(CONFIGURATION))
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let mut findings: Vec<Finding> = without_cri(&configuration).into_iter().collect();
    let cni = Cni::of(&configuration);
    findings.push(cni.programs(machine).unwrap_or_else(|| cni.configured(machine)));
    findings
}

/// Docker's packages of containerd come with the CRI plugin switched off.
fn without_cri(configuration: &toml::Table) -> Option<Finding> {
    let off = configuration.get("disabled_plugins")?.as_array()?;
    let is_cri = |plugin: &toml::Value| {
        plugin
            .as_str()
            .is_some_and(|name| name == "cri" || name.ends_with(".cri"))
    };
    off.iter().any(is_cri).then(|| {
        Finding::note(
            "containerd",
            "its CRI plugin is switched off: Kubernetes cannot use it, ctr --cni can",
            format!("take \"cri\" out of disabled_plugins in {CONFIGURATION}"),
        )
    })
}

/// Where the CRI plugin looks.
struct Cni {
    programs: Vec<PathBuf>,
    configurations: PathBuf,
}

impl Cni {
    fn of(configuration: &toml::Table) -> Self {
        let plugins = configuration.get("plugins").and_then(toml::Value::as_table);
        let table = plugins.and_then(|plugins| TABLES.iter().find_map(|name| plugins.get(*name)?.get("cni")));
        let word = |key: &str| {
            table
                .and_then(|t| t.get(key))
                .and_then(toml::Value::as_str)
                .filter(|t| !t.is_empty())
        };
        let many = table.and_then(|t| t.get("bin_dirs")).and_then(toml::Value::as_array);
        let named = many
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str)
            .chain(word("bin_dir"));
        let named: Vec<PathBuf> = named.map(PathBuf::from).collect();
        Self {
            programs: if named.is_empty() {
                PROGRAM_FOLDERS.iter().map(PathBuf::from).collect()
            } else {
                named
            },
            configurations: word("conf_dir").unwrap_or(CONFIGURATION_FOLDER).into(),
        }
    }

    /// What is wrong with the programs.
    fn programs(&self, machine: &Machine) -> Option<Finding> {
        let missing = |program: &str| {
            !self
                .programs
                .iter()
                .any(|folder| machine.is_program(&folder.join(program)))
        };
        let folder = self.programs.first()?.display();
        if missing(CNI_PROGRAM) {
            let fix = format!("mkdir -p {folder} && ln -s {PROGRAMS}/{CNI_PROGRAM} {folder}/{CNI_PROGRAM}");
            return Some(Finding::broken(
                "containerd",
                format!("finds no {CNI_PROGRAM} in {folder}"),
                fix,
            ));
        }
        missing("loopback").then(|| {
            Finding::broken(
                "containerd",
                format!("finds no loopback plugin in {folder}, which its CRI plugin starts for every pod"),
                format!("apt-get install containernetworking-plugins && ln -s /usr/lib/cni/loopback {folder}/loopback"),
            )
        })
    }

    fn configured(&self, machine: &Machine) -> Finding {
        let folder = &self.configurations;
        let names = machine.names(folder);
        let mut lists = names
            .iter()
            .filter(|name| [".conflist", ".conf", ".json"].iter().any(|end| name.ends_with(end)));
        let Some(first) = lists.next() else {
            return Finding::broken(
                "containerd",
                format!("there is no network in {}", folder.display()),
                format!(
                    "jackfield network inspect --cni NAME > {}/10-NAME.conflist",
                    folder.display()
                ),
            );
        };
        let text = machine.text(&folder.join(first)).unwrap_or_default();
        if text.contains(&format!("\"{CNI_PROGRAM}\"")) {
            return Finding::well("containerd", format!("uses the host by {}/{first}", folder.display()));
        }
        Finding::note(
            "containerd",
            format!(
                "uses another network, that of {}/{first}: the first file by name counts",
                folder.display()
            ),
            format!(
                "jackfield network inspect --cni NAME > {}/00-NAME.conflist",
                folder.display()
            ),
        )
    }
}
