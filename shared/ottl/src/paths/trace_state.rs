//! The members of a W3C `tracestate`, as far as OTTL reads and writes them.

/// The value of a member; empty where it is absent.
pub(super) fn get<'t>(state: &'t str, key: &str) -> &'t str {
    members(state).find(|(known, _)| *known == key).map_or("", |(_, value)| value)
}

/// The state with a member set: it goes to the front.
pub(super) fn set(state: &str, key: &str, value: &str) -> String {
    let mut out = format!("{key}={value}");
    for (known, value) in members(state).filter(|(known, _)| *known != key) {
        out.push(',');
        out.push_str(known);
        out.push('=');
        out.push_str(value);
    }
    out
}

fn members(state: &str) -> impl Iterator<Item = (&str, &str)> {
    state.split(',').filter_map(|member| member.trim().split_once('='))
}
