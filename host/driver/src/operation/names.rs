//! Names of links that did not ask for one: `jf`, a letter for the kind, and the index in base 36. Indexes are unique, so the names are.

use jackfield_kernel::{Ifindex, plan::LinkKind};
use jackfield_model::{Error, LinkName, Result};

/// The second end of a veth pair.
pub(crate) const PEER: char = 'p';

/// The letter of a kind.
pub(crate) fn letter(kind: &LinkKind) -> char {
    match kind {
        LinkKind::Bridge(_) => 'b',
        LinkKind::Veth { .. } => 'v',
        LinkKind::Macvlan { .. } => 'm',
        LinkKind::Ipvlan { .. } => 'i',
        LinkKind::Vlan { .. } => 'l',
        LinkKind::Vxlan(_) => 'x',
        LinkKind::Dummy => 'd',
        LinkKind::Tap(_) => 't',
    }
}

/// The name of a link: at most 9 bytes, since an index has at most 6 digits in base 36.
pub(crate) fn derived(letter: char, index: Ifindex) -> Result<LinkName> {
    let mut digits = Vec::new();
    let mut rest = index.get();
    while rest > 0 {
        digits.extend(char::from_digit(rest % 36, 36));
        rest /= 36;
    }
    let name: String = ['j', 'f', letter].into_iter().chain(digits.into_iter().rev()).collect();
    name.parse()
        .map_err(|e| Error::internal(format!("no name for link {index}")).caused_by(e))
}

/// The same name for another index; None when it was not derived from the old one, but asked for.
pub(crate) fn renewed(name: &LinkName, old: Ifindex, new: Ifindex) -> Option<LinkName> {
    let letter = name.as_str().strip_prefix("jf")?.chars().next()?;
    (derived(letter, old).ok()? == *name)
        .then(|| derived(letter, new).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(number: u32) -> Ifindex {
        Ifindex::new(number).unwrap()
    }

    #[test]
    fn names_are_short_and_as_unique_as_indexes() {
        assert_eq!(derived('v', index(0x4000_0000)).unwrap().as_str(), "jfvhra0hs");
        assert_eq!(derived('v', index(35)).unwrap().as_str(), "jfvz");
        assert_eq!(derived('p', index(i32::MAX as u32)).unwrap().as_str(), "jfpzik0zj");
    }

    #[test]
    fn only_a_derived_name_follows_its_index() {
        let (old, new) = (index(0x4000_0000), index(0x4000_0001));
        let name = derived('v', old).unwrap();
        assert_eq!(renewed(&name, old, new), Some(derived('v', new).unwrap()));
        assert_eq!(renewed(&name, new, old), None);
        assert_eq!(renewed(&"br-lan".parse().unwrap(), old, new), None);
    }
}
