//! Components that cannot be drivers: each gets one sentence, and nothing is changed.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use jackfield_driver::grants::Grants;
use jackfield_model::ErrorCode;
use jackfield_wasm::{COMPONENT_MAX, CompileSettings, Registry};

use crate::guests::{Guest, Host, Wit, compiler, good, settings, with_section};

fn a_guest() -> Guest {
    good("guest", "1.0.0")
}

#[test]
fn what_is_no_driver_is_refused_in_one_sentence_and_changes_nothing() {
    let host = Host::new();
    let whole = a_guest().build();
    let core = wat::parse_str("(module)").unwrap();
    let bare = a_guest().build_bare();
    let twice = with_section(whole.clone(), "jackfield:manifest", b"name = 1");
    let other = a_guest()
        .against(
            Wit::current()
                .with("@0.1.0", "@0.2.0")
                .with("version = 0.1.0", "version = 0.2.0"),
        )
        .build();
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("empty", Vec::new(), "it is empty"),
        ("text", b"(component)".to_vec(), "it is WebAssembly text"),
        ("a picture", b"\x89PNG....".to_vec(), "it is no WebAssembly at all"),
        ("a core module", core, "it is a core module: build it for wasm32-wasip2"),
        ("cut in its header", whole[..6].to_vec(), "it is cut off after 6 bytes"),
        (
            "cut in its middle",
            whole[..whole.len() / 2].to_vec(),
            &format!("it is cut off after {} bytes", whole.len() / 2),
        ),
        (
            "too large",
            vec![0; COMPONENT_MAX + 1],
            "more than the 33554432 that are taken",
        ),
        (
            "another API",
            other,
            "was built for jackfield:driver 0.2.0 and this host serves 0.1",
        ),
        ("no manifest", bare.clone(), "has no manifest"),
        ("two manifests", twice, "has 2 manifests, expected one"),
        (
            "not TOML",
            with_section(bare.clone(), "jackfield:manifest", b"name ="),
            "not valid TOML",
        ),
        (
            "not UTF-8",
            with_section(bare.clone(), "jackfield:manifest", b"\xff"),
            "not UTF-8",
        ),
        (
            "an empty component",
            with_section(b"\0asm\x0d\0\x01\0".to_vec(), "jackfield:manifest", b""),
            "does not export jackfield:driver/driver",
        ),
        (
            "a reserved name",
            with_section(
                bare,
                "jackfield:manifest",
                b"name = \"bridge\"\nversion = \"1.0.0\"\napi = \"0.1\"",
            ),
            "\"bridge\"",
        ),
    ];
    for (what, bytes, expected) in cases {
        let error = host.registry.load(&bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{what}");
        assert!(
            error.message.contains(expected) && !error.message.contains('\n'),
            "{what}: {}",
            error.message
        );
    }
    assert!(host.registry.list().is_empty());
    assert_eq!(std::fs::read_dir(host.folder().join("state")).unwrap().count(), 0);
}

#[test]
fn every_truncation_and_many_damages_are_refused_or_harmless() {
    let whole = a_guest().build_bare();
    for length in 0..whole.len() {
        assert!(jackfield_wasm::check(&whole[..length]).is_err(), "{length} bytes");
    }
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] = !damaged[place];
        // Without a manifest there is no way to be taken; what matters is that the answer is an error and not a panic.
        assert!(jackfield_wasm::check(&damaged).is_err(), "byte {place}");
    }
}

#[test]
fn types_that_do_not_fit_are_refused_by_name() {
    let host = Host::new();
    let log = r#"(import "jackfield:driver/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let guest = a_guest()
        .against(Wit::current().with("trace,", "trace, whisper,"))
        .having(log);
    let error = host.registry.load(
        &guest
            .does(
                "leave",
                "(call $log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 256)",
            )
            .build(),
    );
    let error = error.unwrap_err();
    assert!(
        error
            .message
            .contains("does not fit the driver API: its imports do not fit"),
        "{}",
        error.message
    );

    let missing = Wit::current().with(
        "leave: func(network: network-id, endpoint: endpoint-id) -> result<_, error>;",
        "",
    );
    let error = host
        .registry
        .load(&a_guest().against(missing).does("leave", "absent").build())
        .unwrap_err();
    assert!(
        error.message.contains("its export driver does not fit"),
        "{}",
        error.message
    );
    assert!(error.message.contains("leave"), "{}", error.message);
}

