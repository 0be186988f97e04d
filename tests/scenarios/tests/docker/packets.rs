//! Who reaches whom, and as whom, in both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_kernel::Namespace;
use jackfield_lab::{Result, probe};

use super::scene::{Answers, Scene, host, outside};

/// By TCP, UDP and ICMP; the families side by side, since most of the time goes by waiting for what does not come.
pub fn ask(scene: &Scene<'_>) -> Result<Answers> {
    let families = std::thread::scope(|scope| {
        let family = |ipv6: bool| scope.spawn(move || Family { scene, ipv6 }.ask());
        [false, true].map(family).map(|thread| thread.join().unwrap())
    });
    Ok(families.concat())
}

struct Family<'a> {
    scene: &'a Scene<'a>,
    ipv6: bool,
}

impl Family<'_> {
    fn ask(&self) -> Answers {
        let mut answers = self.published();
        answers.extend(self.own_addresses());
        answers.extend(self.outward());
        let family = if self.ipv6 { "IPv6" } else { "IPv4" };
        let named = answers
            .into_iter()
            .map(|(what, answer)| (format!("{family}: {what}"), answer));
        named.collect()
    }

    /// The published ports, from everywhere.
    fn published(&self) -> Answers {
        let web = self.scene.member("web");
        let inside = |port| SocketAddr::new(web.address(self.ipv6), port);
        let host = host(self.ipv6);
        let mut answers = Vec::new();
        for (who, from, to) in [
            ("outside", self.scene.outside, host),
            ("the host", self.scene.lab.realm(), host),
            ("the host by its loopback", self.scene.lab.realm(), self.loopback()),
            ("itself", &web.namespace, host),
            ("a neighbour", &self.scene.member("other").namespace, host),
            ("another network", &self.scene.member("stranger").namespace, host),
            ("an internal network", &self.scene.member("closed-a").namespace, host),
        ] {
            let lab = self.scene.lab;
            let tcp = probe::tcp(lab, from, &web.namespace, inside(80), SocketAddr::new(to, 8080));
            let udp = probe::udp(lab, from, &web.namespace, inside(53), SocketAddr::new(to, 5300));
            answers.push((format!("from {who} to the published TCP port"), self.seen(who, tcp)));
            answers.push((format!("from {who} to the published UDP port"), self.seen(who, udp)));
        }
        answers
    }

    fn loopback(&self) -> IpAddr {
        if self.ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// Whether it arrives; and from outside, whether the client is seen by its own address.
    fn seen(&self, who: &str, seen: Result<SocketAddr>) -> String {
        match seen {
            Err(_) => "no".to_owned(),
            Ok(seen) if who == "outside" && seen.ip() != outside(self.ipv6) => "yes, as another".to_owned(),
            Ok(_) => "yes".to_owned(),
        }
    }

    /// The containers' own addresses. Port 80 of web is published, 7000 is not.
    fn own_addresses(&self) -> Answers {
        let member = |name: &str| &self.scene.member(name).namespace;
        let mut answers = Vec::new();
        for (who, from, to) in [
            ("other", member("other"), "web"),
            ("stranger", member("stranger"), "web"),
            ("closed-a", member("closed-a"), "closed-b"),
            ("closed-a", member("closed-a"), "web"),
            ("web", member("web"), "closed-a"),
            ("apart-a", member("apart-a"), "apart-b"),
            ("the host", self.scene.lab.realm(), "web"),
            ("the host", self.scene.lab.realm(), "closed-a"),
            ("the host", self.scene.lab.realm(), "apart-a"),
            ("outside", self.scene.outside, "web"),
            ("outside", self.scene.outside, "closed-a"),
            ("outside", self.scene.outside, "plain-a"),
        ] {
            for (how, arrives) in self.all_ways(from, to, 7000) {
                answers.push((format!("from {who} to {to}'s own address by {how}"), arrives));
            }
        }
        let arrives = self.tcp(self.scene.outside, "web", 80);
        answers.push((
            "from outside to web's own address, the port that is published".to_owned(),
            arrives,
        ));
        answers
    }

    fn all_ways(&self, from: &Namespace, to: &str, port: u16) -> [(&'static str, String); 3] {
        let server = self.scene.member(to);
        let target = SocketAddr::new(server.address(self.ipv6), port);
        let udp = probe::udp(self.scene.lab, from, &server.namespace, target, target);
        let ping = probe::ping(self.scene.lab, from, target.ip());
        [
            ("TCP", self.tcp(from, to, port)),
            ("UDP", yes_or_no(udp.is_ok())),
            ("ICMP", yes_or_no(ping.is_ok())),
        ]
    }

    fn tcp(&self, from: &Namespace, to: &str, port: u16) -> String {
        let server = self.scene.member(to);
        let target = SocketAddr::new(server.address(self.ipv6), port);
        let tcp = probe::tcp(self.scene.lab, from, &server.namespace, target, target);
        yes_or_no(tcp.is_ok())
    }

    /// To the world, which sees them as the host or as themselves.
    fn outward(&self) -> Answers {
        let there = SocketAddr::new(outside(self.ipv6), 7000);
        let mut answers = Vec::new();
        for name in ["web", "closed-a", "apart-a", "plain-a"] {
            let (lab, from) = (self.scene.lab, self.scene.member(name));
            let as_whom = |seen: Result<SocketAddr>| match seen.map(|seen| seen.ip()) {
                Err(_) => "no",
                Ok(seen) if seen == host(self.ipv6) => "yes, as the host",
                Ok(seen) if seen == from.address(self.ipv6) => "yes, as itself",
                Ok(_) => "yes, as another",
            };
            let tcp = as_whom(probe::tcp(lab, &from.namespace, self.scene.outside, there, there));
            let udp = as_whom(probe::udp(lab, &from.namespace, self.scene.outside, there, there));
            let ping = yes_or_no(probe::ping(lab, &from.namespace, there.ip()).is_ok());
            answers.push((format!("from {name} to outside by TCP"), tcp.to_owned()));
            answers.push((format!("from {name} to outside by UDP"), udp.to_owned()));
            answers.push((format!("from {name} to outside by ICMP"), ping));
        }
        answers
    }
}

fn yes_or_no(arrives: bool) -> String {
    if arrives { "yes" } else { "no" }.to_owned()
}
