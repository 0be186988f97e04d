//! The firewall's requests reach the kernel by the same door as all others, and the simulated kernel answers them alike.

use jackfield_model::{PortMapping, Transport};
use nix::errno::Errno;

use super::Bench;
use crate::{
    FirewallChange::{self, Add, DropTable, EnsureTable, Remove},
    Kernel, Namespace, Request, Simulated,
    plan::FirewallRule,
};

fn masquerade(subnet: &str) -> FirewallRule {
    FirewallRule::Masquerade {
        subnet: subnet.parse().unwrap(),
        link: "br0".parse().unwrap(),
    }
}

fn publish(host_port: u16, count: u16) -> FirewallRule {
    let mapping = PortMapping {
        transport: Transport::Tcp,
        container_port: 80,
        host_address: "0.0.0.0".parse().unwrap(),
        host_port,
        count,
    };
    FirewallRule::Publish {
        mapping,
        target: "10.1.0.2".parse().unwrap(),
    }
}

/// What each transaction was answered, and what the firewall was after it.
fn story(kernel: &dyn Kernel, realm: &Namespace, told: &[Vec<FirewallChange>]) -> Vec<(Option<Errno>, Vec<String>)> {
    let tell = |changes: &Vec<FirewallChange>| {
        let mut answers = kernel.send(realm, &[Request::Firewall(changes.clone())]).unwrap();
        let errno = answers.pop().unwrap().err().and_then(|error| error.errno());
        (errno, kernel.dump(realm).unwrap().firewall)
    };
    told.iter().map(tell).collect()
}

#[test]
fn both_kernels_tell_the_same_story_of_the_firewall() {
    let Some(bench) = Bench::new() else { return };
    let told = [
        vec![Add(publish(8080, 1))],
        vec![EnsureTable],
        vec![EnsureTable, Add(masquerade("10.1.0.0/24")), Add(publish(8080, 1))],
        vec![Add(masquerade("10.0.0.0/8"))],
        vec![Add(masquerade("fd00::/64")), Add(publish(8080, 2))],
        vec![Add(publish(8000, 0))],
        vec![Remove(publish(8080, 1)), Add(publish(8080, 2))],
        vec![Remove(masquerade("fd00::/64"))],
        vec![DropTable],
        vec![DropTable],
    ];
    let simulated = Simulated::new();
    let realm = simulated.create_namespace().unwrap();
    let expected = story(&simulated, &realm, &told);
    assert_eq!(story(&bench.kernel, &bench.realm, &told), expected);
    let errors: Vec<_> = expected.into_iter().map(|(errno, _)| errno).collect();
    let (no, there, wrong) = (Some(Errno::ENOENT), Some(Errno::EEXIST), Some(Errno::EINVAL));
    assert_eq!(errors, [no, None, None, there, there, wrong, None, no, None, None]);
}
