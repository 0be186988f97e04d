//! Per-link sysctls: what each key is without being written, and what writing some of them does.

use std::collections::BTreeMap;

use jackfield_model::Family;
use nix::errno::Errno;

use super::{Answer, defaults, link::Link, space::Space};
use crate::{
    Ifindex,
    compile::{DEAF, accept_ra},
    plan::{SysctlKey, SysctlTable},
};

impl Space {
    /// None where the link, or its family's folder, or the key is not there.
    pub(super) fn sysctl(&self, link: Ifindex, key: &SysctlKey) -> Option<String> {
        let written = self.sysctls.get(&(link, key.clone())).cloned();
        self.has_folder(link, key.family)
            .then(|| written.or_else(|| self.default_of(link, key)))?
    }

    pub(super) fn write_sysctl(&mut self, link: Ifindex, key: &SysctlKey, value: &str) -> Answer {
        self.link(link)?;
        if self.sysctl(link, key).is_none() {
            return Err(Errno::ENOENT);
        }
        let number: i32 = value.trim().parse().map_err(|_| Errno::EINVAL)?;
        self.sysctls.insert((link, key.clone()), number.to_string());
        if number != 0 && *key == conf(Family::Ipv6, "disable_ipv6") {
            self.forget_ipv6(link);
        }
        Ok(())
    }

    fn has_folder(&self, link: Ifindex, family: Family) -> bool {
        self.speaks(link, family)
    }

    /// This one follows a setting of the link; the others are constants.
    fn default_of(&self, link: Ifindex, key: &SysctlKey) -> Option<String> {
        if *key == conf(Family::Ipv6, "addr_gen_mode") {
            return self
                .links
                .get(&link)
                .map(|l| u8::from(!l.address_generation).to_string());
        }
        let loopback = self.links.get(&link).is_some_and(Link::is_loopback);
        let special = match loopback {
            true => defaults::of_loopback(key),
            false => Some(DEAF).filter(|_| self.deaf && *key == accept_ra()),
        };
        special.or_else(|| defaults::of(key)).map(str::to_owned)
    }

    /// All of them, as a dump names them.
    pub(super) fn sysctl_values(&self) -> BTreeMap<String, String> {
        self.links.keys().flat_map(|link| self.sysctls_of(*link)).collect()
    }

    fn sysctls_of(&self, link: Ifindex) -> Vec<(String, String)> {
        let Some(name) = self.links.get(&link).map(|l| l.name.as_str()) else {
            return Vec::new();
        };
        let keys = defaults::FOLDERS.iter().flat_map(|(family, table, folder, keys)| {
            keys.iter().map(move |(key, _)| {
                (
                    SysctlKey {
                        family: *family,
                        table: *table,
                        key: (*key).to_owned(),
                    },
                    *folder,
                )
            })
        });
        let value =
            |(key, folder): (SysctlKey, &str)| Some((format!("{folder}/{name}/{}", key.key), self.sysctl(link, &key)?));
        keys.filter_map(value).collect()
    }

    fn is_set(&self, link: Ifindex, key: &SysctlKey) -> bool {
        self.sysctl(link, key).is_some_and(|value| value != "0")
    }
}

fn conf(family: Family, key: &str) -> SysctlKey {
    SysctlKey {
        family,
        table: SysctlTable::Conf,
        key: key.to_owned(),
    }
}

pub(super) fn promotes_secondaries(space: &Space, link: Ifindex) -> bool {
    space.is_set(link, &conf(Family::Ipv4, "promote_secondaries"))
}

pub(super) fn ipv6_disabled(space: &Space, link: Ifindex) -> bool {
    space.is_set(link, &conf(Family::Ipv6, "disable_ipv6"))
}
