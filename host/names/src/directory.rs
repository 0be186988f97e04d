//! Who is called what, network by network, and which networks a sandbox sees. Pure.
//!
//! A service and endpoints may have the same name: then it is the service's for as long as there is one. An endpoint's short id is among its
//! names, so that there is always one left by which it alone is meant.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use jackfield_model::{DnsName, EndpointId, Member, NetworkId, NetworkNames, SandboxId, Service, VirtualService};

/// The domain that is the host's own: what it does not know there nobody else is asked. `internal` is reserved for private use by ICANN.
pub const DOMAIN: &str = "jackfield.internal";

/// The names of one network.
#[derive(Debug)]
struct Zone {
    network: NetworkNames,
    /// The network's name as names end with it: a dot before it, in lower case.
    suffix: String,
    names: HashMap<DnsName, Vec<Arc<Member>>>,
    addresses: HashMap<IpAddr, Arc<Member>>,
    services: HashMap<DnsName, Arc<VirtualService>>,
    virtual_addresses: HashMap<IpAddr, Arc<VirtualService>>,
}

/// All names.
#[derive(Debug, Default)]
pub struct Directory {
    members: HashMap<EndpointId, Arc<Member>>,
    zones: HashMap<NetworkId, Zone>,
    /// The networks of each sandbox, by the order of its endpoints.
    views: HashMap<SandboxId, BTreeMap<(u64, EndpointId), NetworkId>>,
}

/// Whom a name stands for.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// An endpoint.
    Endpoint(&'a Member),
    /// All endpoints behind a virtual address.
    Service(&'a VirtualService),
}

/// What a name turned out to be.
#[derive(Debug)]
pub enum Found<'a> {
    /// Those who are called so. None of them: there is such a name, with nothing to say of it.
    Known(Vec<Known<'a>>),
    /// It would be ours, and is none.
    Nobody,
    /// Somebody else's.
    NotOurs,
}

impl Directory {
    /// An endpoint is in its sandbox, instead of what was known of it before.
    pub fn insert(&mut self, member: Member) {
        self.remove(&member.endpoint);
        let member = Arc::new(member);
        let zone = self.zones.entry(member.network.id.clone());
        zone.or_insert_with(|| Zone::of(&member.network)).insert(&member);
        let view = self.views.entry(member.sandbox.clone()).or_default();
        view.insert((member.order, member.endpoint.clone()), member.network.id.clone());
        self.members.insert(member.endpoint.clone(), member);
    }

    /// An endpoint left its sandbox.
    pub fn remove(&mut self, endpoint: &EndpointId) {
        let Some(member) = self.members.remove(endpoint) else {
            return;
        };
        self.change_zone(&member.network.id, |zone| zone.remove(&member));
        if let Some(view) = self.views.get_mut(&member.sandbox) {
            view.remove(&(member.order, endpoint.clone()));
            if view.is_empty() {
                self.views.remove(&member.sandbox);
            }
        }
    }

    /// A service stands, instead of what was known of it before.
    pub fn insert_service(&mut self, service: VirtualService) {
        self.remove_service(&service.network.id, &service.name);
        let zone = self.zones.entry(service.network.id.clone());
        zone.or_insert_with(|| Zone::of(&service.network))
            .insert_service(Arc::new(service));
    }

    /// It is no more.
    pub fn remove_service(&mut self, network: &NetworkId, name: &DnsName) {
        self.change_zone(network, |zone| zone.remove_service(name));
    }

    /// Takes something out of a zone, which is there as long as anything is in it.
    fn change_zone(&mut self, network: &NetworkId, change: impl FnOnce(&mut Zone)) {
        if let Some(zone) = self.zones.get_mut(network) {
            change(zone);
            if zone.is_empty() {
                self.zones.remove(network);
            }
        }
    }

    /// The zones that a sandbox sees, in its order.
    fn zones_of(&self, sandbox: &SandboxId) -> impl Iterator<Item = &Zone> {
        let networks = self.views.get(sandbox).into_iter().flat_map(BTreeMap::values);
        networks.filter_map(|id| self.zones.get(id))
    }

    /// Who is called `name` (in lower case, without its last dot), as a sandbox sees it: in the first of its networks that knows.
    pub fn find(&self, sandbox: &SandboxId, name: &str) -> Found<'_> {
        let (name, ours) = match name.strip_suffix(DOMAIN).map(|rest| rest.strip_suffix('.')) {
            Some(Some(rest)) => (rest, true),
            // The domain itself: a name without an address.
            Some(None) if name == DOMAIN => return Found::Known(Vec::new()),
            _ => (name, false),
        };
        let Ok(name) = name.parse::<DnsName>() else {
            return if ours { Found::Nobody } else { Found::NotOurs };
        };
        let direct = self.zones_of(sandbox).find_map(|zone| zone.find(&name));
        if let Some(known) = direct.or_else(|| self.zones_of(sandbox).find_map(|zone| zone.find_below(&name))) {
            return Found::Known(known);
        }
        let is_zone = |zone: &Zone| zone.suffix[1..] == *name.as_str();
        if ours && self.zones_of(sandbox).any(is_zone) {
            return Found::Known(Vec::new());
        }
        if ours { Found::Nobody } else { Found::NotOurs }
    }

    /// Whose address that is, as a sandbox sees it. One of its networks' that nobody has is nobody's.
    pub fn find_address(&self, sandbox: &SandboxId, address: IpAddr) -> Found<'_> {
        let found = self.zones_of(sandbox).find_map(|zone| zone.find_address(&address));
        let covers = |zone: &Zone| zone.network.subnets.iter().any(|subnet| subnet.contains(address));
        match found {
            Some(known) => Found::Known(vec![known]),
            None if self.zones_of(sandbox).any(covers) => Found::Nobody,
            None => Found::NotOurs,
        }
    }

    /// The one name that stands for this one and no other.
    pub fn full_name(&self, known: Known<'_>) -> Option<String> {
        let (name, network) = match known {
            Known::Service(service) => (&service.name, &service.network),
            Known::Endpoint(member) => {
                let zone = self.zones.get(&member.network.id)?;
                let is_own = |name: &&DnsName| !zone.services.contains_key(*name);
                (member.names.iter().find(is_own)?, &member.network)
            }
        };
        Some(format!(
            "{name}.{}.{DOMAIN}.",
            network.name.as_str().to_ascii_lowercase()
        ))
    }

    /// Whether a sandbox may ask anybody outside: one of its networks at least leads there.
    pub fn leads_outside(&self, sandbox: &SandboxId) -> bool {
        self.zones_of(sandbox).any(|zone| !zone.network.internal)
    }

    /// The servers of a sandbox's networks, in its order.
    pub fn servers(&self, sandbox: &SandboxId) -> Vec<IpAddr> {
        let zones = self.zones_of(sandbox).filter(|zone| !zone.network.internal);
        zones.flat_map(|zone| zone.network.servers.iter().copied()).collect()
    }
}

