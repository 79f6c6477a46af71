//! Which rules hold, where they come from the store: whoever may write there puts a configuration under
//! `rules/current.yaml`; whoever puts heartbeats on the shards checks it, keeps it under its version, and carries that version
//! from then on. A configuration that cannot be used changes nothing. What is [kept for a while](crate::keep_all) is laid over it
//! before it gets its version.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spanlake_policy::Overlay;
use thiserror::Error;

use crate::group::CompileRules;
use crate::keep_all::kept;
use crate::keys;
use crate::ports::{Conditional, ETag, ObjectStore, StoreError};

/// The format's number; a reader of another number stops.
const FORMAT: u32 = 1;

/// How often a write that somebody else was faster with is tried again.
const SWAP_TRIES: u32 = 8;

/// The most bytes of a configuration.
pub const RULES_BYTES_MAX: usize = 1 << 20;

/// What is kept under `rules/active.json`.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    version: String,
}

/// The rules that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Their version, for heartbeats.
    pub version: String,
    /// Why the wanted configuration, or what an operator wants kept, is not in force, if it is not.
    pub refused: Option<String>,
}

/// Why it is not known which rules hold, or a configuration could not be stored.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration cannot be used.
    #[error("the configuration cannot be used: {0}")]
    Refused(String),
    /// The note about the rules that hold is of another version of the program.
    #[error("{} was written by another version of the program", keys::RULES_ACTIVE)]
    Format,
    /// Somebody else was faster, again and again.
    #[error("somebody else is changing the rules at the same time: look at them, and try again")]
    Contended,
}

/// Checks what is wanted, and remembers what was found: nothing is compiled again while it stays the same.
pub struct Activation<S> {
    store: Arc<S>,
    compile: Arc<CompileRules>,
    base: Base,
    last: Option<(Seen, Active)>,
}

/// Where the configuration comes from that an overlay is laid over.
enum Base {
    /// From the store; this one holds while nothing is wanted there.
    Stored(&'static str),
    /// It was given at the start.
    Given(String),
}

/// What rules follow from.
#[derive(PartialEq)]
struct Seen {
    wanted: Option<ETag>,
    /// What is kept at the moment, or why that cannot be told.
    overlay: Result<Overlay, String>,
}

/// A configuration with what is kept laid over it.
struct Laid {
    text: String,
    version: String,
    refused: Option<String>,
}

impl<S: ObjectStore> Activation<S> {
    /// Of the configuration in the store; `default` holds while nothing is wanted.
    pub const fn new(store: Arc<S>, compile: Arc<CompileRules>, default: &'static str) -> Self {
        Self { store, compile, base: Base::Stored(default), last: None }
    }

    /// Of a configuration that does not change.
    pub const fn of(store: Arc<S>, compile: Arc<CompileRules>, config: String) -> Self {
        Self { store, compile, base: Base::Given(config), last: None }
    }

    /// The rules that hold from now on. What is kept for a while goes with its time: then the configuration alone holds again.
    ///
    /// # Errors
    /// [`RulesError`] if that cannot be told; what heartbeats carried before holds.
    pub async fn active(&mut self, now_nanos: i64) -> Result<Active, RulesError> {
        let wanted = match &self.base {
            Base::Stored(_) => self.store.get(keys::RULES_CURRENT).await?,
            Base::Given(_) => None,
        };
        let overlay = match kept(self.store.as_ref()).await {
            Ok((overlay, _)) => Ok(overlay.at(now_nanos)),
            Err(RulesError::Refused(reason)) => Err(reason),
            Err(error) => return Err(error),
        };
        let seen = Seen { wanted: wanted.as_ref().map(|object| object.etag.clone()), overlay };
        if let Some((_, active)) = self.last.as_ref().filter(|(before, _)| *before == seen) {
            return Ok(active.clone());
        }
        let overlay = seen.overlay.clone().unwrap_or_default();
        let text = wanted.map_or_else(|| Ok(self.without_a_wish().to_owned()), |object| text_of(&object.bytes));
        let mut active = match text.and_then(|text| self.lay(&text, &overlay)) {
            Ok(laid) => self.adopt(laid).await?,
            Err(reason) => self.keep(reason, &overlay).await?,
        };
        active.refused = active.refused.or_else(|| seen.overlay.as_ref().err().cloned());
        self.last = Some((seen, active.clone()));
        Ok(active)
    }

    fn without_a_wish(&self) -> &str {
        match &self.base {
            Base::Stored(default) => default,
            Base::Given(config) => config,
        }
    }

    /// Lays what is kept over a configuration; the configuration alone, with the reason, if it has no room for that.
    fn lay(&self, config: &str, overlay: &Overlay) -> Result<Laid, String> {
        let text = overlay.compose(config);
        match self.version_of(&text) {
            Ok(version) => Ok(Laid { text, version, refused: None }),
            Err(reason) if overlay.is_empty() => Err(reason),
            Err(reason) => {
                let refused = Some(format!("{}: {reason}", keys::RULES_KEEP_ALL));
                self.version_of(config).map(|version| Laid { text: config.to_owned(), version, refused })
            }
        }
    }

