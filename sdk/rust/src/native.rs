//! The same functions on a machine instead of in a component: they go to whatever backend the running test installed on its thread.

use std::{cell::RefCell, net::IpAddr};

use crate::{
    Cidr, Error, ErrorCode, Family, ForwardingEntry, IpvlanMode, LinkState, Mac, MacvlanMode, PortMapping, Rate,
    Result, Route, RouteLookup, Statistics, SysctlTable, firewall::Border, log::Level,
};

thread_local! {
    static BACKEND: RefCell<Option<Box<dyn Backend>>> = const { RefCell::new(None) };
}

/// A link's handle: a number that the backend chose.
#[derive(Debug)]
pub struct Handle {
    id: u32,
}

impl Handle {
    /// For backends.
    pub fn new(id: u32) -> Self {
        Self { id }
    }

    /// The number.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A handle may outlive its backend, or go while the backend is at work: then nobody counts it any more.
        let _ = BACKEND.try_with(|backend| {
            if let Ok(mut backend) = backend.try_borrow_mut()
                && let Some(backend) = backend.as_mut()
            {
                backend.forget(self.id);
            }
        });
    }
}

/// Runs `work` with that backend on this thread, and gives it back. Whatever was installed before is there again afterwards, also after a panic.
pub fn with_backend<T>(backend: Box<dyn Backend>, work: impl FnOnce() -> T) -> (T, Option<Box<dyn Backend>>) {
    struct Restore(Option<Box<dyn Backend>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            BACKEND.with(|slot| *slot.borrow_mut() = self.0.take());
        }
    }
    let _restore = Restore(BACKEND.with(|slot| slot.borrow_mut().replace(backend)));
    let value = work();
    (value, BACKEND.with(|slot| slot.borrow_mut().take()))
}

fn call<T>(ask: impl FnOnce(&mut dyn Backend) -> T) -> Option<T> {
    BACKEND.with(|slot| slot.borrow_mut().as_mut().map(|backend| ask(backend.as_mut())))
}

fn no_host() -> Error {
    Error::new(
        ErrorCode::InvalidState,
        "there is no host on this thread: run the driver in a TestHost of jackfield-testkit",
    )
}

