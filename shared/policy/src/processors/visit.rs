//! Visiting everything of a payload that a context is about.

use std::borrow::Cow;

use spanlake_otlp::schema::{EVENT, EXEMPLAR, METRIC_DATA, SPAN};
use spanlake_otlp::tree::{Map, Node, Payload, Slot};
use spanlake_ottl::{Context, DataError, Frame, Spent};

/// `Span.events`.
const EVENTS: u32 = 11;
/// `data_points` of each kind of data.
const POINTS: u32 = 1;
/// How many metrics statements may add to those of a scope.
const ADDED_MAX: usize = 10_000;

/// What becomes of a thing that was visited.
pub(crate) enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
}

/// Shows `look` a frame for everything that `context` is about, in the payload's order, and takes away what it drops.
/// `cache` is shared; without one each thing has its own.
///
/// # Errors
/// The first of `look`; what came before it has been changed.
pub(crate) fn visit<'a>(
    payload: &mut Payload<'a>,
    context: Context,
    (now_nanos, spent): (i64, &mut Spent),
    cache: Option<&mut Map<'a>>,
    mut look: impl FnMut(&mut Frame<'_, 'a>) -> Result<Fate, DataError>,
) -> Result<(), DataError> {
    let mut visitor =
        Visitor { context, now_nanos, spent, cache, look: &mut look, none: Spare::new(), added: Vec::new(), failed: None };
    payload.groups.retain_mut(|group| {
        if context == Context::Resource {
            let url = &mut Cow::Borrowed("");
            let nodes = Nodes {
                resource: &mut group.resource,
                resource_schema_url: &mut group.schema_url,
                scope: None,
                scope_schema_url: url,
            };
            return visitor.show(nodes, None, None, None);
        }
        let had_scopes = !group.scopes.is_empty();
        group.scopes.retain_mut(|scope| {
            let nodes = Nodes {
                resource: &mut group.resource,
                resource_schema_url: &mut group.schema_url,
                scope: Some(&mut scope.scope),
                scope_schema_url: &mut scope.schema_url,
            };
            visitor.scope(nodes, &mut scope.items)
        });
        // What was empty before stays: nothing named it.
        !(had_scopes && group.scopes.is_empty())
    });
    visitor.failed.map_or(Ok(()), Err)
}

/// What a frame of the resource and scope is made of.
struct Nodes<'x, 'a> {
    resource: &'x mut Node<'a>,
    resource_schema_url: &'x mut Cow<'a, str>,
    scope: Option<&'x mut Node<'a>>,
    scope_schema_url: &'x mut Cow<'a, str>,
}

impl<'a> Nodes<'_, 'a> {
    fn again(&mut self) -> Nodes<'_, 'a> {
        Nodes {
            resource: self.resource,
            resource_schema_url: self.resource_schema_url,
            scope: self.scope.as_deref_mut(),
            scope_schema_url: self.scope_schema_url,
        }
    }
}

/// Empty nodes for what a context does not have.
struct Spare<'a> {
    scope: Node<'a>,
    item: Node<'a>,
    part: Node<'a>,
    exemplar: Node<'a>,
}

impl Spare<'_> {
    const fn new() -> Self {
        Self {
            scope: Node::new(&spanlake_otlp::schema::SCOPE),
            item: Node::new(&SPAN),
            part: Node::new(&EVENT),
            exemplar: Node::new(&EXEMPLAR),
        }
    }
}

struct Visitor<'v, 'a> {
    context: Context,
    now_nanos: i64,
    spent: &'v mut Spent,
    cache: Option<&'v mut Map<'a>>,
    look: &'v mut dyn FnMut(&mut Frame<'_, 'a>) -> Result<Fate, DataError>,
    none: Spare<'a>,
    added: Vec<Node<'a>>,
    failed: Option<DataError>,
}

