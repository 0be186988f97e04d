//! From the bytes of a question to what is done about it. Pure: it neither reads a clock nor a socket.
//!
//! ```text
//!   no header, or itself an answer ---------> nothing
//!   malformed, or not one question ---------> FORMERR        another operation -> NOTIMP     another class -> REFUSED
//!   a name that the sandbox's networks know > its records, in random order; NODATA for another type
//!   a name that would be ours and is none --> NXDOMAIN
//!   any other: only internal networks ------> SERVFAIL, as Docker answers; else it is forwarded
//! ```

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR, SRV},
    },
};
use jackfield_model::SandboxId;
use rand::seq::SliceRandom;

use crate::directory::{Directory, Found, Known, serves, split_service};

/// How long an answer may be kept, in seconds: sandboxes come and go.
const TTL: u32 = 5;
/// Largest datagram that is sent to a sandbox, whatever it says that it takes.
const DATAGRAM_MOST: u16 = 4096;
/// The size that every resolver takes (RFC 1035, section 4.2.1).
const DATAGRAM_LEAST: u16 = 512;
/// What is said to be taken over UDP: no fragments on any path (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// Records of one answer; an alias may have more endpoints, of which as many are told, by chance.
const RECORDS: usize = 256;
/// Bytes of a message's header.
const HEADER: usize = 12;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// What is done about a question.
#[derive(Debug)]
pub enum Decision {
    /// Nothing: it is none.
    Nothing,
    /// That is the answer.
    Reply(Vec<u8>),
    /// Somebody outside is asked.
    Forward(Box<Question>),
}

/// A question that was understood, and what its answer has to be like.
#[derive(Clone, Debug)]
pub struct Question {
    id: u16,
    query: Query,
    recursion_desired: bool,
    checking_disabled: bool,
    /// DNSSEC records are wanted; None: the asker knows no EDNS.
    dnssec: Option<bool>,
    /// Largest answer, in bytes.
    limit: usize,
}

/// Two questions with the same key have the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    name: Name,
    kind: RecordType,
    dnssec: bool,
    checking_disabled: bool,
}

/// Decides about the bytes that came from a sandbox.
pub fn decide(bytes: &[u8], carrier: Carrier, directory: &Directory, sandbox: &SandboxId) -> Decision {
    match Question::read(bytes, carrier) {
        Ok(question) => question.decide(directory, sandbox),
        Err(refusal) => refusal.map_or(Decision::Nothing, Decision::Reply),
    }
}

impl Question {
    /// Reads a question. The error is the answer to something that is none: none at all where it deserves no answer.
    pub fn read(bytes: &[u8], carrier: Carrier) -> Result<Self, Option<Vec<u8>>> {
        let Some([high, low, flags, ..]) = bytes.get(..HEADER) else {
            return Err(None);
        };
        // To answer an answer would be how two servers talk for ever.
        if flags & 0x80 != 0 {
            return Err(None);
        }
        let id = u16::from_be_bytes([*high, *low]);
        let operation = OpCode::from_u8(flags >> 3 & 0x0f);
        if operation != OpCode::Query {
            return Err(refusal(id, operation, ResponseCode::NotImp));
        }
        let malformed = || refusal(id, operation, ResponseCode::FormErr);
        let message = Message::from_vec(bytes).map_err(|_| malformed())?;
        let [query] = &message.queries[..] else {
            return Err(malformed());
        };
        let announced = message.edns.as_ref().map_or(DATAGRAM_LEAST, Edns::max_payload);
        let question = Self {
            id,
            query: query.clone(),
            recursion_desired: message.recursion_desired,
            checking_disabled: message.checking_disabled,
            dnssec: message.edns.as_ref().map(|e| e.flags().dnssec_ok),
            limit: match carrier {
                Carrier::Udp => announced.clamp(DATAGRAM_LEAST, DATAGRAM_MOST).into(),
                Carrier::Tcp => u16::MAX.into(),
            },
        };
        if message.edns.as_ref().is_some_and(|e| e.version() != 0) {
            return Err(Some(question.fail(ResponseCode::BADVERS)));
        }
        if query.query_class != DNSClass::IN || matches!(query.query_type, RecordType::AXFR | RecordType::IXFR) {
            return Err(Some(question.fail(ResponseCode::Refused)));
        }
        Ok(question)
    }

