//! Functions of a later 0.1.x of the package than this host serves: each answers `unsupported`, so that a driver that can do without goes on.

use wasmtime::component::{
    Component, Linker, Type, Val,
    types::{ComponentFunc, ComponentInstance, ComponentItem},
};

use crate::{
    check::{Interface, PACKAGE},
    guest::Guest,
};

/// The version that this host's interfaces are linked under.
const LINKED: &str = "0.1.0";

/// Adds to the linker what the component imports of the package and this host does not know.
///
/// # Errors
/// When such a function cannot tell an error: then there is no answer that would not be a lie.
pub(crate) fn answer_unknown(linker: &mut Linker<Guest>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, import) in component.component_type().imports(&engine) {
        let Some(interface) = Interface::parse(name).filter(|i| i.package == PACKAGE && i.version != LINKED) else {
            continue;
        };
        if let ComponentItem::ComponentInstance(instance) = import.ty {
            // The linker looks a name up by semver, and only once: what is known and what is not has to stand under one version.
            let known = KNOWN.contains(&interface.name);
            let linked = if known {
                format!("{PACKAGE}/{}@{LINKED}", interface.name)
            } else {
                name.to_owned()
            };
            answer_functions(linker, &linked, &instance, &engine)?;
        }
    }
    Ok(())
}

/// Interfaces that this host has functions for.
const KNOWN: [&str; 5] = ["types", "netlink", "firewall", "state", "log"];

fn answer_functions(
    linker: &mut Linker<Guest>,
    interface: &str,
    instance: &ComponentInstance,
    engine: &wasmtime::Engine,
) -> wasmtime::Result<()> {
    let mut linked = linker.instance(interface)?;
    for (name, item) in instance.exports(engine) {
        let ComponentItem::ComponentFunc(function) = item.ty else {
            continue;
        };
        let path = format!("{interface}#{name}");
        let answer = move |_: wasmtime::StoreContextMut<'_, Guest>,
                           ty: ComponentFunc,
                           _: &[Val],
                           results: &mut [Val]| { answer(&path, &ty, results) };
        // A function that is there already is refused by the linker: it is known, and stays as it is.
        if linked.func_new(name, answer).is_ok() && !tells_errors(&function) {
            wasmtime::bail!("{interface}#{name} is newer than this host and returns no result<_, error>");
        }
    }
    Ok(())
}

fn tells_errors(function: &ComponentFunc) -> bool {
    error_type(function).is_some()
}

fn error_type(function: &ComponentFunc) -> Option<wasmtime::component::types::Record> {
    let mut results = function.results();
    match (results.next()?, results.next()) {
        (Type::Result(result), None) => match result.err()? {
            Type::Record(record) if record.fields().map(|f| f.name).eq(["code", "message", "retryable"]) => {
                Some(record)
            }
            _ => None,
        },
        _ => None,
    }
}

fn answer(path: &str, function: &ComponentFunc, results: &mut [Val]) -> wasmtime::Result<()> {
    let (true, [result]) = (tells_errors(function), results) else {
        wasmtime::bail!("{path} is newer than this host");
    };
    let error = Val::Record(vec![
        ("code".to_owned(), Val::Enum("unsupported".to_owned())),
        (
            "message".to_owned(),
            Val::String(format!("{path} is newer than this host")),
        ),
        ("retryable".to_owned(), Val::Bool(false)),
    ]);
    *result = Val::Result(Err(Some(Box::new(error))));
    Ok(())
}
