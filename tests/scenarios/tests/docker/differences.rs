//! Where the host differs from Docker 20.10 on purpose.

use super::scene::Answers;

/// One question that the two answer differently: each answers just so, and nothing else is different.
pub struct Difference {
    pub what: &'static str,
    pub ours: &'static str,
    pub dockers: &'static str,
    pub why: &'static str,
}

const DIRECT: &str = "20.10 lets whoever has a route reach a published port past the host's address that it was published on: here the \
                      host's address is the only way in, as with Docker since 28";
const NO_LOOPBACK: &str = "20.10 has a proxy process for each port, which a program of the host reaches at ::1; here the kernel forwards, and \
                           it lets nothing leave ::1";
const SOLICITATION: &str = "what 20.10 drops of an internal network, whatever is not for its subnet, catches the neighbour solicitations \
                            between its containers where bridges call ip6tables: they go to a multicast address";

const fn difference(
    what: &'static str,
    (ours, dockers): (&'static str, &'static str),
    why: &'static str,
) -> Difference {
    Difference {
        what,
        ours,
        dockers,
        why,
    }
}

pub const PACKETS: &[Difference] = &[
    difference(
        "IPv4: from outside to web's own address, the port that is published",
        ("no", "yes"),
        DIRECT,
    ),
    difference(
        "IPv6: from outside to web's own address, the port that is published",
        ("no", "yes"),
        DIRECT,
    ),
    difference(
        "IPv6: from the host by its loopback to the published TCP port",
        ("no", "yes"),
        NO_LOOPBACK,
    ),
    difference(
        "IPv6: from the host by its loopback to the published UDP port",
        ("no", "yes"),
        NO_LOOPBACK,
    ),
    difference(
        "IPv6: from closed-a to closed-b's own address by TCP",
        ("yes", "no"),
        SOLICITATION,
    ),
    difference(
        "IPv6: from closed-a to closed-b's own address by UDP",
        ("yes", "no"),
        SOLICITATION,
    ),
    difference(
        "IPv6: from closed-a to closed-b's own address by ICMP",
        ("yes", "no"),
        SOLICITATION,
    ),
];

const FULL_NAME: &str = "the name that leads back here is one that only the host can have given, so that it is never taken for somebody \
                         else's; NAME.NETWORK is answered as well";
const SAYS_SO: &str = "20.10 asks outside from a container that has no way out, and stays mute when that fails: here nothing is asked for an \
                       internal network, and the refusal comes at once";

pub const NAMES: &[Difference] = &[
    difference(
        "other asks for 2.1.90.10.in-addr.arpa. PTR",
        ("No Error: web.blue.jackfield.internal.", "No Error: web.blue."),
        FULL_NAME,
    ),
    difference(
        "other asks for 2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.9.0.0.0.0.d.f.ip6.arpa. PTR",
        ("No Error: web.blue.jackfield.internal.", "No Error: web.blue."),
        FULL_NAME,
    ),
    difference("closed-a asks for web. A", ("Server Failure", "no answer"), SAYS_SO),
    difference(
        "closed-a asks for nothing.example. A",
        ("Server Failure", "no answer"),
        SAYS_SO,
    ),
    difference(
        "closed-a asks for www.example. A",
        ("Server Failure", "no answer"),
        SAYS_SO,
    ),
    difference(
        "a long answer",
        (
            "in 512 bytes cut off, in 4096 100 addresses, over TCP 100 addresses",
            "in 512 bytes cut off, in 4096 cut off, over TCP 100 addresses",
        ),
        "20.10 hands on what its upstream, which keeps datagrams below 1232 bytes, cut off; here the whole answer is fetched over TCP for \
         whoever has room for it",
    ),
];

/// Each difference that is not listed as it is, and each that is listed and not there.
pub fn unexplained(ours: &Answers, dockers: &Answers, listed: &[Difference]) -> Vec<String> {
    assert!(
        ours.iter()
            .map(|(what, _)| what)
            .eq(dockers.iter().map(|(what, _)| what))
    );
    let is = |(what, ours): &(String, String), dockers: &str| {
        let expected = listed.iter().find(|d| d.what == what);
        let as_listed = expected.map_or(ours == dockers, |d| (d.ours, d.dockers) == (ours, dockers));
        let why = expected.map(|d| format!(" (expected ours {}, Docker's {}: {})", d.ours, d.dockers, d.why));
        (!as_listed).then(|| format!("{what}: ours {ours}, Docker's {dockers}{}", why.unwrap_or_default()))
    };
    let different = ours
        .iter()
        .zip(dockers)
        .filter_map(|(ours, (_, dockers))| is(ours, dockers));
    let unasked = listed.iter().filter(|d| ours.iter().all(|(what, _)| what != d.what));
    different
        .chain(unasked.map(|d| format!("{}: listed, and never asked", d.what)))
        .collect()
}
