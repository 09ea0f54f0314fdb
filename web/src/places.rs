//! Where a client's address is thought to be, and how far from there the zones are.
//!
//! From a MaxMind DB (GeoIP2, GeoLite2, or anything else with `location.latitude` and
//! `location.longitude`) that the operator brings. Without one, or for an address it does not know, the
//! zones stay as they are listed.

use crate::config::Place;
use ::daemon::credential::CredentialError;
use maxminddb::{Reader, geoip2};
use std::net::IpAddr;
use std::path::Path;

/// The mean radius of the Earth (IUGG).
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// What knows where addresses are.
#[derive(Default)]
pub struct Places(Option<Reader<Vec<u8>>>);

impl Places {
    /// Reads the database, if there is one.
    ///
    /// # Errors
    /// When it can't be read or is none.
    pub fn load(file: Option<&Path>) -> Result<Self, CredentialError> {
        let Some(file) = file else { return Ok(Self(None)) };
        let reader = Reader::open_readfile(file).map_err(|cause| CredentialError {
            key: "geo.database",
            reason: format!("{} can't be used: {cause}", file.display()),
            remedy: "Name a MaxMind DB file with locations, such as GeoLite2-City.mmdb.".into(),
        })?;
        Ok(Self(Some(reader)))
    }

    /// Where an address is thought to be.
    pub fn of(&self, address: IpAddr) -> Option<Place> {
        let found = self.0.as_ref()?.lookup(address.to_canonical()).ok()?;
        let city = found.decode::<geoip2::City<'_>>().ok()??;
        Place::new(city.location.latitude?, city.location.longitude?)
    }
}

/// The great circle between two places, by the haversine formula.
pub fn distance_km(one: Place, other: Place) -> f64 {
    let half_sine = |angle: f64| (angle.to_radians() / 2.0).sin().powi(2);
    let [north, far_north] = [one.latitude(), other.latitude()].map(|it| it.to_radians().cos());
    let haversine = half_sine(other.latitude() - one.latitude())
        + north * far_north * half_sine(other.longitude() - one.longitude());
    2.0 * EARTH_RADIUS_KM * haversine.sqrt().min(1.0).asin()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_globe() {
        let place = |latitude, longitude| Place::new(latitude, longitude).unwrap();
        let (frankfurt, sydney) = (place(50.11, 8.68), place(-33.87, 151.21));
        for (one, other, km) in [
            (frankfurt, frankfurt, 0.0),
            (frankfurt, place(40.71, -74.01), 6_200.0),
            (frankfurt, sydney, 16_490.0),
            (place(0.0, 179.5), place(0.0, -179.5), 111.2),
            (place(90.0, 0.0), place(-90.0, 77.0), 20_015.0),
        ] {
            let found = distance_km(one, other);
            assert!((found - km).abs() <= km * 0.005, "{one:?} to {other:?}: {found}");
        }
    }
}