impl Zone {
    fn of(network: &NetworkNames) -> Self {
        Self {
            network: network.clone(),
            suffix: format!(".{}", network.name.as_str().to_ascii_lowercase()),
            names: HashMap::new(),
            addresses: HashMap::new(),
            services: HashMap::new(),
            virtual_addresses: HashMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.addresses.is_empty() && self.services.is_empty()
    }

    fn insert(&mut self, member: &Arc<Member>) {
        // What is known of the network is what was said of it last.
        self.network = member.network.clone();
        for name in distinct(&member.names) {
            self.names.entry(name.clone()).or_default().push(member.clone());
        }
        for address in &member.addresses {
            self.addresses.insert(*address, member.clone());
        }
    }

    fn remove(&mut self, member: &Arc<Member>) {
        for name in distinct(&member.names) {
            if let Some(members) = self.names.get_mut(name) {
                members.retain(|m| m.endpoint != member.endpoint);
                if members.is_empty() {
                    self.names.remove(name);
                }
            }
        }
        self.addresses.retain(|_, m| m.endpoint != member.endpoint);
    }

    fn insert_service(&mut self, service: Arc<VirtualService>) {
        self.network = service.network.clone();
        for address in &service.addresses {
            self.virtual_addresses.insert(*address, service.clone());
        }
        self.services.insert(service.name.clone(), service);
    }

    fn remove_service(&mut self, name: &DnsName) {
        if let Some(service) = self.services.remove(name) {
            self.virtual_addresses.retain(|_, s| s.name != service.name);
        }
    }

    fn find(&self, name: &DnsName) -> Option<Vec<Known<'_>>> {
        if let Some(service) = self.services.get(name) {
            return Some(vec![Known::Service(service)]);
        }
        let members = self.names.get(name)?;
        Some(members.iter().map(|m| Known::Endpoint(m)).collect())
    }

