//! Endpoints by themselves: creating one asks the driver and fixes addresses and MAC; nothing is in the kernel before it joins.

use std::{net::IpAddr, sync::Arc};

use jackfield_driver::{Driver, LoadedDriver, Phase};
use jackfield_model::{EndpointId, EndpointReply, EndpointSpec, Error, Family, MacAddr, Options, Result};

use super::{
    Inner,
    drive::{About, guarded},
    outbox::Merged,
    place::Place,
};
use crate::{
    ipam::Manager,
    letter::{Call, Letter},
    request::{CreateEndpoint, Done, EndpointInfo},
    state::{Begin, Endpoint, EndpointRecord, Network},
    store::{Layer, notes},
};

/// Fills in what the specification left open: by the driver's word, or else for the MAC by that choice.
fn fill(spec: &mut EndpointSpec, reply: EndpointReply, mac: impl FnOnce(&EndpointSpec) -> MacAddr) -> Result<()> {
    if let Some(filled) = reply.mac {
        match spec.mac {
            Some(given) if given != filled => {
                return Err(overruled(&format!("MAC address {given}"), &filled.to_string()));
            }
            _ => spec.mac = Some(filled),
        }
    }
    for address in reply.addresses {
        let family = Family::of(address.ip());
        let given = spec.addresses.iter().find(|a| Family::of(a.ip()) == family);
        match given {
            Some(given) if *given != address => {
                return Err(overruled(&format!("address {given}"), &address.to_string()));
            }
            Some(_) => {}
            None => spec.addresses.push(address),
        }
    }
    if spec.mac.is_none() {
        spec.mac = Some(mac(spec));
    }
    Ok(())
}

/// A runtime gives addresses away again at once, since it knows no rest for them: what neighbours remember has to stay true.
fn choose_mac(spec: &EndpointSpec, manager: Manager) -> MacAddr {
    let by_address = spec.addresses.iter().find_map(|address| match address.ip() {
        IpAddr::V4(address) if manager == Manager::Runtime => Some(MacAddr::of_ipv4(address)),
        _ => None,
    });
    by_address.unwrap_or_else(MacAddr::random)
}

fn overruled(given: &str, instead: &str) -> Error {
    Error::internal(format!(
        "the driver answered {instead} although the endpoint has {given}: it may only fill in what is left open"
    ))
}

impl Inner {
    pub(super) fn create_endpoint(
        self: &Arc<Self>,
        place: &Place,
        network: &str,
        request: &CreateEndpoint,
    ) -> Result<Done<EndpointInfo>> {
        request.check()?;
        let id = match place.decide(|s| s.begin_endpoint(network, request))? {
            Begin::AlreadySo(id) => return place.endpoint_info(id.as_str()).map(Done::AlreadySo),
            Begin::Go(id) => id,
        };
        let unwind = place.unwind(|s| s.remove_endpoint(&id));
        let reserved = self.reserve(place, &id)?;
        self.make_endpoint(place, &id)
            .map_err(|e| e.object(format!("endpoint {}", id.short())))?;
        unwind.disarm();
        reserved.disarm();
        place.change(|s| {
            s.finish_endpoint(&id);
            self.say_endpoint(s.endpoints.get(&id), "create");
        });
        self.events.flush();
        place.endpoint_info(id.as_str()).map(Done::Done)
    }

    fn make_endpoint(self: &Arc<Self>, place: &Place, id: &EndpointId) -> Result<()> {
        let endpoint = place.endpoint(id)?;
        let network = place.network(&endpoint.record.spec.network)?;
        let driver = self.driver(&network.record.driver)?;
        let attempt = || {
            let (mut merged, mut record) = (Merged::default(), endpoint.record.clone());
            self.call_create_endpoint(
                place,
                &*driver,
                &mut *driver.instance()?,
                &network,
                &mut record,
                &mut merged,
            )?;
            Ok((record, merged.into_outcome()))
        };
        let (record, _, reservation) = self.reserving(&network.record.driver, Layer::BootLong, attempt)?;
        let mut all = vec![notes::endpoint(place.id(), &record)];
        all.extend(reservation.notes());
        if let Err(error) = self.append_notes(all) {
            let driver = &network.record.driver;
            self.tell_or_post(
                place,
                vec![Letter::new(
                    place.id(),
                    driver,
                    Call::DeleteEndpoint,
                    &network.record.spec.id,
                    Some(id),
                )],
            );
            return Err(error);
        }
        reservation.publish();
        place.change(|s| s.fill_endpoint(id, |r| *r = record));
        Ok(())
    }