/// Functions that may fail, and those that cannot: each of them one of the backend's, and one that the SDK calls.
macro_rules! backend {
    (
        fallible { $( $(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $value:ty; )* }
        infallible { $( $(#[$idoc:meta])* fn $iname:ident($($iarg:ident: $itype:ty),*) -> $ivalue:ty = $default:expr; )* }
    ) => {
        /// What stands behind the SDK's functions, one method for each of the WIT package's.
        pub trait Backend {
            $( $(#[$doc])* fn $name(&mut self, $($arg: $type),*) -> Result<$value>; )*
            $( $(#[$idoc])* fn $iname(&mut self, $($iarg: $itype),*) -> $ivalue; )*
            /// A handle was dropped.
            fn forget(&mut self, link: u32);
            /// The backend as it was installed.
            fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
        }
        $( pub(crate) fn $name($($arg: $type),*) -> Result<$value> {
            call(|backend| backend.$name($($arg),*)).unwrap_or_else(|| Err(no_host()))
        } )*
        $( pub(crate) fn $iname($($iarg: $itype),*) -> $ivalue {
            call(|backend| backend.$iname($($iarg),*)).unwrap_or_else(|| $default)
        } )*
    };
}

backend! {
    fallible {
        /// See [`crate::Link::create_bridge`].
        fn create_bridge(label: &str, name: Option<&str>, attributes: &[(&str, &str)]) -> Handle;
        /// See [`crate::Link::create_veth`].
        fn create_veth(label: &str) -> (Handle, Handle);
        /// See [`crate::Link::create_macvlan`].
        fn create_macvlan(label: &str, parent: &Handle, mode: MacvlanMode) -> Handle;
        /// See [`crate::Link::create_ipvlan`].
        fn create_ipvlan(label: &str, parent: &Handle, mode: IpvlanMode) -> Handle;
        /// See [`crate::Link::create_vlan`].
        fn create_vlan(label: &str, parent: &Handle, id: u16) -> Handle;
        /// See [`crate::Link::create_vxlan`].
        fn create_vxlan(label: &str, vni: u32, parent: Option<&Handle>, attributes: &[(&str, &str)]) -> Handle;
        /// See [`crate::Link::create_dummy`].
        fn create_dummy(label: &str) -> Handle;
        /// See [`crate::Link::create_tap`].
        fn create_tap(label: &str, attributes: &[(&str, &str)]) -> Handle;
        /// See [`crate::Link::find`].
        fn find_link(name: &str) -> Handle;
        /// See [`crate::Link::find_own`].
        fn find_own(label: &str) -> Handle;
        /// See [`crate::Link::list`].
        fn list_links() -> Vec<Handle>;
        /// See [`crate::Link::statistics`].
        fn link_statistics(link: &Handle) -> Statistics;
        /// See [`crate::Link::set_up`].
        fn set_up(link: &Handle, up: bool) -> ();
        /// See [`crate::Link::set_mtu`].
        fn set_mtu(link: &Handle, mtu: u32) -> ();
        /// See [`crate::Link::set_mac`].
        fn set_mac(link: &Handle, mac: Mac) -> ();
        /// See [`crate::Link::set_controller`].
        fn set_controller(link: &Handle, controller: Option<&Handle>) -> ();
        /// See [`crate::Link::set_bridge_port`].
        fn set_bridge_port(link: &Handle, attributes: &[(&str, &str)]) -> ();
        /// See [`crate::Link::add_address`].
        fn add_address(link: &Handle, address: Cidr) -> ();
        /// See [`crate::Link::remove_address`].
        fn remove_address(link: &Handle, address: Cidr) -> ();
        /// See [`crate::Link::add_neighbour`].
        fn add_neighbour(link: &Handle, address: IpAddr, mac: Mac) -> ();
        /// See [`crate::Link::remove_neighbour`].
        fn remove_neighbour(link: &Handle, address: IpAddr) -> ();
        /// See [`crate::Link::add_proxy_neighbour`].
        fn add_proxy_neighbour(link: &Handle, address: IpAddr) -> ();
        /// See [`crate::Link::remove_proxy_neighbour`].
        fn remove_proxy_neighbour(link: &Handle, address: IpAddr) -> ();
        /// See [`crate::Link::add_forwarding_entry`].
        fn add_forwarding_entry(link: &Handle, entry: ForwardingEntry) -> ();
        /// See [`crate::Link::remove_forwarding_entry`].
        fn remove_forwarding_entry(link: &Handle, entry: ForwardingEntry) -> ();
        /// See [`crate::Link::set_sysctl`].
        fn set_sysctl(link: &Handle, family: Family, table: SysctlTable, key: &str, value: &str) -> ();
        /// See [`crate::Link::set_bandwidth`].
        fn set_bandwidth(link: &Handle, ingress: Option<Rate>, egress: Option<Rate>) -> ();
        /// See [`crate::Link::delete`].
        fn delete_link(link: &Handle) -> ();
        /// See [`Route::add`].
        fn add_route(route: &Route, link: Option<&Handle>) -> ();
        /// See [`Route::remove`].
        fn remove_route(route: &Route, link: Option<&Handle>) -> ();
        /// See [`crate::add_rule`].
        fn add_rule(family: Family, rule: &[(&str, &str)]) -> ();
        /// See [`crate::remove_rule`].
        fn remove_rule(family: Family, rule: &[(&str, &str)]) -> ();
        /// See [`crate::lookup_route`].
        fn lookup_route(destination: IpAddr) -> RouteLookup;
        /// See [`crate::firewall::masquerade`].
        fn masquerade(subnet: Cidr, link: &Handle) -> ();
        /// See [`crate::firewall::masquerade_as`].
        fn masquerade_as(subnet: Cidr, link: &Handle, source: IpAddr) -> ();
        /// See [`crate::firewall::publish`].
        fn publish(mapping: &PortMapping) -> u16;
        /// See [`crate::firewall::make_internal`].
        fn make_internal(link: &Handle) -> ();
        /// See [`crate::firewall::isolate_ports`].
        fn isolate_ports(link: &Handle) -> ();
        /// See [`crate::firewall::guard`].
        fn guard(link: &Handle, border: &Border) -> ();
        /// See [`crate::state::get`].
        fn state_get(key: &str) -> Option<Vec<u8>>;
        /// See [`crate::state::set`].
        fn state_set(key: &str, value: &[u8]) -> ();
        /// See [`crate::state::delete`].
        fn state_delete(key: &str) -> ();
        /// See [`crate::state::list`].
        fn state_list(prefix: &str, after: Option<&str>, limit: u32) -> Vec<String>;
    }
    infallible {
        /// See [`crate::Link::name`].
        fn link_name(link: &Handle) -> String = String::new();
        /// See [`crate::Link::kind`].
        fn link_kind(link: &Handle) -> String = String::new();
        /// See [`crate::Link::label`].
        fn link_label(link: &Handle) -> String = String::new();
        /// See [`crate::Link::mtu`].
        fn link_mtu(link: &Handle) -> u32 = 0;
        /// See [`crate::Link::addresses`].
        fn link_addresses(link: &Handle) -> Vec<Cidr> = Vec::new();
        /// See [`crate::Link::state`].
        fn link_state(link: &Handle) -> LinkState = LinkState::Down;
        /// See [`crate::Link::mac`].
        fn link_mac(link: &Handle) -> Option<Mac> = None;
        /// See [`crate::supports`].
        fn supports(kind: &str) -> bool = false;
        /// See [`crate::log`].
        fn log(level: Level, message: &str) -> () = ();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_host_calls_are_refused_and_tell_what_to_do() {
        let error = crate::Link::create_dummy("x").unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidState);
        assert!(error.message.contains("TestHost"));
    }
}