#[test]
fn a_function_of_a_later_version_answers_unsupported() {
    let host = Host::new();
    let later = Wit::current()
        .with("package jackfield:driver@0.1.0;", "package jackfield:driver@0.1.7;")
        .with(
            "delete: func(key: string)",
            "watch: func(key: string) -> result<_, error>;\n delete: func(key: string)",
        );
    let guest = a_guest()
        .against(later)
        .having(
            r#"(import "jackfield:driver/state@0.1.7" "watch" (func $watch (param i32 i32 i32)))
               (import "jackfield:driver/state@0.1.7" "delete" (func $delete (param i32 i32 i32)))"#,
        )
        .does(
            "create-network",
            "(call $watch (i32.const 0) (i32.const 3) (i32.const 256)) (i32.const 256)",
        )
        .does(
            "delete-network",
            "(call $delete (i32.const 0) (i32.const 3) (i32.const 256)) (i32.const 256)",
        );
    host.registry.load(&guest.build()).unwrap();
    let error = host.create_network("guest").unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(
        error.message.contains("#watch is newer than this host"),
        "{}",
        error.message
    );
}

#[test]
fn what_is_requested_and_not_granted_is_refused_with_the_lines_to_add() {
    let host = Host::new();
    let guest = a_guest()
        .requests("[requests]\nlinks = [\"veth\"]\nneighbours = true\n[why]\nlinks = \"a pair for each endpoint\"\n");
    let error = host.registry.load(&guest.build()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(
        error
            .message
            .ends_with("[guest]\n# a pair for each endpoint\nlinks = [\"veth\"]\nneighbours = true"),
        "{}",
        error.message
    );
    *host.operator.0.lock().unwrap() = Grants {
        links: vec!["veth".into()],
        neighbours: true,
        ..Grants::default()
    };
    host.registry.load(&guest.build()).unwrap();
}

#[test]
fn a_compiler_that_does_not_end_or_does_not_start_is_told() {
    let shell = |script: &str, deadline| CompileSettings {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        deadline: Duration::from_millis(deadline),
    };
    let cases = [
        (
            shell("exec /bin/sleep 600", 200),
            ErrorCode::InvalidArgument,
            "stopped after 200 ms",
        ),
        (
            shell("kill -XCPU $$", 30_000),
            ErrorCode::InvalidArgument,
            "s of processor time",
        ),
        (
            shell("kill -ABRT $$", 30_000),
            ErrorCode::InvalidArgument,
            "more memory to compile",
        ),
        (
            shell("echo 'bad\n\nsection' >&2; exit 1", 30_000),
            ErrorCode::InvalidArgument,
            "is not valid: bad section",
        ),
        (
            shell("/bin/cat > /dev/null; echo code", 30_000),
            ErrorCode::Internal,
            "is not of this host's build",
        ),
        (
            CompileSettings {
                program: "/nowhere".into(),
                ..compiler()
            },
            ErrorCode::Internal,
            "/nowhere does not start",
        ),
    ];
    for (compile, code, expected) in cases {
        let host = Host::new();
        let folder = tempfile::tempdir().unwrap();
        let settings = jackfield_wasm::Settings {
            compile,
            ..settings(folder.path())
        };
        let registry = Registry::open(host.engine(), settings, host.operator.clone()).unwrap();
        let begin = Instant::now();
        let error = registry.load(&a_guest().build()).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn the_compiler_has_limits_and_no_rights() {
    let settings = compiler();
    let mut child = Command::new(settings.program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    // The last thing that it does to itself before it reads the component.
    while !read("status")
        .lines()
        .any(|line| line.starts_with("NoNewPrivs") && line.ends_with('1'))
    {
        assert!(Instant::now() < deadline, "{}", read("status"));
        std::thread::yield_now();
    }
    let limits = read("limits");
    let limit = |name: &str| limits.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max address space").contains("3221225472"), "{limits}");
    assert!(limit("Max cpu time").contains("120"), "{limits}");
    child.stdin.take().unwrap().write_all(b"not a component").unwrap();
    assert!(!child.wait().unwrap().success());
}

/// More than the pipes hold, many times over, in both directions; and from a connection's thread, as the host loads.
#[test]
fn a_component_of_megabytes_is_loaded_from_the_thread_of_a_connection() {
    let host = Host::new();
    let large = a_guest()
        .memory("256")
        .having(&format!("(data (i32.const 65536) \"{}\")", "x".repeat(12 << 20)))
        .build();
    let connection = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let loaded = connection.block_on(async { host.registry.load(&large) });
    loaded.unwrap();
    host.create_network("guest").unwrap();
}
