//! Attributes as text, spelt as iproute2 spells them, made typed. A key that the host does not know is refused, never ignored.

use std::{num::NonZeroU16, str::FromStr};

use jackfield_kernel::plan::{BridgeAttributes, BridgePortAttributes, TapAttributes, VxlanAttributes};
use jackfield_model::{Error, Options, Result, unknown_key};

/// Attributes of one kernel object, all of whose keys are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    what: &'a str,
    options: &'a Options,
}

impl<'a> Attributes<'a> {
    /// Refuses keys that are not known.
    pub fn new(what: &'a str, options: &'a Options, known: &[&str]) -> Result<Self> {
        match options.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(unknown_key(&format!("attribute of a {what}"), &shown(key), known)),
            None => Ok(Self { what, options }),
        }
    }

    /// One attribute's value, where it is given.
    pub fn get<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>> {
        let Some(text) = self.options.get(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| self.refuse(key, text, expected))
    }

    /// One that is on or off.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.options.get(key) else {
            return Ok(None);
        };
        match text.as_str() {
            "1" | "on" | "true" => Ok(Some(true)),
            "0" | "off" | "false" => Ok(Some(false)),
            _ => Err(self.refuse(key, text, "on or off")),
        }
    }

    /// The refusal of a value.
    pub fn refuse(&self, key: &str, text: &str, expected: &str) -> Error {
        Error::invalid(format!(
            "{key} of a {} is \"{}\", expected {expected}",
            self.what,
            shown(text)
        ))
    }
}

/// A guest's text as it may stand in a message: escaped, and not long.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect::<String>().escape_default().to_string()
}

/// Refuses any attribute, for kinds of links that have none beyond their parameters.
pub(crate) fn none(what: &str, options: &Options) -> Result<()> {
    Attributes::new(what, options, &[]).map(|_| ())
}

pub(crate) fn bridge(options: &Options) -> Result<BridgeAttributes> {
    let known = [
        "stp_state",
        "forward_delay",
        "ageing_time",
        "mcast_snooping",
        "vlan_filtering",
        "vlan_default_pvid",
    ];
    let given = Attributes::new("bridge", options, &known)?;
    let hundredths = "hundredths of a second, 0 to 4294967295";
    Ok(BridgeAttributes {
        stp_state: given.flag("stp_state")?,
        forward_delay: given.get("forward_delay", hundredths)?,
        ageing_time: given.get("ageing_time", hundredths)?,
        mcast_snooping: given.flag("mcast_snooping")?,
        vlan_filtering: given.flag("vlan_filtering")?,
        vlan_default_pvid: given
            .get("vlan_default_pvid", "a VLAN, 1 to 4094")?
            .map(check_vlan)
            .transpose()?,
    })
}

/// Without number and parent, which are parameters.
pub(crate) fn vxlan(vni: u32, options: &Options) -> Result<VxlanAttributes> {
    let given = Attributes::new("vxlan", options, &["local", "dstport", "learning", "ttl"])?;
    Ok(VxlanAttributes {
        vni: check_vni(vni)?,
        parent: None,
        local: given.get("local", "an IP address")?,
        port: given.get("dstport", "a port, 1 to 65535")?.map(NonZeroU16::get),
        learning: given.flag("learning")?,
        ttl: given.get("ttl", "0 to 255")?,
    })
}

pub(crate) fn tap(options: &Options) -> Result<TapAttributes> {
    let given = Attributes::new("tap", options, &["user", "group", "multi_queue", "vnet_hdr"])?;
    Ok(TapAttributes {
        user: given.get("user", "a user's number")?,
        group: given.get("group", "a group's number")?,
        multi_queue: given.flag("multi_queue")?.unwrap_or(false),
        vnet_hdr: given.flag("vnet_hdr")?.unwrap_or(false),
    })
}