impl<'a> Visitor<'_, 'a> {
    /// Shows one thing; whether it stays. After an error nothing more is shown.
    fn show(
        &mut self,
        nodes: Nodes<'_, 'a>,
        item: Option<&mut Node<'a>>,
        part: Option<&mut Node<'a>>,
        exemplar: Option<&mut Node<'a>>,
    ) -> bool {
        if self.failed.is_some() {
            return true;
        }
        let mut own = Map::default();
        let mut frame = Frame {
            resource: nodes.resource,
            resource_schema_url: nodes.resource_schema_url,
            scope: nodes.scope.unwrap_or(&mut self.none.scope),
            scope_schema_url: nodes.scope_schema_url,
            item: item.unwrap_or(&mut self.none.item),
            part: part.unwrap_or(&mut self.none.part),
            exemplar: exemplar.unwrap_or(&mut self.none.exemplar),
            cache: self.cache.as_deref_mut().unwrap_or(&mut own),
            added: &mut self.added,
            spent: self.spent,
            now_nanos: self.now_nanos,
        };
        match (self.look)(&mut frame) {
            Ok(fate) => matches!(fate, Fate::Keep),
            Err(error) => {
                self.failed = Some(error);
                true
            }
        }
    }

    /// A scope and what is below it; whether it stays.
    fn scope(&mut self, mut nodes: Nodes<'_, 'a>, items: &mut Vec<spanlake_otlp::tree::Entry<'a>>) -> bool {
        if self.context == Context::Scope {
            return self.show(nodes, None, None, None);
        }
        let had_items = !items.is_empty();
        let mut added = Vec::new();
        items.retain_mut(|item| {
            let stays = self.item(nodes.again(), &mut item.node);
            let origin = item.origin;
            added.extend(self.added.drain(..).map(|node| spanlake_otlp::tree::Entry { node, origin }));
            stays
        });
        added.truncate(ADDED_MAX);
        // What was added passes through the group as well, once: nothing is added to it again.
        added.retain_mut(|item| {
            let stays = self.item(nodes.again(), &mut item.node);
            self.added.clear();
            stays
        });
        items.append(&mut added);
        !(had_items && items.is_empty())
    }

    /// An item and what is below it; whether it stays.
    fn item(&mut self, mut nodes: Nodes<'_, 'a>, item: &mut Node<'a>) -> bool {
        match self.context {
            Context::SpanEvent => {
                let Some(Slot::Nodes(mut events)) = item.remove(EVENTS) else { return true };
                events.retain_mut(|event| self.show(nodes.again(), Some(item), Some(event), None));
                if !events.is_empty() {
                    item.set(EVENTS, Slot::Nodes(events));
                }
                true
            }
            Context::DataPoint | Context::Exemplar => self.points(nodes, item),
            _ => self.show(nodes.again(), Some(item), None, None),
        }
    }

    /// A metric's data points; a metric that loses its last goes. An empty message stands where the shown point was taken out.
    fn points(&mut self, mut nodes: Nodes<'_, 'a>, metric: &mut Node<'a>) -> bool {
        let count = data_points(metric).map_or(0, |points| points.len());
        let mut stays = Vec::with_capacity(count);
        for at in 0..count {
            let taken = data_points(metric).and_then(|points| points.get_mut(at)).map(|point| {
                let empty = Node::new(point.schema());
                std::mem::replace(point, empty)
            });
            let Some(mut point) = taken else { break };
            stays.push(match self.context {
                Context::Exemplar => self.exemplars(nodes.again(), metric, &mut point),
                _ => self.show(nodes.again(), Some(metric), Some(&mut point), None),
            });
            if let Some(place) = data_points(metric).and_then(|points| points.get_mut(at)) {
                *place = point;
            }
        }
        if stays.iter().all(|stays| *stays) {
            return true;
        }
        let mut stays = stays.into_iter();
        let Some(points) = data_points(metric) else { return true };
        points.retain(|_| stays.next().unwrap_or(true));
        !points.is_empty()
    }

    fn exemplars(&mut self, mut nodes: Nodes<'_, 'a>, metric: &mut Node<'a>, point: &mut Node<'a>) -> bool {
        let number = point.schema().fields.iter().find(|field| field.name == "exemplars").map(|field| field.number);
        let Some(number) = number else { return true };
        let Some(Slot::Nodes(mut exemplars)) = point.remove(number) else { return true };
        exemplars.retain_mut(|exemplar| self.show(nodes.again(), Some(metric), Some(point), Some(exemplar)));
        if !exemplars.is_empty() {
            point.set(number, Slot::Nodes(exemplars));
        }
        true
    }
}

/// The data points of a metric, whichever its type is.
fn data_points<'n, 'a>(metric: &'n mut Node<'a>) -> Option<&'n mut Vec<Node<'a>>> {
    let number = METRIC_DATA.into_iter().find(|number| metric.node(*number).is_some())?;
    metric.node_mut(number)?.nodes_mut(POINTS)
}