    fn decide(self, directory: &Directory, sandbox: &SandboxId) -> Decision {
        let answer = self.look_up(directory, sandbox);
        match answer {
            Some(Ok(records)) => Decision::Reply(self.answer(records)),
            Some(Err(code)) => Decision::Reply(self.fail(code)),
            None if directory.leads_outside(sandbox) => Decision::Forward(Box::new(self)),
            None => Decision::Reply(self.fail(ResponseCode::ServFail)),
        }
    }

    /// What the sandbox's networks say; None when it is none of their names.
    fn look_up(&self, directory: &Directory, sandbox: &SandboxId) -> Option<Result<Records, ResponseCode>> {
        if let Some(address) = reverse(&self.query.name) {
            return told(directory.find_address(sandbox, address), |known| {
                self.pointers(directory, known)
            });
        }
        let name = plain(&self.query.name)?;
        if let Some((service, protocol, rest)) = split_service(&name) {
            let found = directory.find(sandbox, rest);
            let declared = |known: &[Known<'_>]| self.services(directory, known, service, protocol);
            return told(found, declared).map(Result::flatten);
        }
        told(directory.find(sandbox, &name), |known| self.addresses(known))
    }

    fn record(&self, data: RData) -> Record {
        Record::from_rdata(self.query.name.clone(), TTL, data)
    }

    fn asks(&self, kind: RecordType) -> bool {
        self.query.query_type == kind || self.query.query_type == RecordType::ANY
    }

    fn addresses(&self, known: &[Known<'_>]) -> Records {
        let all = known.iter().flat_map(Known::addresses);
        let asked = all.filter(|a| self.asks(kind_of(a)));
        let records = asked.map(|a| self.record(data(*a))).collect();
        Records {
            answers: some_of(records),
            additionals: Vec::new(),
        }
    }

    fn pointers(&self, directory: &Directory, known: &[Known<'_>]) -> Records {
        let asked = known.iter().filter(|_| self.asks(RecordType::PTR));
        let names = asked.filter_map(|k| Name::from_ascii(directory.full_name(*k)?).ok());
        Records {
            answers: names.map(|name| self.record(RData::PTR(PTR(name)))).collect(),
            additionals: Vec::new(),
        }
    }

    /// NXDOMAIN where nobody of that name declares the service.
    fn services(
        &self,
        directory: &Directory,
        known: &[Known<'_>],
        service: &str,
        protocol: &str,
    ) -> Result<Records, ResponseCode> {
        let declared = |k: &Known<'_>| -> Vec<(Record, Vec<Record>)> {
            let Some(target) = directory.full_name(*k).and_then(|n| Name::from_ascii(n).ok()) else {
                return Vec::new();
            };
            let here = k.services().iter().filter(|s| serves(s, service, protocol));
            here.map(|s| {
                let srv = self.record(RData::SRV(SRV::new(0, 0, s.port, target.clone())));
                let addresses = k
                    .addresses()
                    .iter()
                    .map(|a| Record::from_rdata(target.clone(), TTL, data(*a)));
                (srv, addresses.collect())
            })
            .collect()
        };
        let all: Vec<_> = known.iter().flat_map(declared).collect();
        if all.is_empty() {
            return Err(ResponseCode::NXDomain);
        }
        let asked = all.into_iter().filter(|_| self.asks(RecordType::SRV)).collect();
        let (answers, additionals): (Vec<_>, Vec<_>) = some_of(asked).into_iter().unzip();
        Ok(Records {
            answers,
            additionals: additionals.into_iter().flatten().collect(),
        })
    }

    /// An answer of our own.
    fn answer(&self, records: Records) -> Vec<u8> {
        let mut message = self.response(ResponseCode::NoError);
        message.metadata.authoritative = true;
        (message.answers, message.additionals) = (records.answers, records.additionals);
        self.encode(&message)
    }

    /// An answer without records.
    pub fn fail(&self, code: ResponseCode) -> Vec<u8> {
        self.encode(&self.response(code))
    }

    /// Somebody else's answer, for whoever asked.
    pub fn relay(&self, answer: &Message) -> Vec<u8> {
        let mut message = self.response(answer.response_code);
        message.metadata.authentic_data = answer.authentic_data;
        message.answers = answer.answers.clone();
        message.authorities = answer.authorities.clone();
        message.additionals = answer.additionals.clone();
        self.encode(&message)
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::response(self.id, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.response_code = code;
        message.queries = vec![self.query.clone()];
        if let Some(dnssec) = self.dnssec {
            message.edns = Some(edns(dnssec));
        }
        message
    }

    /// Nothing at all where the message cannot be written: better that the asker's patience ends than ours.
    fn encode(&self, message: &Message) -> Vec<u8> {
        let written = message.to_vec().ok().filter(|bytes| bytes.len() <= self.limit);
        written.or_else(|| message.truncate().to_vec().ok()).unwrap_or_default()
    }

    /// The question as an upstream server gets it, under that number. Nothing of the asker's own goes along but what he wants to know.
    pub fn ask(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.queries = vec![self.query.clone()];
        message.edns = Some(edns(self.dnssec == Some(true)));
        message.to_vec().unwrap_or_default()
    }

    /// Reads an upstream server's answer to this question under that number; None when it is none.
    pub fn answered_by(&self, id: u16, bytes: &[u8]) -> Option<Message> {
        let message = Message::from_vec(bytes).ok()?;
        let [query] = &message.queries[..] else { return None };
        let same = query.query_type == self.query.query_type
            && query.query_class == self.query.query_class
            && query.name == self.query.name;
        (message.message_type == MessageType::Response && message.id == id && same).then_some(message)
    }

    /// What its answer is kept under.
    pub fn key(&self) -> Key {
        Key {
            name: self.query.name.to_lowercase(),
            kind: self.query.query_type,
            dnssec: self.dnssec == Some(true),
            checking_disabled: self.checking_disabled,
        }
    }
}

/// What an answer is made of.
#[derive(Debug, Default)]
struct Records {
    answers: Vec<Record>,
    additionals: Vec<Record>,
}

fn told<T>(found: Found<'_>, tell: impl FnOnce(&[Known<'_>]) -> T) -> Option<Result<T, ResponseCode>> {
    match found {
        Found::Known(known) => Some(Ok(tell(&known))),
        Found::Nobody => Some(Err(ResponseCode::NXDomain)),
        Found::NotOurs => None,
    }
}

fn refusal(id: u16, operation: OpCode, code: ResponseCode) -> Option<Vec<u8>> {
    Message::error_msg(id, operation, code).to_vec().ok()
}

fn edns(dnssec: bool) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_version(0).set_dnssec_ok(dnssec);
    edns
}

/// In random order, and not more than an answer holds: who takes the first one finds another each time.
fn some_of<T>(mut all: Vec<T>) -> Vec<T> {
    if all.len() > 1 {
        all.shuffle(&mut rand::rng());
    }
    all.truncate(RECORDS);
    all
}

fn kind_of(address: &IpAddr) -> RecordType {
    if address.is_ipv4() {
        RecordType::A
    } else {
        RecordType::AAAA
    }
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

/// A name as text in lower case; None for one that no network's name can be.
fn plain(name: &Name) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !label.iter().all(|b| b.is_ascii_graphic() && *b != b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
    }
    Some(text)
}

/// The address whose name is asked for; None for every other name.
fn reverse(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