    /// The driver's create-endpoint. What it fills in and records goes into the record, its keys into `merged`.
    pub(super) fn call_create_endpoint(
        &self,
        place: &Place,
        driver: &dyn LoadedDriver,
        instance: &mut dyn Driver,
        network: &Network,
        record: &mut EndpointRecord,
        merged: &mut Merged,
    ) -> Result<()> {
        let about = About {
            network: Some(network.record.spec.clone()),
            endpoint: Some(record.spec.clone()),
            links: network.record.standing.iter().flat_map(|s| s.links.clone()).collect(),
            ..About::default()
        };
        let mut operation = self.operation(place, driver, Phase::CreateEndpoint, about);
        let identity = driver.identity();
        let reply = guarded(identity, Phase::CreateEndpoint, || {
            instance.create_endpoint(&mut operation, &network.record.spec, &record.spec)
        })?;
        let mut outcome = operation.finish();
        let mut spec = record.spec.as_ref().clone();
        let mac = |spec: &EndpointSpec| choose_mac(spec, network.record.manager);
        fill(&mut spec, reply, mac)
            .map_err(|e| e.step(Phase::CreateEndpoint.to_string()).driver(identity.to_string()))?;
        merged.add(&mut outcome);
        record.spec = Arc::new(spec);
        record.driver = Some(identity.clone());
        record.deferred = Arc::new(outcome.plan);
        record.links = outcome.links;
        Ok(())
    }

    pub(super) fn delete_endpoint(self: &Arc<Self>, place: &Place, reference: &str) -> Result<Done<()>> {
        let placement = place.decide(|s| s.begin_delete_endpoint(reference))?;
        let unwind = place.unwind(|s| s.finish_endpoint(&placement.endpoint));
        self.take_out(place, &placement, true)?;
        unwind.disarm();
        self.events.flush();
        Ok(Done::Done(()))
    }

    pub(super) fn say_endpoint(&self, endpoint: Option<&Endpoint>, action: &str) {
        let Some(endpoint) = endpoint else { return };
        let mut attributes = Options::from([("network".to_owned(), endpoint.record.spec.network.to_string())]);
        if let Some(sandbox) = &endpoint.sandbox {
            attributes.insert("sandbox".into(), sandbox.to_string());
        }
        let ports: Vec<String> = endpoint.ports().map(ToString::to_string).collect();
        if !ports.is_empty() {
            attributes.insert("ports".into(), ports.join(", "));
        }
        let name = endpoint.record.asked.name.as_ref().map(|n| n.as_str());
        self.events
            .say("endpoint", action, endpoint.record.spec.id.as_str(), name, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::NetworkId;

    #[test]
    fn a_driver_fills_in_what_is_open_and_nothing_else() {
        let (mac, other) = (MacAddr::random(), MacAddr::random());
        let open = EndpointSpec {
            network: NetworkId::random(),
            id: EndpointId::random(),
            mac: None,
            addresses: vec!["10.0.0.2/24".parse().unwrap()],
            options: Options::new(),
        };
        let reply = |mac, addresses: &[&str]| EndpointReply {
            mac,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        };
        let chance = |_: &EndpointSpec| MacAddr::random();
        let mut spec = open.clone();
        fill(&mut spec, reply(Some(mac), &["fd00::2/64"]), chance).unwrap();
        assert_eq!((spec.mac, spec.addresses.len()), (Some(mac), 2));
        assert!(fill(&mut spec, reply(Some(other), &[]), chance).is_err());
        assert!(fill(&mut open.clone(), reply(None, &["10.0.0.3/24"]), chance).is_err());
        let mut spec = open;
        let by_runtime = |spec: &EndpointSpec| choose_mac(spec, Manager::Runtime);
        fill(&mut spec, EndpointReply::default(), by_runtime).unwrap();
        assert_eq!(
            spec.mac.unwrap().to_string(),
            "02:42:0a:00:00:02",
            "the host chooses one"
        );
    }
}
