//! Changing links: up, MTU, MAC, controller, sysctls, bandwidth. What an existing link had before is read when the step is recorded, so
//! that the journal has it before the kernel is touched.

use jackfield_kernel::{
    Ifindex, LinkInfo, Make,
    plan::{LinkKind, LinkSetting, Rate, SysctlKey, SysctlTable},
};
use jackfield_model::{Error, ErrorCode, Family, MacAddr, Result};

use super::{
    Operation, attributes,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, grants::Want};

/// The loopback's index, in every namespace (LOOPBACK_IFINDEX of include/net/flow.h).
const LOOPBACK: u32 = 1;
/// Longest value of a sysctl, in bytes.
const MAX_SYSCTL: usize = 256;

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn set_up(&mut self, link: LinkId, up: bool) -> Result<()> {
        let run = self.call()?;
        // Nothing is changed where a parent is up already, and many drivers make sure of it.
        let entry = run.target(link)?;
        if entry.adopted {
            return run.set_adopted_up(&entry, up);
        }
        if entry.origin == Origin::Parent && run.info(&entry)?.up == up {
            return Ok(());
        }
        let entry = run.own_target(link, "the state")?;
        run.set(&entry, LinkSetting::Up(up))
    }

    pub fn set_mtu(&mut self, link: LinkId, mtu: u32) -> Result<()> {
        let run = self.call()?;
        let mtu = attributes::check_mtu(mtu)?;
        let entry = run.own_target(link, "the MTU")?;
        run.set(&entry, LinkSetting::Mtu(mtu))?;
        run.links.get_mut(link)?.mtu = Some(mtu);
        Ok(())
    }

    pub fn set_mac(&mut self, link: LinkId, mac: MacAddr) -> Result<()> {
        let run = self.call()?;
        let entry = run.own_target(link, "the MAC address")?;
        if entry.origin == Origin::Own {
            // Index and MAC together prove that a link is ours, for as long as it lives.
            return Err(Error::new(
                ErrorCode::InvalidState,
                format!(
                    "the MAC address of link {} can be set only where it is made",
                    entry.name
                ),
            ));
        }
        run.set(&entry, LinkSetting::Mac(mac))?;
        run.links.get_mut(link)?.mac = Some(mac);
        Ok(())
    }

    pub fn set_sysctl(
        &mut self,
        link: LinkId,
        family: Family,
        table: SysctlTable,
        key: &str,
        value: &str,
    ) -> Result<()> {
        let run = self.call()?;
        let key = SysctlKey {
            family,
            table,
            key: check_sysctl(key, value)?,
        };
        run.check_step(&Want::Sysctl { key: &key })?;
        let entry = run.target(link)?;
        let was = run.sysctl_before(&entry, &key)?;
        let earlier = run.plan.makes.iter_mut().find_map(|make| match make {
            Make::Sysctl {
                link, key: k, value, ..
            } if *link == entry.at && *k == key => Some(value),
            _ => None,
        });
        if let Some(earlier) = earlier {
            value.clone_into(earlier);
            return Ok(());
        }
        run.step(
            &Want::Sysctl { key: &key },
            Make::Sysctl {
                link: entry.at,
                key: key.clone(),
                value: value.to_owned(),
                was,
            },
        )
    }

    pub fn set_bandwidth(&mut self, link: LinkId, ingress: Option<Rate>, egress: Option<Rate>) -> Result<()> {
        let run = self.call()?;
        for rate in [ingress, egress].into_iter().flatten() {
            if rate.bytes_per_second == 0 || rate.burst_bytes == 0 {
                return Err(Error::invalid(
                    "a rate of 0 lets nothing through: expected at least 1 byte a second and at once, or no rate for no limit",
                ));
            }
        }
        run.check_step(&Want::Bandwidth)?;
        let entry = run.own_target(link, "the bandwidth")?;
        run.cancel(|make| matches!(make, Make::Bandwidth { link, .. } if *link == entry.at));
        if ingress.is_none() && egress.is_none() && entry.origin == Origin::New {
            return Ok(());
        }
        run.step(
            &Want::Bandwidth,
            Make::Bandwidth {
                link: entry.at,
                ingress,
                egress,
            },
        )
    }
}

impl Running {
    /// Records a setting of an own link. The last word on a setting is the one that counts, and `was` is from before the first.
    pub(super) fn set(&mut self, entry: &Entry, to: LinkSetting) -> Result<()> {
        self.check_step(&Want::Own)?;
        if entry.origin == Origin::New && self.fold(entry, &to) {
            return Ok(());
        }
        let was = if entry.origin == Origin::New {
            None
        } else {
            Some(setting_of(&self.info(entry)?, &to))
        };
        self.cancel(|make| matches!(make, Make::Set { link, to: earlier, .. } if *link == entry.at && same_setting(earlier, &to)));
        if was.as_ref() == Some(&to) {
            return Ok(());
        }
        self.step(
            &Want::Own,
            Make::Set {
                link: entry.at,
                to,
                was,
            },
        )
    }

