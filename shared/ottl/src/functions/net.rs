//! Addresses and flows.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use spanlake_otlp::tree::Value;

use super::url;
use crate::error::DataError;
use crate::expression::Expression;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter(
        "CommunityID",
        &[
            Param::new("source_ip", Kind::Str),
            Param::new("source_port", Kind::IntVal),
            Param::new("destination_ip", Kind::Str),
            Param::new("destination_port", Kind::IntVal),
            Param::optional("protocol", Kind::Str),
            Param::optional("seed", Kind::IntVal),
        ],
        community_id,
    ),
    Function::converter("IsInCIDR", &[Param::new("target", Kind::Str), Param::new("networks", Kind::Values)], is_in_cidr)
        .checked(check_networks),
    Function::converter("URL", &[Param::new("url", Kind::Str)], parse_url),
];

/// The version 1 of the Community ID of a flow: the same from both ends.
fn community_id<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let address = |at: usize| {
        let address = args.string(at)?.parse::<IpAddr>();
        address.map(|address| address.to_canonical()).map_err(|_| DataError("not an address"))
    };
    let number = |at: usize, least: u16| {
        let number = args.int(at).and_then(|number| u16::try_from(number).ok()).filter(|number| *number >= least);
        number.ok_or(DataError("not a number of 16 bits"))
    };
    let protocol = match args.text(4) {
        None | Some("TCP") => 6,
        Some("ICMP") => 1,
        Some("UDP") => 17,
        Some("RSVP") => 46,
        Some("ICMP6") => 58,
        Some("SCTP") => 132,
        Some(_) => return Err(DataError("no such protocol")),
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let source = (octets(address(0)?), number(1, 1)?);
    let destination = (octets(address(2)?), number(3, 1)?);
    let seed = if args.is_missing(5) { 0 } else { number(5, 0)? };
    let key = |(octets, port): &(Vec<u8>, u16)| (octets.len(), octets.clone(), *port);
    let (first, second) = if key(&source) > key(&destination) { (destination, source) } else { (source, destination) };
    let mut flow = seed.to_be_bytes().to_vec();
    flow.extend(&first.0);
    flow.extend(&second.0);
    flow.extend([protocol, 0]);
    flow.extend(first.1.to_be_bytes());
    flow.extend(second.1.to_be_bytes());
    Ok(Val::text(format!("1:{}", STANDARD.encode(Sha1::digest(&flow)))))
}

fn check_networks(arguments: &[Argument]) -> Result<(), String> {
    let [_, Argument::Values(networks)] = arguments else { return Ok(()) };
    for network in networks {
        if let Expression::Text(text) = network
            && Network::new(text).is_none()
        {
            return Err(format!("`{text}` is no network such as `10.0.0.0/8`"));
        }
    }
    Ok(())
}

/// Addresses that begin alike.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn new(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { address, bits })
    }

    fn holds(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.bits;
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - self.bits;
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// What is no address is in no network.
fn is_in_cidr<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let networks = args.take_list(1);
    let Ok(address) = args.string(0)?.parse::<IpAddr>() else { return Ok(Val::bool(false)) };
    for network in networks {
        let Val::Value(Value::String(text)) = network else { return Err(DataError("expected a text")) };
        let network = Network::new(&text).ok_or(DataError("not a network"))?;
        if network.holds(address.to_canonical()) {
            return Ok(Val::bool(true));
        }
    }
    Ok(Val::bool(false))
}

fn parse_url<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let mut map = url::parts(args.string(0)?).ok_or(DataError("not a URL"))?;
    map.0.sort_by(|(left, _): &(Cow<'_, str>, _), (right, _)| left.cmp(right));
    Ok(Val::map(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, wanted) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("172.16.0.0/12", "10.1.2.3", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("::/0", "1.2.3.4", false),
            ("2001:db8::/32", "2001:db8::1", true),
        ] {
            assert_eq!(Network::new(network).unwrap().holds(address.parse().unwrap()), wanted, "{network} {address}");
        }
        assert!(Network::new("10.0.0.0/33").is_none());
        assert!(Network::new("10.0.0.0").is_none());
    }
}
