use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::Metadata;
use proptest::prelude::*;

use super::*;
use crate::directory::tests::{id, member, network, service};

/// Sandbox a: web on blue with a service, db with two endpoints, a service called all; sandbox c is on an internal network only.
fn directory() -> Directory {
    let blue = network('1', "blue");
    let mut inside = network('2', "inside");
    inside.internal = true;
    let mut directory = Directory::default();
    let mut web = member('a', 'a', &blue, &["web"], &["10.0.1.2", "fd00::2"]);
    web.services = vec!["http:8080/tcp".parse().unwrap()];
    directory.insert(web);
    directory.insert(member('b', 'b', &blue, &["one", "db"], &["10.0.1.3"]));
    directory.insert(member('d', 'd', &blue, &["two", "db"], &["10.0.1.4"]));
    let addresses = ["10.0.1.200", "fd00::200"];
    directory.insert_service(service(&blue, "all", &addresses, &["http:80/tcp", "dns:53/udp"]));
    directory.insert(member('c', 'c', &inside, &["lonely"], &["10.0.2.2"]));
    directory
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn reply_in(directory: &Directory, sandbox: char, carrier: Carrier, query: &Message) -> Option<(Message, usize)> {
    match decide(&query.to_vec().unwrap(), carrier, directory, &id(sandbox)) {
        Decision::Reply(bytes) => Some((Message::from_vec(&bytes).unwrap(), bytes.len())),
        Decision::Forward(_) => None,
        Decision::Nothing => panic!("no answer"),
    }
}

/// The answer in one word: its code or records, or that it is forwarded.
fn told(sandbox: char, name: &str, kind: RecordType) -> String {
    let Some((message, _)) = reply_in(&directory(), sandbox, Carrier::Udp, &query(name, kind)) else {
        return "forward".into();
    };
    assert_eq!(
        (message.id, message.recursion_available, message.recursion_desired),
        (7, true, true)
    );
    assert!(message.answers.iter().all(|r| r.ttl == TTL));
    let mut data: Vec<_> = message.answers.iter().map(|r| r.data.to_string()).collect();
    data.sort();
    match (message.response_code, data.is_empty()) {
        (ResponseCode::NoError, true) => "nodata".into(),
        (ResponseCode::NoError, false) => data.join(" "),
        (code, _) => code.to_string(),
    }
}

#[test]
fn a_question_gets_the_answer_that_its_sandbox_may_have() {
    use RecordType::*;
    let (fail, none) = (ResponseCode::ServFail.to_string(), ResponseCode::NXDomain.to_string());
    for (sandbox, name, kind, expected) in [
        ('a', "web.", A, "10.0.1.2"),
        ('a', "WeB.", A, "10.0.1.2"),
        ('a', "web.", AAAA, "fd00::2"),
        ('a', "web.", ANY, "10.0.1.2 fd00::2"),
        ('a', "web.", MX, "nodata"),
        ('a', "web.", HTTPS, "nodata"),
        ('a', "one.", AAAA, "nodata"),
        ('a', "db.", A, "10.0.1.3 10.0.1.4"),
        ('a', "web.blue.", A, "10.0.1.2"),
        ('a', "web.blue.jackfield.internal.", A, "10.0.1.2"),
        ('a', "nobody.jackfield.internal.", A, none.as_str()),
        ('a', "2.1.0.10.in-addr.arpa.", PTR, "web.blue.jackfield.internal."),
        ('a', "2.1.0.10.in-addr.arpa.", A, "nodata"),
        ('a', "9.1.0.10.in-addr.arpa.", PTR, none.as_str()),
        ('a', "8.8.8.8.in-addr.arpa.", PTR, "forward"),
        ('a', "1.0.10.in-addr.arpa.", PTR, "forward"),
        (
            'a',
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.",
            PTR,
            "web.blue.jackfield.internal.",
        ),
        ('a', "_http._tcp.web.", SRV, "0 0 8080 web.blue.jackfield.internal."),
        ('a', "_http._tcp.web.", A, "nodata"),
        ('a', "_http._udp.web.", SRV, none.as_str()),
        ('a', "_http._tcp.db.", SRV, none.as_str()),
        ('a', "_http._tcp.example.com.", SRV, "forward"),
        ('a', "all.", A, "10.0.1.200"),
        ('a', "ALL.blue.", AAAA, "fd00::200"),
        ('a', "all.", MX, "nodata"),
        ('a', "200.1.0.10.in-addr.arpa.", PTR, "all.blue.jackfield.internal."),
        ('a', "_http._tcp.all.", SRV, "0 0 80 all.blue.jackfield.internal."),
        ('a', "_dns._udp.all.blue.", SRV, "0 0 53 all.blue.jackfield.internal."),
        ('a', "_dns._tcp.all.", SRV, none.as_str()),
        ('c', "all.", A, fail.as_str()),
        ('a', "lonely.", A, "forward"),
        ('a', "example.com.", A, "forward"),
        ('a', ".", NS, "forward"),
        ('c', "lonely.", A, "10.0.2.2"),
        ('c', "web.", A, fail.as_str()),
        ('c', "example.com.", A, fail.as_str()),
    ] {
        assert_eq!(told(sandbox, name, kind), expected, "{name} {kind} in {sandbox}");
    }
}

#[test]
fn a_service_brings_its_addresses_along() {
    let (message, _) = reply_in(
        &directory(),
        'a',
        Carrier::Udp,
        &query("_http._tcp.web.", RecordType::SRV),
    )
    .unwrap();
    let along: BTreeSet<_> = message.additionals.iter().map(|r| r.data.to_string()).collect();
    assert_eq!(along, BTreeSet::from(["10.0.1.2".to_owned(), "fd00::2".to_owned()]));
}

#[test]
fn the_first_of_several_is_another_each_time() {
    let directory = directory();
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 {
        let (message, _) = reply_in(&directory, 'a', Carrier::Udp, &query("db.", RecordType::A)).unwrap();
        *first.entry(message.answers[0].data.to_string()).or_default() += 1;
    }
    assert!(first.len() == 2 && first.values().all(|n| *n > 50), "{first:?}");
}

#[test]
fn what_does_not_fit_is_truncated_and_comes_whole_over_tcp() {
    let blue = network('1', "blue");
    let mut directory = Directory::default();
    for n in 0..60u8 {
        let mut one = member('a', 'a', &blue, &["many"], &[&format!("10.0.1.{n}")]);
        one.endpoint = format!("{n:064x}").parse().unwrap();
        directory.insert(one);
    }
    let plain = query("many.", RecordType::A);
    let (short, length) = reply_in(&directory, 'a', Carrier::Udp, &plain).unwrap();
    assert!(short.truncation && short.answers.is_empty() && length <= 512);
    let (whole, _) = reply_in(&directory, 'a', Carrier::Tcp, &plain).unwrap();
    assert!(!whole.truncation && whole.answers.len() == 60);
    for (size, fits) in [(512, false), (1232, true), (65535, true)] {
        let mut with_edns = plain.clone();
        with_edns.edns = Some(edns(false));
        with_edns.edns.as_mut().unwrap().set_max_payload(size);
        let (answer, length) = reply_in(&directory, 'a', Carrier::Udp, &with_edns).unwrap();
        assert_eq!(!answer.truncation, fits, "{size}");
        assert!(answer.edns.is_some() && length <= usize::from(size).min(DATAGRAM_MOST.into()));
    }
}

#[test]
fn an_alias_of_thousands_is_answered_with_some_of_them() {
    let blue = network('1', "blue");
    let mut directory = Directory::default();
    for n in 0..3000u16 {
        let [a, b] = n.to_be_bytes();
        let mut one = member('a', 'a', &blue, &["many"], &[&format!("10.1.{a}.{b}")]);
        one.endpoint = format!("{n:064x}").parse().unwrap();
        directory.insert(one);
    }
    let (whole, _) = reply_in(&directory, 'a', Carrier::Tcp, &query("many.", RecordType::A)).unwrap();
    assert_eq!(whole.answers.len(), RECORDS);
}

/// The code that bytes are answered with, None for nothing at all.
fn code(bytes: &[u8]) -> Option<ResponseCode> {
    match decide(bytes, Carrier::Udp, &directory(), &id('a')) {
        Decision::Nothing => None,
        Decision::Reply(reply) => Some(Message::from_vec(&reply).unwrap().response_code),
        Decision::Forward(_) => panic!("forwarded"),
    }
}

#[test]
fn what_is_no_question_is_refused_or_ignored() {
    let bytes = |change: fn(&mut Message)| {
        let mut message = query("web.", RecordType::A);
        change(&mut message);
        message.to_vec().unwrap()
    };
    let good = bytes(|_| ());
    for (bytes, expected) in [
        (Vec::new(), None),
        (good[..11].to_vec(), None),
        (good[..12].to_vec(), Some(ResponseCode::FormErr)),
        (good[..good.len() - 1].to_vec(), Some(ResponseCode::FormErr)),
        (bytes(|m| m.metadata.message_type = MessageType::Response), None),
        (
            bytes(|m| m.metadata.op_code = OpCode::Update),
            Some(ResponseCode::NotImp),
        ),
        (bytes(|m| m.queries.clear()), Some(ResponseCode::FormErr)),
        (
            bytes(|m| m.queries.push(m.queries[0].clone())),
            Some(ResponseCode::FormErr),
        ),
        (
            bytes(|m| m.queries[0].query_class = DNSClass::CH),
            Some(ResponseCode::Refused),
        ),
        (
            bytes(|m| m.queries[0].query_type = RecordType::AXFR),
            Some(ResponseCode::Refused),
        ),
        (
            bytes(|m| {
                let mut newer = edns(false);
                newer.set_version(1);
                m.edns = Some(newer);
            }),
            Some(ResponseCode::BADVERS),
        ),
    ] {
        // By number: two codes share one, and which it is depends on who reads.
        assert_eq!(code(&bytes).map(u16::from), expected.map(u16::from), "{bytes:x?}");
    }
    // A name that points to itself.
    let mut looped = good[..12].to_vec();
    looped.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(code(&looped), Some(ResponseCode::FormErr));
}

fn forwarded(message: &Message) -> Box<Question> {
    match decide(&message.to_vec().unwrap(), Carrier::Udp, &directory(), &id('a')) {
        Decision::Forward(question) => question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_answer_to_the_very_question_counts() {
    let question = forwarded(&query("Example.com.", RecordType::A));
    let asked = Message::from_vec(&question.ask(99)).unwrap();
    assert_eq!((asked.id, asked.recursion_desired), (99, true));
    let answer = |change: fn(&mut Message)| {
        let mut message = Message::response(99, OpCode::Query);
        message.queries = asked.queries.clone();
        change(&mut message);
        question.answered_by(99, &message.to_vec().unwrap()).is_some()
    };
    assert!(answer(|_| ()));
    assert!(answer(|m| m.queries[0].name = Name::from_ascii("EXAMPLE.com.").unwrap()));
    for wrong in [
        (|m| m.metadata.id = 98) as fn(&mut Message),
        |m| m.metadata.message_type = MessageType::Query,
        |m| m.queries.clear(),
        |m| m.queries[0].name = Name::from_ascii("example.org.").unwrap(),
        |m| m.queries[0].query_type = RecordType::AAAA,
    ] {
        assert!(!answer(wrong));
    }
}

#[test]
fn a_relayed_answer_has_the_askers_number_and_spelling() {
    let question = forwarded(&query("ExAmPle.com.", RecordType::A));
    let mut answer = Message::response(99, OpCode::Query);
    answer.metadata.response_code = ResponseCode::NXDomain;
    answer.edns = Some(edns(true));
    let relayed = Message::from_vec(&question.relay(&answer)).unwrap();
    let Metadata { id, response_code, .. } = relayed.metadata;
    assert_eq!((id, response_code, relayed.edns), (7, ResponseCode::NXDomain, None));
    assert_eq!(relayed.queries[0].name.to_ascii(), "ExAmPle.com.");
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Decision::Reply(reply) = decide(&bytes, Carrier::Udp, &directory(), &id('a')) {
            prop_assert!(reply.len() <= DATAGRAM_MOST.into());
            prop_assert!(Message::from_vec(&reply).is_ok());
        }
    }

    /// Bytes that come nearer to a question: one that is right, changed in a few places, and cut or lengthened.
    #[test]
    fn nearly_questions_do_not_either(
        changes in prop::collection::vec((0usize..80, any::<u8>()), 0..6),
        length in 0usize..100,
        carrier in prop_oneof![Just(Carrier::Udp), Just(Carrier::Tcp)],
    ) {
        let mut message = query("_http._tcp.web.blue.jackfield.internal.", RecordType::ANY);
        message.edns = Some(edns(true));
        let mut bytes = message.to_vec().unwrap();
        for (at, byte) in changes {
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
        }
        bytes.resize(length.max(bytes.len() / 2), 0xc0);
        if let Decision::Forward(question) = decide(&bytes, carrier, &directory(), &id('a')) {
            prop_assert!(Message::from_vec(&question.ask(1)).is_ok());
            question.answered_by(1, &bytes);
        }
    }

    #[test]
    fn no_answer_from_outside_brings_it_down(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let question = forwarded(&query("example.com.", RecordType::A));
        let mut framed = question.ask(1);
        framed[2] |= 0x80;
        framed.extend(&bytes);
        framed[6..12].copy_from_slice(&[0, 2, 0, 1, 0, 1]);
        if let Some(answer) = question.answered_by(1, &framed) {
            prop_assert!(question.relay(&answer).len() <= DATAGRAM_MOST.into());
        }
    }
}