pub(crate) fn bridge_port(options: &Options) -> Result<BridgePortAttributes> {
    let known = [
        "isolated",
        "hairpin",
        "learning",
        "neigh_suppress",
        "flood",
        "mcast_flood",
    ];
    let given = Attributes::new("bridge port", options, &known)?;
    Ok(BridgePortAttributes {
        isolated: given.flag("isolated")?,
        hairpin: given.flag("hairpin")?,
        learning: given.flag("learning")?,
        neigh_suppress: given.flag("neigh_suppress")?,
        flood: given.flag("flood")?,
        mcast_flood: given.flag("mcast_flood")?,
    })
}

/// A VXLAN's number has 24 bits.
pub(crate) fn check_vni(vni: u32) -> Result<u32> {
    if vni < 1 << 24 {
        Ok(vni)
    } else {
        Err(Error::invalid(format!(
            "{vni} is no VXLAN number: expected 0 to 16777215"
        )))
    }
}

/// A VLAN's number: 0 and 4095 are reserved (IEEE 802.1Q).
pub(crate) fn check_vlan(id: u16) -> Result<u16> {
    if (1..=4094).contains(&id) {
        Ok(id)
    } else {
        Err(Error::invalid(format!("{id} is no VLAN number: expected 1 to 4094")))
    }
}

/// A payload that IPv4 can live with (RFC 791) and the kernel's links take.
pub(crate) fn check_mtu(mtu: u32) -> Result<u32> {
    if (68..=65_535).contains(&mtu) {
        Ok(mtu)
    } else {
        Err(Error::invalid(format!("{mtu} is no MTU: expected 68 to 65535 bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn known_attributes_become_typed() {
        let bridge = bridge(&options(&[
            ("stp_state", "0"),
            ("ageing_time", "0"),
            ("mcast_snooping", "on"),
        ]))
        .unwrap();
        assert_eq!(
            (bridge.stp_state, bridge.ageing_time, bridge.mcast_snooping),
            (Some(false), Some(0), Some(true))
        );
        let vxlan = vxlan(
            42,
            &options(&[
                ("local", "192.0.2.1"),
                ("dstport", "4789"),
                ("learning", "off"),
                ("ttl", "64"),
            ]),
        )
        .unwrap();
        assert_eq!(
            (vxlan.vni, vxlan.port, vxlan.learning, vxlan.ttl),
            (42, Some(4789), Some(false), Some(64))
        );
        assert_eq!(
            tap(&options(&[("user", "1000"), ("multi_queue", "1")])).unwrap().user,
            Some(1000)
        );
        assert_eq!(
            bridge_port(&options(&[("isolated", "on")])).unwrap().isolated,
            Some(true)
        );
    }

    #[test]
    fn unknown_keys_and_values_are_refused_with_what_was_expected() {
        let refused = |result: Result<()>| result.unwrap_err().message;
        assert!(refused(bridge(&options(&[("stp", "1")])).map(drop)).contains("known are stp_state"));
        assert!(
            refused(bridge(&options(&[("stp_state", "yes")])).map(drop)).ends_with("is \"yes\", expected on or off")
        );
        assert!(refused(vxlan(1 << 24, &Options::new()).map(drop)).contains("16777215"));
        assert!(refused(vxlan(1, &options(&[("ttl", "256")])).map(drop)).contains("expected 0 to 255"));
        assert!(refused(tap(&options(&[("user", "root")])).map(drop)).contains("a user's number"));
        assert!(refused(none("veth", &options(&[("peer", "x")]))).contains("none is known here"));
        assert!(refused(tap(&options(&[("user", &"9".repeat(100_000))])).map(drop)).len() < 200);
    }

    #[test]
    fn numbers_have_ranges() {
        for (vlan, good) in [(0, false), (1, true), (4094, true), (4095, false)] {
            assert_eq!(check_vlan(vlan).is_ok(), good, "{vlan}");
        }
        for (mtu, good) in [
            (67, false),
            (68, true),
            (65_535, true),
            (65_536, false),
            (u32::MAX, false),
        ] {
            assert_eq!(check_mtu(mtu).is_ok(), good, "{mtu}");
        }
    }
}