    /// Who is called `web` where the name is `web.NETWORK`.
    fn find_below(&self, name: &DnsName) -> Option<Vec<Known<'_>>> {
        let short = name.as_str().strip_suffix(&self.suffix)?;
        self.find(&short.parse().ok()?)
    }

    fn find_address(&self, address: &IpAddr) -> Option<Known<'_>> {
        let service = || Some(Known::Service(self.virtual_addresses.get(address)?));
        let endpoint = self.addresses.get(address).map(|m| Known::Endpoint(m));
        endpoint.or_else(service)
    }
}

fn distinct(names: &[DnsName]) -> impl Iterator<Item = &DnsName> {
    names
        .iter()
        .enumerate()
        .filter(|(at, name)| !names[..*at].contains(name))
        .map(|(_, name)| name)
}

impl Known<'_> {
    /// Where it is reached.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Endpoint(member) => &member.addresses,
            Self::Service(service) => &service.addresses,
        }
    }

    /// What it serves.
    pub fn services(&self) -> &[Service] {
        match self {
            Self::Endpoint(member) => &member.services,
            Self::Service(service) => &service.services,
        }
    }
}

/// A name of the form `_http._tcp.web`: service, protocol, and the rest.
pub fn split_service(name: &str) -> Option<(&str, &str, &str)> {
    let (service, rest) = name.strip_prefix('_')?.split_once('.')?;
    let (protocol, rest) = rest.strip_prefix('_')?.split_once('.')?;
    Some((service, protocol, rest))
}

