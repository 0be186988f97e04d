//! What a container is told of names, by 127.0.0.11 in either.

use std::{collections::BTreeSet, net::Ipv4Addr};

use jackfield_lab::{
    LabError, Result,
    dns::{self, Told, Upstream},
};

use super::scene::{Answers, Member, OUTSIDE, Scene};

/// What the host's DNS server says of every name that it knows.
const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// Who asks for what.
const QUESTIONS: [(&str, &str, &str); 24] = [
    ("other", "web.", "A"),
    ("other", "WEB.", "A"),
    ("other", "web.", "AAAA"),
    ("other", "web.", "MX"),
    ("other", "web.blue.", "A"),
    ("other", "db.", "A"),
    ("other", "db.", "AAAA"),
    ("other", "other.", "A"),
    ("other", "stranger.", "A"),
    ("other", "stranger.green.", "A"),
    ("other", "nothing.example.", "A"),
    ("other", "www.example.", "A"),
    ("other", "loop.example.", "A"),
    ("other", "2.1.90.10.in-addr.arpa.", "PTR"),
    (
        "other",
        "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.9.0.0.0.0.d.f.ip6.arpa.",
        "PTR",
    ),
    ("other", "200.1.90.10.in-addr.arpa.", "PTR"),
    ("other", "7.113.0.203.in-addr.arpa.", "PTR"),
    ("old-a", "old-b.", "A"),
    ("old-a", "old-b.", "AAAA"),
    ("old-a", "web.", "A"),
    ("closed-a", "closed-b.", "A"),
    ("closed-a", "web.", "A"),
    ("closed-a", "nothing.example.", "A"),
    ("closed-a", "www.example.", "A"),
];

pub fn ask(scene: &Scene<'_>) -> Result<Answers> {
    let _upstream = Upstream::start(scene.lab, scene.outside, OUTSIDE[0].parse().unwrap(), WORLD)?;
    let mut answers: Answers = QUESTIONS
        .iter()
        .map(|(who, name, kind)| {
            (
                format!("{who} asks for {name} {kind}"),
                question(scene, who, name, kind),
            )
        })
        .collect();
    answers.push(("both have the alias, and come first in turn".to_owned(), firsts(scene)?));
    answers.push(("a long answer".to_owned(), long_answer(scene)?));
    for name in ["web", "nothing", "intranet"] {
        let found = by_search(scene, scene.member("other"), name)?;
        answers.push((format!("other looks for {name} as its resolv.conf says"), found));
    }
    Ok(answers)
}

/// The answer in a datagram; over TCP it has to be the same.
fn question(scene: &Scene<'_>, who: &str, name: &str, kind: &str) -> String {
    let from = &scene.member(who).namespace;
    let by_datagram = words(dns::ask(scene.lab, from, name, kind, None));
    let over_tcp = words(dns::ask_over_tcp(scene.lab, from, name, kind));
    if by_datagram == over_tcp {
        return by_datagram;
    }
    format!("{by_datagram}, and over TCP {over_tcp}")
}

fn words(told: Result<Told>) -> String {
    match told {
        Err(_) => "no answer".to_owned(),
        Ok(told) if told.data.is_empty() => told.code,
        Ok(told) => format!("{}: {}", told.code, told.sorted().join(" ")),
    }
}

/// Which of several addresses is the first, over forty questions.
fn firsts(scene: &Scene<'_>) -> Result<String> {
    let from = &scene.member("web").namespace;
    let first = |_| dns::ask(scene.lab, from, "db.", "A", None).map(|told| told.data.into_iter().next());
    let firsts: BTreeSet<Option<String>> = (0..40).map(first).collect::<Result<_>>()?;
    Ok(format!("{} of them", firsts.len()))
}

/// A hundred addresses: too long for a datagram, unless one of that size is asked for.
fn long_answer(scene: &Scene<'_>) -> Result<String> {
    let from = &scene.member("other").namespace;
    let bare = dns::ask(scene.lab, from, "big.example.", "A", None)?;
    let large = dns::ask(scene.lab, from, "big.example.", "A", Some(4096))?;
    let stream = dns::ask_over_tcp(scene.lab, from, "big.example.", "A")?;
    Ok(format!(
        "in 512 bytes {}, in 4096 {}, over TCP {}",
        amount(&bare),
        amount(&large),
        amount(&stream)
    ))
}

fn amount(told: &Told) -> String {
    if told.truncated {
        return "cut off".to_owned();
    }
    format!("{} addresses", told.data.len())
}

/// As a C library looks for a name without a dot: the list of domains and the number of dots are those of the container's resolv.conf.
fn by_search(scene: &Scene<'_>, member: &Member, name: &str) -> Result<String> {
    let conf = std::fs::read_to_string(&member.resolv_conf).map_err(|e| LabError::new("read a resolv.conf", e))?;
    let words = |key: &str| {
        let line = conf.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("nameserver"), ["127.0.0.11"], "{conf}");
    // With ndots:0 the name itself comes first, otherwise last (resolv.conf(5)).
    let itself = format!("{name}.");
    let mut tried: Vec<String> = words("search")
        .iter()
        .map(|domain| format!("{name}.{domain}."))
        .collect();
    if words("options").contains(&"ndots:0".to_owned()) {
        tried.insert(0, itself);
    } else {
        tried.push(itself);
    }
    for name in &tried {
        let told = dns::ask(scene.lab, &member.namespace, name, "A", None)?;
        if !told.data.is_empty() {
            return Ok(format!("{name} is {}", told.sorted().join(" ")));
        }
    }
    Ok(format!("not found as {}", tried.join(" or ")))
}
