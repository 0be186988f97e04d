//! What comes over the socket is hostile until it is read.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use jackfield_lab::{Cni, Lab, LabError, Result};

use crate::scene::{Scene, described};

#[test]
fn garbage_silence_and_half_a_request_cost_nobody_else_anything() -> Result<()> {
    let lab = Lab::new("cni-hostile")?;
    let scene = Scene::new(&lab)?;
    let connect = || UnixStream::connect(lab.path("shim.sock")).map_err(|e| LabError::new("connect", e));
    let open = |host: &jackfield_lab::Host<'_>| {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", host.pid()));
        folder.map_or(0, Iterator::count)
    };
    let before = open(&scene.host);
    let silent: Vec<UnixStream> = (0..20).map(|_| connect()).collect::<Result<_>>()?;
    for bytes in [
        &b""[..],
        b"\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}",
        b"\0\0\0\x40{\"protocol\":1,",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect()?;
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "{bytes:?}");
    }
    let (_inside, path) = scene.container("c")?;
    let cni = Cni::new(&lab, described());
    cni.add("c", &path)?;
    cni.del("c", &path)?;
    drop(silent);
    crate::scene::await_that("descriptors are given back", || Ok(open(&scene.host) <= before + 8))?;
    scene.end(&["pods"])
}
