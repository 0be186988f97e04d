//! Per-link sysctls of a link that has just been made, as Linux 6.18 has them in a new namespace.
//!
//! Values that are times are rounded to ticks by the kernel, and not here. Keys that follow something else are left out: `mtu` and `addr_gen_mode` follow the link, some of `neigh` are another key in another unit.

use jackfield_model::Family;

use crate::plan::{SysctlKey, SysctlTable};

type Defaults = &'static [(&'static str, &'static str)];

/// The four folders, as a dump names them.
pub(super) const FOLDERS: [(Family, SysctlTable, &str, Defaults); 4] = [
    (Family::Ipv4, SysctlTable::Conf, "ipv4/conf", IPV4_CONF),
    (Family::Ipv4, SysctlTable::Neigh, "ipv4/neigh", IPV4_NEIGH),
    (Family::Ipv6, SysctlTable::Conf, "ipv6/conf", IPV6_CONF),
    (Family::Ipv6, SysctlTable::Neigh, "ipv6/neigh", IPV6_NEIGH),
];

/// What a key is, None for one that the kernel does not have.
pub(super) fn of(key: &SysctlKey) -> Option<&'static str> {
    let (.., defaults) = FOLDERS
        .iter()
        .find(|(family, table, ..)| (*family, *table) == (key.family, key.table))?;
    defaults
        .iter()
        .find(|(name, _)| *name == key.key)
        .map(|(_, value)| *value)
}

/// Where the loopback is unlike other links.
pub(super) fn of_loopback(key: &SysctlKey) -> Option<&'static str> {
    match (key.family, key.table, key.key.as_str()) {
        (Family::Ipv4, SysctlTable::Conf, "disable_policy" | "disable_xfrm") => Some("1"),
        (Family::Ipv6, SysctlTable::Conf, "accept_dad" | "use_tempaddr") => Some("-1"),
        _ => None,
    }
}

const IPV4_CONF: Defaults = &[
    ("accept_local", "0"),
    ("accept_redirects", "1"),
    ("accept_source_route", "1"),
    ("arp_accept", "0"),
    ("arp_announce", "0"),
    ("arp_evict_nocarrier", "1"),
    ("arp_filter", "0"),
    ("arp_ignore", "0"),
    ("arp_notify", "0"),
    ("bc_forwarding", "0"),
    ("bootp_relay", "0"),
    ("disable_policy", "0"),
    ("disable_xfrm", "0"),
    ("drop_gratuitous_arp", "0"),
    ("drop_unicast_in_l2_multicast", "0"),
    ("force_igmp_version", "0"),
    ("forwarding", "0"),
    ("igmpv2_unsolicited_report_interval", "10000"),
    ("igmpv3_unsolicited_report_interval", "1000"),
    ("ignore_routes_with_linkdown", "0"),
    ("log_martians", "0"),
    ("mc_forwarding", "0"),
    ("medium_id", "0"),
    ("promote_secondaries", "0"),
    ("proxy_arp", "0"),
    ("proxy_arp_pvlan", "0"),
    ("route_localnet", "0"),
    ("rp_filter", "0"),
    ("secure_redirects", "1"),
    ("send_redirects", "1"),
    ("shared_media", "1"),
    ("src_valid_mark", "0"),
    ("tag", "0"),
];

const IPV6_CONF: Defaults = &[
    ("accept_dad", "1"),
    ("accept_ra", "1"),
    ("accept_ra_defrtr", "1"),
    ("accept_ra_from_local", "0"),
    ("accept_ra_min_hop_limit", "1"),
    ("accept_ra_min_lft", "0"),
    ("accept_ra_mtu", "1"),
    ("accept_ra_pinfo", "1"),
    ("accept_ra_rt_info_max_plen", "0"),
    ("accept_ra_rt_info_min_plen", "0"),
    ("accept_ra_rtr_pref", "1"),
    ("accept_redirects", "1"),
    ("accept_source_route", "0"),
    ("accept_untracked_na", "0"),
    ("autoconf", "1"),
    ("dad_transmits", "1"),
    ("disable_ipv6", "0"),
    ("disable_policy", "0"),
    ("drop_unicast_in_l2_multicast", "0"),
    ("drop_unsolicited_na", "0"),
    ("enhanced_dad", "1"),
    ("force_forwarding", "0"),
    ("force_mld_version", "0"),
    ("force_tllao", "0"),
    ("forwarding", "0"),
    ("hop_limit", "64"),
    ("ignore_routes_with_linkdown", "0"),
    ("ioam6_enabled", "0"),
    ("ioam6_id", "65535"),
    ("ioam6_id_wide", "4294967295"),
    ("keep_addr_on_down", "0"),
    ("max_addresses", "16"),
    ("max_desync_factor", "600"),
    ("mc_forwarding", "0"),
    ("mldv1_unsolicited_report_interval", "10000"),
    ("mldv2_unsolicited_report_interval", "1000"),
    ("ndisc_evict_nocarrier", "1"),
    ("ndisc_notify", "0"),
    ("ndisc_tclass", "0"),
    ("optimistic_dad", "0"),
    ("proxy_ndp", "0"),
    ("ra_defrtr_metric", "1024"),
    ("ra_honor_pio_life", "0"),
    ("ra_honor_pio_pflag", "0"),
    ("regen_max_retry", "3"),
    ("regen_min_advance", "2"),
    ("router_probe_interval", "60"),
    ("router_solicitation_delay", "1"),
    ("router_solicitation_interval", "4"),
    ("router_solicitation_max_interval", "3600"),
    ("router_solicitations", "-1"),
    ("rpl_seg_enabled", "0"),
    ("seg6_enabled", "0"),
    ("seg6_require_hmac", "0"),
    ("suppress_frag_ndisc", "1"),
    ("temp_prefered_lft", "86400"),
    ("temp_valid_lft", "604800"),
    ("use_oif_addrs_only", "0"),
    ("use_optimistic", "0"),
    ("use_tempaddr", "0"),
];

const IPV4_NEIGH: Defaults = &[
    ("anycast_delay", "100"),
    ("app_solicit", "0"),
    ("base_reachable_time_ms", "30000"),
    ("delay_first_probe_time", "5"),
    ("gc_stale_time", "60"),
    ("interval_probe_time_ms", "5000"),
    ("locktime", "100"),
    ("mcast_resolicit", "0"),
    ("mcast_solicit", "3"),
    ("proxy_delay", "80"),
    ("proxy_qlen", "64"),
    ("retrans_time_ms", "1000"),
    ("ucast_solicit", "3"),
    ("unres_qlen_bytes", "212992"),
];

const IPV6_NEIGH: Defaults = &[
    ("anycast_delay", "100"),
    ("app_solicit", "0"),
    ("base_reachable_time_ms", "30000"),
    ("delay_first_probe_time", "5"),
    ("gc_stale_time", "60"),
    ("interval_probe_time_ms", "5000"),
    ("locktime", "0"),
    ("mcast_resolicit", "0"),
    ("mcast_solicit", "3"),
    ("proxy_delay", "80"),
    ("proxy_qlen", "64"),
    ("retrans_time_ms", "1000"),
    ("ucast_solicit", "3"),
    ("unres_qlen_bytes", "212992"),
];