    /// Recorded also where it is so already: of the networks that share the bridge, the last one is to put back what the first one found.
    fn set_adopted_up(&mut self, entry: &Entry, up: bool) -> Result<()> {
        let was = LinkSetting::Up(self.info(entry)?.up);
        self.step(
            &Want::Own,
            Make::Set {
                link: entry.at,
                to: LinkSetting::Up(up),
                was: Some(was),
            },
        )
    }

    /// MTU and MAC of a new link go into its creation, where they cost no message. But a bridge forgets the MTU that it was made with at its
    /// first port; one that is set afterwards stays (br_change_mtu of net/bridge/br_device.c).
    fn fold(&mut self, entry: &Entry, to: &LinkSetting) -> bool {
        if entry.kind == "bridge" && matches!(to, LinkSetting::Mtu(_)) {
            return false;
        }
        let Some(end) = self.new_end(entry) else { return false };
        match to {
            LinkSetting::Mtu(mtu) => *end.mtu = Some(*mtu),
            LinkSetting::Mac(mac) => *end.mac = *mac,
            _ => return false,
        }
        true
    }

    fn new_end(&mut self, entry: &Entry) -> Option<End<'_>> {
        self.plan.makes.iter_mut().find_map(|make| {
            let Make::Link(new) = make else { return None };
            if new.at == entry.at {
                return Some(End {
                    mac: &mut new.mac,
                    mtu: &mut new.mtu,
                });
            }
            match &mut new.kind {
                LinkKind::Veth { peer } if peer.at == entry.at => Some(End {
                    mac: &mut peer.mac,
                    mtu: &mut peer.mtu,
                }),
                _ => None,
            }
        })
    }

    /// The value to go back to; None for a new link, which goes as a whole.
    ///
    /// # Errors
    /// unsupported when this kernel has no such key. Every namespace has a loopback, so that is where a new link's keys are looked up.
    fn sysctl_before(&self, entry: &Entry, key: &SysctlKey) -> Result<Option<String>> {
        let new = entry.origin == Origin::New;
        if !new {
            self.info(entry)?;
        }
        let index = Ifindex::new(LOOPBACK).filter(|_| new).unwrap_or(entry.at.index);
        let value = self.kernel().sysctl(self.namespace(), index, key)?.ok_or_else(|| {
            Error::new(
                ErrorCode::Unsupported,
                format!("this kernel has no sysctl {} for link {}", key.key, entry.name),
            )
        })?;
        Ok(Some(value).filter(|_| !new))
    }
}

/// What a link's creation says of one of its ends.
struct End<'a> {
    mac: &'a mut MacAddr,
    mtu: &'a mut Option<u32>,
}

fn same_setting(a: &LinkSetting, b: &LinkSetting) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What the link has now of that setting.
fn setting_of(info: &LinkInfo, setting: &LinkSetting) -> LinkSetting {
    match setting {
        LinkSetting::Up(_) => LinkSetting::Up(info.up),
        LinkSetting::Mtu(_) => LinkSetting::Mtu(info.mtu),
        LinkSetting::Mac(new) => LinkSetting::Mac(info.mac.unwrap_or(*new)),
        LinkSetting::Controller(_) => LinkSetting::Controller(info.controller),
        LinkSetting::BridgePort(new) => {
            LinkSetting::BridgePort(super::bridge_port::before(info.bridge_port.unwrap_or_default(), *new))
        }
        LinkSetting::AddressGeneration(_) => LinkSetting::AddressGeneration(info.address_generation),
    }
}

/// A key is the name of a file in the link's own folder, and must not lead out of it.
fn check_sysctl(key: &str, value: &str) -> Result<String> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if key.is_empty() || key.len() > 64 || !key.bytes().all(word) {
        let shown = attributes::shown(key);
        return Err(Error::invalid(format!(
            "\"{shown}\" is no sysctl of a link: expected a word as proxy_arp"
        )));
    }
    if value.is_empty() || value.len() > MAX_SYSCTL || !value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        let shown = attributes::shown(value);
        return Err(Error::invalid(format!(
            "{key} cannot be \"{shown}\": expected 1 to {MAX_SYSCTL} printable characters"
        )));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysctl_key_stays_in_its_folder() {
        for good in ["proxy_arp", "force_forwarding", "arp_ignore"] {
            assert!(check_sysctl(good, "1").is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../all/forwarding",
            "a/b",
            "A",
            "a\0",
            "a.b",
            &"a".repeat(65),
        ] {
            assert!(check_sysctl(bad, "1").is_err(), "{bad:?}");
        }
        for bad in ["", "1\n0", "\0", &"1".repeat(257)] {
            assert!(check_sysctl("proxy_arp", bad).is_err(), "{bad:?}");
        }
    }
}