    fn version_of(&self, text: &str) -> Result<String, String> {
        (self.compile)(text).map(|rules| rules.version().to_owned())
    }

    /// Stores a usable configuration under its version, then says that it holds: a heartbeat's version can always be read.
    async fn adopt(&self, Laid { text, version, refused }: Laid) -> Result<Active, RulesError> {
        let active = Active { version, refused };
        for _ in 0..SWAP_TRIES {
            let found = noted(self.store.as_ref()).await?;
            let is_noted = found.as_ref().is_some_and(|(noted, _)| *noted == active.version);
            if is_noted && matches!(self.base, Base::Stored(_)) {
                return Ok(active);
            }
            self.store.put(&keys::rules(&active.version), text.clone().into()).await?;
            // Who was given the text has just brought it back, if it was lost.
            if is_noted {
                return Ok(active);
            }
            let bytes = serde_json::to_vec(&Stored { format: FORMAT, version: active.version.clone() }).unwrap_or_default();
            let written = match found {
                Some((_, etag)) => self.store.swap(keys::RULES_ACTIVE, &etag, bytes.into()).await?,
                None => self.store.put_new(keys::RULES_ACTIVE, bytes.into()).await?,
            };
            if let Conditional::Done(_) = written {
                return Ok(active);
            }
        }
        Err(RulesError::Contended)
    }

    /// The configuration that held before goes on, with what is kept now; the default, if none did.
    async fn keep(&self, reason: String, overlay: &Overlay) -> Result<Active, RulesError> {
        let Some((version, _)) = noted(self.store.as_ref()).await? else {
            let laid = self.lay(self.without_a_wish(), overlay).map_err(RulesError::Refused)?;
            return Ok(Active { refused: Some(reason), ..self.adopt(laid).await? });
        };
        let text = self.store.get(&keys::rules(&version)).await?;
        let laid = text.and_then(|object| self.lay(Overlay::split(std::str::from_utf8(&object.bytes).ok()?).0, overlay).ok());
        match laid {
            Some(laid) => Ok(Active { refused: Some(reason), ..self.adopt(laid).await? }),
            None => Ok(Active { version, refused: Some(reason) }),
        }
    }
}

/// The version that holds, as noted.
async fn noted<S: ObjectStore>(store: &S) -> Result<Option<(String, ETag)>, RulesError> {
    let Some(object) = store.get(keys::RULES_ACTIVE).await? else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&object.bytes).map_err(|_| RulesError::Format)?;
    if stored.format == FORMAT { Ok(Some((stored.version, object.etag))) } else { Err(RulesError::Format) }
}

fn text_of(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > RULES_BYTES_MAX {
        return Err(format!("it has more than {RULES_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    match Overlay::split(text) {
        (_, None) => Ok(text.to_owned()),
        // Baked in, it would never go again.
        _ => Err("it ends with what `spanlake keep-all` has added for a while: take that out".to_owned()),
    }
}

/// The wanted configuration, and which write it is of; `None`: the built-in default.
///
/// # Errors
/// [`RulesError`] if it cannot be read.
pub async fn wanted<S: ObjectStore>(store: &S) -> Result<Option<(String, ETag)>, RulesError> {
    let Some(object) = store.get(keys::RULES_CURRENT).await? else { return Ok(None) };
    let text = text_of(&object.bytes).map_err(RulesError::Refused)?;
    Ok(Some((text, object.etag)))
}

/// The version that heartbeats carry, if there ever was one.
///
/// # Errors
/// [`RulesError`] if it cannot be read.
pub async fn active_version<S: ObjectStore>(store: &S) -> Result<Option<String>, RulesError> {
    Ok(noted(store).await?.map(|(version, _)| version))
}

/// Makes a configuration the wanted one, in the place of the one that was read as `before`.
///
/// # Errors
/// [`RulesError::Refused`] if it cannot be used, [`RulesError::Contended`] if another one was written meanwhile: then nothing
/// has changed.
pub async fn push<S: ObjectStore>(
    store: &S,
    text: &str,
    before: Option<&ETag>,
    compile: &CompileRules,
) -> Result<String, RulesError> {
    let checked = text_of(text.as_bytes()).and_then(|text| compile(&text)).map_err(RulesError::Refused)?;
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let written = match before {
        Some(etag) => store.swap(keys::RULES_CURRENT, etag, bytes).await?,
        None => store.put_new(keys::RULES_CURRENT, bytes).await?,
    };
    match written {
        Conditional::Done(_) => Ok(checked.version().to_owned()),
        Conditional::Refused => Err(RulesError::Contended),
    }
}