/// Whether an endpoint declares that service.
pub fn serves(declared: &Service, service: &str, protocol: &str) -> bool {
    declared.name.as_str() == service && declared.protocol() == protocol
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn id<T: std::str::FromStr>(digit: char) -> T
    where
        T::Err: std::fmt::Debug,
    {
        digit.to_string().repeat(64).parse().unwrap()
    }

    pub fn network(digit: char, name: &str) -> NetworkNames {
        NetworkNames {
            id: id(digit),
            name: name.parse().unwrap(),
            subnets: vec![format!("10.0.{digit}.0/24").parse().unwrap()],
            servers: vec![],
            internal: false,
        }
    }

    /// An endpoint of that digit, in the sandbox of that digit.
    pub fn member(endpoint: char, sandbox: char, network: &NetworkNames, names: &[&str], addresses: &[&str]) -> Member {
        Member {
            endpoint: id(endpoint),
            network: network.clone(),
            sandbox: id(sandbox),
            names: names.iter().map(|n| n.parse().unwrap()).collect(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            services: vec![],
            order: u64::from(endpoint),
        }
    }

    pub fn service(network: &NetworkNames, name: &str, addresses: &[&str], services: &[&str]) -> VirtualService {
        VirtualService {
            network: network.clone(),
            name: name.parse().unwrap(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            services: services.iter().map(|s| s.parse().unwrap()).collect(),
        }
    }

    fn who(found: Found<'_>) -> String {
        let called = |known: &Known<'_>| match known {
            Known::Endpoint(member) => member.endpoint.as_str()[..1].to_owned(),
            Known::Service(service) => format!("service {}", service.name),
        };
        match found {
            Found::Known(known) => known.iter().map(called).collect(),
            Found::Nobody => "nobody".into(),
            Found::NotOurs => "not ours".into(),
        }
    }

    /// Sandboxes a and b on blue, b and c on red; d on red alone shares an alias with c.
    fn directory() -> Directory {
        let (blue, red) = (network('1', "blue"), network('2', "Red.x"));
        let mut directory = Directory::default();
        directory.insert(member('a', 'a', &blue, &["a", "db"], &["10.0.1.2"]));
        directory.insert(member('b', 'b', &blue, &["b"], &["10.0.1.3"]));
        directory.insert(member('c', 'b', &red, &["b"], &["10.0.2.3"]));
        directory.insert(member('d', 'c', &red, &["c", "db"], &["10.0.2.4"]));
        directory.insert(member('e', 'd', &red, &["d", "db", "db"], &["10.0.2.5"]));
        directory
    }

    #[test]
    fn a_sandbox_sees_the_names_of_its_own_networks() {
        let directory = directory();
        for (sandbox, name, expected) in [
            ('a', "a", "a"),
            ('a', "b", "b"),
            ('a', "c", "not ours"),
            ('a', "db", "a"),
            ('a', "b.blue", "b"),
            ('a', "b.red.x", "not ours"),
            ('b', "db", "a"),
            ('b', "c", "d"),
            ('b', "db.red.x", "de"),
            ('b', "db.red.x.jackfield.internal", "de"),
            ('b', "b.jackfield.internal", "b"),
            ('c', "db", "de"),
            ('c', "a", "not ours"),
            ('c', "a.jackfield.internal", "nobody"),
            ('c', "red.x.jackfield.internal", ""),
            ('c', "jackfield.internal", ""),
            ('c', "xjackfield.internal", "not ours"),
            ('c', "red.x", "not ours"),
            ('f', "a", "not ours"),
            ('a', "example.com", "not ours"),
        ] {
            assert_eq!(who(directory.find(&id(sandbox), name)), expected, "{name} in {sandbox}");
        }
    }

    #[test]
    fn addresses_of_its_networks_are_somebodys_or_nobodys() {
        let directory = directory();
        for (sandbox, address, expected) in [
            ('a', "10.0.1.3", "b"),
            ('a', "10.0.1.9", "nobody"),
            ('a', "10.0.2.3", "not ours"),
            ('b', "10.0.2.3", "c"),
            ('a', "8.8.8.8", "not ours"),
        ] {
            let found = directory.find_address(&id(sandbox), address.parse().unwrap());
            assert_eq!(who(found), expected, "{address} in {sandbox}");
        }
    }

    #[test]
    fn who_left_is_gone_and_nothing_is_left_of_the_last() {
        let mut directory = directory();
        directory.remove(&id('d'));
        assert_eq!(who(directory.find(&id('b'), "db.red.x")), "e");
        assert_eq!(
            who(directory.find(&id('c'), "db")),
            "not ours",
            "it sees nothing any more"
        );
        "abcde".chars().for_each(|c| directory.remove(&id(c)));
        assert!(directory.zones.is_empty() && directory.views.is_empty() && directory.members.is_empty());
    }

    #[test]
    fn a_service_has_its_name_and_its_address_for_as_long_as_it_stands() {
        let (mut directory, red) = (directory(), network('2', "Red.x"));
        directory.insert_service(service(&red, "db", &["10.0.2.8"], &[]));
        directory.insert_service(service(&red, "db", &["10.0.2.9"], &[]));
        for (sandbox, name, expected) in [
            ('c', "db", "service db"),
            ('c', "db.red.x.jackfield.internal", "service db"),
            ('a', "db", "a"),
            ('a', "db.red.x", "not ours"),
        ] {
            assert_eq!(who(directory.find(&id(sandbox), name)), expected, "{name} in {sandbox}");
        }
        for (address, expected) in [("10.0.2.9", "service db"), ("10.0.2.8", "nobody")] {
            let found = directory.find_address(&id('c'), address.parse().unwrap());
            assert_eq!(who(found), expected, "{address}");
        }
        directory.remove_service(&red.id, &"db".parse().unwrap());
        assert_eq!(who(directory.find(&id('c'), "db")), "de", "whose alias it is");
        assert_eq!(
            who(directory.find_address(&id('c'), "10.0.2.9".parse().unwrap())),
            "nobody"
        );
    }

    #[test]
    fn an_endpoint_of_a_services_name_is_told_by_another() {
        let (mut directory, blue) = (Directory::default(), network('1', "blue"));
        directory.insert_service(service(&blue, "web", &["10.0.1.9"], &[]));
        directory.insert(member('a', 'a', &blue, &["web", "aaaa"], &["10.0.1.2"]));
        let named = |directory: &Directory| {
            let found = directory.find_address(&id('a'), "10.0.1.2".parse().unwrap());
            let Found::Known(known) = found else { return None };
            directory.full_name(known[0])
        };
        assert_eq!(named(&directory).unwrap(), "aaaa.blue.jackfield.internal.");
        directory.remove_service(&blue.id, &"web".parse().unwrap());
        assert_eq!(named(&directory).unwrap(), "web.blue.jackfield.internal.");
        directory.remove(&id('a'));
        directory.insert_service(service(&blue, "web", &["10.0.1.9"], &[]));
        directory.remove_service(&blue.id, &"web".parse().unwrap());
        assert!(directory.zones.is_empty());
    }

    #[test]
    fn a_question_leaves_where_any_network_leads_outside() {
        let (mut inside, outside) = (network('1', "inside"), network('2', "outside"));
        inside.internal = true;
        inside.servers = vec!["10.0.1.53".parse().unwrap()];
        let mut directory = Directory::default();
        directory.insert(member('a', 'a', &inside, &["a"], &[]));
        assert!(!directory.leads_outside(&id('a')));
        directory.insert(member('b', 'a', &outside, &["a"], &[]));
        assert!(directory.leads_outside(&id('a')));
        assert!(
            directory.servers(&id('a')).is_empty(),
            "nobody can be asked by way of an internal network"
        );
    }
}
