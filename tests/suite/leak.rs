//! No secret at rest: secrets are planted in every position of a request that can hold text or bytes, sent on every path
//! that data can take, and looked for in everything that is stored or answered. Only the stream may hold them.
//!
//! `tests/ci/leak.py` does the same with the real program.

mod crash;
mod paths;
mod positions;
mod scan;
mod secrets;
mod world;

use std::collections::BTreeSet;

use spanlake_model::Signal;
use spanlake_policy::DEFAULT_CONFIG;

use positions::{Decision, Ids, Position};
use world::World;

/// The configuration that people come with. It masks nothing by itself: the built-in masking does.
const SEED: &str = include_str!("../data/vectors/seed-collector-config.yaml");

/// All spans are kept and nothing is masked.
const UNMASKED: &str = include_str!("captures/everything.yaml");

/// What only the user's own rules find: the built-in masking is off.
const REDACTING: &str = include_str!("leak/redacting.yaml");

/// Policies that match what is planted.
const EXPLAINING: &str = include_str!("leak/explaining.yaml");

/// Kinds of secrets planted in each position, in turn: together they put every kind into every sort of position.
const KINDS_EACH: usize = 8;

/// Bytes of a request; a new one is begun beyond it.
const REQUEST_BYTES: usize = 1 << 18;

/// Requests that grow item by item.
struct Outbox {
    bodies: Vec<(Signal, Vec<u8>)>,
}

impl Outbox {
    fn add(&mut self, signal: Signal, content: &[u8]) {
        let open = self.bodies.iter_mut().rev().find(|(of, body)| *of == signal && body.len() < REQUEST_BYTES);
        match open {
            Some((_, body)) => body.extend_from_slice(content),
            None => self.bodies.push((signal, content.to_vec())),
        }
    }

    fn send(self, world: &mut World) {
        for (number, (signal, body)) in self.bodies.into_iter().enumerate() {
            assert_eq!(world.post(signal, body), 200);
            if number % 4 == 3 {
                world.round(1);
            }
        }
        world.finish();
    }
}

/// A secret in each position. Bytes that are no UTF-8 stand around it where bytes are allowed.
fn planted(positions: &[Position], first_kind: usize) -> Outbox {
    let mut outbox = Outbox { bodies: Vec::new() };
    let (mut ids, mut serial) = (Ids::default(), 0);
    let kinds = secrets::all(&mut 0).len();
    for (place, position) in positions.iter().enumerate() {
        for turn in 0..KINDS_EACH {
            let secret = secrets::all(&mut serial).swap_remove((first_kind + place * KINDS_EACH + turn) % kinds);
            let mut text = secret.text.into_bytes();
            if position.decision == Decision::Bytes && turn % 2 == 0 {
                text = [b"\xff\xfe ", &text[..], b" \x80"].concat();
            }
            outbox.add(position.signal, &position.plant(&text, &mut ids));
        }
        if position.is_value() {
            for (name, text) in secrets::named(&mut serial) {
                outbox.add(position.signal, &position.plant_named(name, text.as_bytes(), &mut ids));
            }
        }
    }
    outbox
}

#[test]
fn every_text_and_bytes_field_of_the_protocol_is_decided_on() {
    let (positions, undecided) = positions::all();
    assert_eq!(undecided, BTreeSet::new(), "decide on these fields: are they masked, and if not, why?");
    assert_eq!(positions::outdated(&positions), Vec::<&str>::new());
    assert!(positions.len() > 450, "{}", positions.len());
}

#[test]
fn the_scanner_finds_every_kind_of_secret_in_whatever_form_it_lies_there() {
    for secret in secrets::all(&mut 0) {
        let text = secret.text.as_bytes();
        assert!(scan::plain(text).is_some(), "{}", secret.kind);
        let packed = zstd::bulk::compress(&[b"x".repeat(99), text.to_vec()].concat(), 3).unwrap();
        assert!(
            scan::object("k", &[&b"head"[..], &packed].concat().into(), &mut scan::Seen::default()).is_some(),
            "{}",
            secret.kind
        );
    }
    assert_eq!(scan::plain(b"4012 8888 1**** and Lk9 and AKIA****"), None);
}

#[test]
fn without_masking_the_scanner_finds_what_was_planted_in_objects_of_every_kind() {
    let (positions, _) = positions::all();
    let mut world = World::new(UNMASKED, 2);
    planted(&positions, 0).send(&mut world);
    for prefix in
        ["staged/", "sealed/", "lake/v1/spans", "lake/v1/logs", "lake/v1/metrics_number", "lake/v1/traces", "lake/v1/red_1m"]
    {
        assert!(world.leaks.iter().any(|leak| leak.starts_with(prefix)), "{prefix}");
    }
}

#[test]
fn no_planted_secret_is_at_rest_under_the_seeds_configuration() {
    let (positions, _) = positions::all();
    let mut world = World::new(SEED, 2);
    planted(&positions, 0).send(&mut world);
    world.assert_clean();
}

#[test]
fn no_planted_secret_is_at_rest_under_the_default_configuration() {
    let (positions, _) = positions::all();
    let mut world = World::new(DEFAULT_CONFIG, 2);
    planted(&positions, 2).send(&mut world);
    world.assert_clean();
}

#[test]
fn no_text_that_the_users_own_rules_match_is_at_rest() {
    let (positions, _) = positions::all();
    let (mut outbox, mut ids) = (Outbox { bodies: Vec::new() }, Ids::default());
    for (number, position) in positions.iter().enumerate() {
        let text = format!("ref XZ-Lk9Zq{number:06}k7-77 of it");
        outbox.add(position.signal, &position.plant(text.as_bytes(), &mut ids));
        if position.decision == Decision::Bytes {
            outbox.add(position.signal, &position.plant(&[b"\xff", text.as_bytes()].concat(), &mut ids));
        }
        if position.is_value() {
            let text = format!("Lk9Zq{number:06}k7");
            outbox.add(position.signal, &position.plant_named("internal.note", text.as_bytes(), &mut ids));
        }
    }
    let mut world = World::new(REDACTING, 2);
    outbox.send(&mut world);
    world.assert_clean();
}

/// Policies of every type look at what holds the secrets, before anything masks it.
#[test]
fn no_planted_secret_is_in_what_explains_the_votes() {
    let (positions, _) = positions::all();
    let mut world = World::new(EXPLAINING, 2);
    planted(&positions, 1).send(&mut world);
    world.assert_clean();
    let explained = world.explained();
    for policy in ["names", "events", "states", "passwords"] {
        let is_met = |(of, text): &&(String, String)| of == policy && text.starts_with("a span ");
        assert!(explained.iter().any(|reason| is_met(&reason)), "{policy}: {:?}", explained.first());
    }
}

#[test]
fn every_kind_of_secret_is_masked_in_every_sort_of_text() {
    let (positions, _) = positions::all();
    let mut sorts = BTreeSet::new();
    let mut first_of_its_sort: Vec<Position> = positions;
    first_of_its_sort.retain(|position| sorts.insert((position.signal.code(), position.sort())));
    let mut outbox = Outbox { bodies: Vec::new() };
    let (mut ids, mut serial) = (Ids::default(), 0);
    for position in first_of_its_sort.iter().filter(|position| position.decision != Decision::Id) {
        for secret in secrets::all(&mut serial) {
            outbox.add(position.signal, &position.plant(secret.text.as_bytes(), &mut ids));
        }
    }
    let mut world = World::new(SEED, 1);
    outbox.send(&mut world);
    world.assert_clean();
}
