//! What a test asks for.

use jackfield_model::{IpNetwork, MacAddr, Pool};

/// A network as a test describes it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub(crate) pools: Vec<Pool>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) internal: bool,
}

impl Network {
    /// One without pools and options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it a pool, as `pool("10.1.0.0/24", "10.1.0.1")`.
    ///
    /// # Panics
    /// When the texts are no subnet and address.
    #[must_use]
    #[track_caller]
    pub fn pool(mut self, subnet: &str, gateway: &str) -> Self {
        let gateway = Some(read(gateway, "an address"));
        self.pools.push(Pool {
            subnet: read(subnet, "a subnet"),
            gateway,
            auxiliary: Vec::new(),
        });
        self
    }

    /// Gives it a pool without a gateway.
    ///
    /// # Panics
    /// When the text is no subnet.
    #[must_use]
    #[track_caller]
    pub fn pool_without_gateway(mut self, subnet: &str) -> Self {
        self.pools.push(Pool {
            subnet: read(subnet, "a subnet"),
            gateway: None,
            auxiliary: Vec::new(),
        });
        self
    }

    /// Gives it a driver option.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    /// No way in or out.
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }
}

/// An endpoint as a test describes it, with the sandbox that it joins.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    pub(crate) addresses: Vec<IpNetwork>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) foreign: bool,
}

impl Endpoint {
    /// One without addresses and options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it an address with its subnet's prefix.
    ///
    /// # Panics
    /// When the text is none.
    #[must_use]
    #[track_caller]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(read(address, "an address with its prefix"));
        self
    }

    /// Gives it a MAC; else the host chooses.
    ///
    /// # Panics
    /// When the text is none.
    #[must_use]
    #[track_caller]
    pub fn mac(mut self, mac: &str) -> Self {
        self.mac = Some(read(mac, "a MAC address"));
        self
    }

    /// Gives it a driver option.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Its sandbox is one that the runtime configures itself: the interface stays in the realm.
    #[must_use]
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }
}

#[track_caller]
fn read<T: std::str::FromStr>(text: &str, what: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("\"{text}\" is not {what}"))
}
