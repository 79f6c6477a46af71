//! TLS for the front: a certificate chain and its key, from PEM.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the front shows to clients that speak TLS. TLS 1.2 and 1.3; HTTP/2 and HTTP/1.1.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why a certificate or a key is not usable.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate file.
    #[error("the TLS certificate is not usable: {what}")]
    Certificate {
        /// What does not fit.
        what: String,
    },
    /// The key file. Never says what is in it.
    #[error("the TLS key is not usable: expected one unencrypted private key as PEM")]
    Key,
    /// Both together.
    #[error("the TLS certificate and key do not work together")]
    Pair {
        /// What does not fit.
        source: rustls::Error,
    },
}

impl Tls {
    /// From a certificate chain, the server's own certificate first, and its private key.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let unusable = |what: String| TlsError::Certificate { what };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| unusable(error.to_string()))?;
        if chain.is_empty() {
            return Err(unusable("there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let failed = |source| TlsError::Pair { source };
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let builder = builder.map_err(failed)?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).map_err(failed)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}
