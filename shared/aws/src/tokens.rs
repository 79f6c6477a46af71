//! The bearer tokens that admit a request: a secret of Secrets Manager, read when a function starts and again from time to
//! time, so that a token can be replaced without a deployment.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use thiserror::Error;
use tokio::sync::Mutex;

/// How old what was read may become.
const AGE_MAX: Duration = Duration::from_mins(5);

/// How soon it is read again when a request comes with an unknown token: a new one may just have been added. Whoever guesses
/// tokens makes one call in this time.
const DOUBT_AGE_MAX: Duration = Duration::from_secs(15);

/// The fewest characters of a token: shorter ones can be guessed.
const LENGTH_MIN: usize = 16;

/// Why there are no tokens.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Secrets Manager does not give them out, or is out of reach.
    #[error("the secret {secret} cannot be read: {what}")]
    Unavailable {
        /// The secret's name.
        secret: String,
        /// What failed.
        what: String,
    },
    /// What is there are no tokens.
    #[error("the secret {secret} holds no usable tokens: {what}")]
    Unusable {
        /// The secret's name.
        secret: String,
        /// What is wrong, without its value.
        what: &'static str,
    },
}

/// A secret with tokens.
#[derive(Debug)]
pub struct Tokens {
    client: Client,
    secret: String,
    doubt_age_max: Duration,
    read: Mutex<Option<SystemTime>>,
}

impl Tokens {
    /// The secret of this name or ARN.
    #[must_use]
    pub fn new(client: Client, secret: String) -> Self {
        Self { client, secret, doubt_age_max: DOUBT_AGE_MAX, read: Mutex::new(None) }
    }

    /// Read again with each unknown token.
    #[cfg(test)]
    pub(crate) fn always_doubted(self) -> Self {
        Self { doubt_age_max: Duration::ZERO, ..self }
    }

    /// The tokens, if they were not read for a while; `is_doubted` says that a request came with another one. `None`: what was
    /// given before holds.
    ///
    /// # Errors
    /// [`TokenError`] if they cannot be read; what was given before holds.
    pub async fn renewed(&self, is_doubted: bool) -> Result<Option<Vec<String>>, TokenError> {
        let mut read = self.read.lock().await;
        let now = SystemTime::now();
        let age_max = if is_doubted { self.doubt_age_max } else { AGE_MAX };
        if read.and_then(|read| now.duration_since(read).ok()).is_some_and(|age| age < age_max) {
            return Ok(None);
        }
        // A failure counts as well: what does not answer is not asked with each request.
        let before = read.replace(now);
        let tokens = self.fetch().await;
        if tokens.is_err() && before.is_none() {
            *read = None;
        }
        tokens.map(Some)
    }

    async fn fetch(&self) -> Result<Vec<String>, TokenError> {
        let unavailable = |what| TokenError::Unavailable { secret: self.secret.clone(), what };
        let answer = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let answer = answer.map_err(|error| unavailable(DisplayErrorContext(error).to_string()))?;
        let text = answer.secret_string.unwrap_or_default();
        tokens_of(&text).map_err(|what| TokenError::Unusable { secret: self.secret.clone(), what })
    }
}

/// The tokens in a secret: the values of a JSON object, or one on each line.
fn tokens_of(text: &str) -> Result<Vec<String>, &'static str> {
    let tokens: Vec<String> = if text.trim_start().starts_with('{') {
        let named: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| "it must be a JSON object of texts")?;
        named.into_values().collect()
    } else {
        text.lines().map(str::to_owned).collect()
    };
    let tokens: Vec<String> = tokens.iter().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).collect();
    if tokens.is_empty() {
        return Err("it is empty");
    }
    if tokens.iter().any(|token| token.len() < LENGTH_MIN) {
        return Err("a token has fewer than 16 characters");
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_values_of_an_object_or_lines() {
        let two = ["0123456789abcdef", "fedcba9876543210"];
        let object = r#"{"first": "0123456789abcdef", "second": " fedcba9876543210 "}"#;
        assert_eq!(tokens_of(object).unwrap(), two);
        assert_eq!(tokens_of("0123456789abcdef\n\nfedcba9876543210\n").unwrap(), two);
    }

    #[test]
    fn a_secret_that_would_admit_everybody_is_refused() {
        for text in ["", "\n \n", "{}", r#"{"a": ""}"#, r#"{"a": 1}"#, "{", "short", "0123456789abcdef\nshort"] {
            assert!(tokens_of(text).is_err(), "{text}");
        }
    }
}
